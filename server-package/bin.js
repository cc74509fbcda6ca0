#!/usr/bin/env node
import 'fastify-sse-hub/server'
