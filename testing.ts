export { FakeClock } from './testing/fake-clock.ts'
export { FaultProxy } from './testing/fault-proxy.ts'
export { testApp } from './testing/test-app.ts'
export {
  openStream,
  type ReceivedEvent,
  type TestStream,
  TestStreamError,
  type TestStreamOptions
} from './testing/test-stream.ts'
