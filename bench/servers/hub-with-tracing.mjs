import { hubTracing } from '../../dist/tracing.js'
import { app } from './hub.mjs'

hubTracing(app.sse)
