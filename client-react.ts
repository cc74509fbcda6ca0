export { HubProvider, useEvent, useHub, useHubState, useInbox } from './client/react-bindings.ts'
