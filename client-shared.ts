export { connectShared } from './client/shared/connect-shared.ts'
export type { SharedOptions, SharedStream } from './client/shared/shared-stream.ts'
