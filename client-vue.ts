export { hubPlugin, useEvent, useHub, useHubState, useInbox } from './client/vue-bindings.ts'
