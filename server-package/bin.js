#!/usr/bin/env node
import 'fastify-sse-hub/command'
