export { connectShared, type SharedOptions, type SharedStream } from './client/shared/connect-shared.ts'
