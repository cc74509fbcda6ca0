import 'reflect-metadata'
import { join } from 'node:path'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import sseHub from 'fastify-sse-hub'
import { AppModule } from './app.module.js'
import './events.js'

const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), {
  logger: ['error', 'warn']
})
// Before the app listens. Nest's Fastify has `app.sse` then, and `NotificationsService` finds it.
await app.register(sseHub)
app.useStaticAssets({
  root: [join(import.meta.dirname, '../public'), join(import.meta.dirname, '../../pages/look')]
})
// A signal closes the app, and with it the streams, which return.
app.enableShutdownHooks()

await app.listen(Number(process.env.PORT ?? 3000))
console.log(`open ${(await app.getUrl()).replace('[::1]', '127.0.0.1')}/`)
