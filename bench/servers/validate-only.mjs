import Fastify from 'fastify'
import { Draft, Receipt, UserParams } from '../../dist/routes/schemas.js'
import { validatorCompiler } from '../../dist/routes/validation.js'
import { serve } from './control.mjs'

// The cost of a publish before its event is published: the hub's schemas, checked as the hub does or, with ajv, as Fastify
// does by default.
const app = Fastify()
if (process.env.BENCH_VALIDATOR !== 'ajv') app.setValidatorCompiler(validatorCompiler)
let id = 0

app.post(
  '/users/:user/events',
  { schema: { params: UserParams, body: Draft, response: { 202: Receipt } } },
  async (_request, reply) => {
    reply.code(202)
    return { id: String(++id).padStart(18, '0'), streams: 1 }
  }
)
await serve(app)
