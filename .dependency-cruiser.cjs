/** The import rules: imports point down, and a room imports only the rooms below it. Imports of types count. */

const ROOT_FILES = '^(app|embedded|index|metrics|publisher|redis-hub|server|testing|tracing)\\.ts$'
const ABOVE_PLUGINS = ['^routes/', ROOT_FILES, '^standalone/', '^event-log-contract/']

/** The rooms of `services/`, and what each may import beside the files of `services/` itself and packages. */
const ROOMS = {
  events: [],
  redis: [],
  'event-log': ['events'],
  'event-log/memory': ['events', 'event-log'],
  'event-log/embedded': ['events', 'event-log', 'event-log/memory'],
  'event-log/redis': ['events', 'event-log', 'event-log/memory', 'redis'],
  access: ['events', 'redis', 'access/ticket-scripts'],
  'access/ticket-scripts': ['redis'],
  cluster: ['events'],
  'cluster/redis': ['events', 'cluster', 'redis'],
  queues: ['events', 'event-log', 'cluster'],
  streams: ['events', 'event-log', 'cluster'],
  inbox: ['events', 'event-log'],
  hub: [
    'events',
    'inbox',
    'event-log',
    'event-log/memory',
    'event-log/redis',
    'redis',
    'access',
    'cluster',
    'cluster/redis',
    'queues',
    'streams'
  ],
  metrics: ['hub'],
  tracing: ['events', 'hub']
}

const filesOf = (room) => `^services/${room}/[^/]+$`

const rooms = Object.entries(ROOMS).map(([room, below]) => ({
  name: `room-${room.replaceAll('/', '-')}`,
  severity: 'error',
  from: { path: filesOf(room) },
  to: { path: '^services/.+/', pathNot: [room, ...below].map(filesOf) }
}))

module.exports = {
  forbidden: [
    ...rooms,
    {
      name: 'every-room-is-listed',
      severity: 'error',
      from: { path: '^services/.+/', pathNot: Object.keys(ROOMS).map(filesOf) },
      to: {}
    },
    {
      name: 'root-of-services-imports-no-room',
      severity: 'error',
      from: { path: '^services/[^/]+$' },
      to: { path: '^services/.+/' }
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'services-without-fastify',
      comment: 'The hub runs without Fastify; @fastify/error is a class factory that needs none.',
      severity: 'error',
      from: { path: '^services/' },
      to: { path: ['^plugins/', ...ABOVE_PLUGINS, 'node_modules/(fastify|fastify-plugin|@fastify/(?!error))'] }
    },
    {
      name: 'plugins-without-routes',
      severity: 'error',
      from: { path: '^plugins/' },
      to: { path: ABOVE_PLUGINS }
    },
    {
      name: 'routes-use-the-decorator',
      comment: 'Routes use fastify.sse. From plugins/ they may import types.',
      severity: 'error',
      from: { path: '^routes/' },
      to: {
        path: ['^plugins/', ROOT_FILES, '^standalone/', '^event-log-contract/'],
        dependencyTypesNot: ['type-only']
      }
    },
    {
      name: 'routes-see-no-log-and-no-registry',
      severity: 'error',
      from: { path: '^routes/' },
      to: { path: ['^services/(event-log|cluster|redis)/', '^services/streams/(?!stream-request\\.ts)'] }
    },
    {
      name: 'wire-format-imports-nothing',
      severity: 'error',
      from: { path: '^services/events/wire-format\\.ts$' },
      to: {}
    },
    {
      name: 'contract-imports-the-port',
      severity: 'error',
      from: { path: '^event-log-contract/' },
      to: { path: '^(plugins|routes|standalone|services/(?!event-log/[^/]+$|events/|[^/]+$))' }
    },
    {
      name: 'nothing-imports-the-contract',
      severity: 'error',
      from: { path: '^(plugins|routes|standalone|services)/|^[^/]+\\.ts$' },
      to: { path: '^event-log-contract/' }
    },
    {
      name: 'nothing-imports-the-test-kit',
      severity: 'error',
      from: { path: '^(client|plugins|publisher|routes|standalone|services)/|^(?!testing)[^/]+\\.ts$' },
      to: { path: '^testing(/|\\.ts$)' }
    },
    {
      name: 'publisher-imports-types-alone',
      comment: 'A worker that publishes over HTTP loads no hub.',
      severity: 'error',
      from: { path: '^publisher(/|\\.ts$)' },
      to: { path: '^(plugins|routes|standalone|client|services)/', dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'client-imports-shared-types',
      comment: 'The browser client is built apart, without the code of the hub.',
      severity: 'error',
      from: { path: '^client(-shared|-react|-vue)?(/|\\.ts$)' },
      to: {
        path: '^(plugins|routes|standalone|event-log-contract|services)/|^(app|embedded|index|redis-hub|server|testing)\\.ts$|^node:',
        pathNot: '^services/(events/|inbox/inbox-page\\.ts$)'
      }
    },
    {
      name: 'client-imports-types-alone',
      severity: 'error',
      from: { path: '^client(-shared|-react|-vue)?(/|\\.ts$)' },
      to: { path: '^services/', dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'nothing-imports-the-client',
      comment: 'The command line is a client of any hub.',
      severity: 'error',
      from: { path: '^(plugins|routes|standalone|services|event-log-contract)/', pathNot: '^standalone/cli/' },
      to: { path: '^client(-shared|-react|-vue)?(/|\\.ts$)' }
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-undeclared',
      comment: 'dependency-cruiser reports an optional peer as npm-no-pkg and as npm-peer.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer'] }
    }
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: 'specify',
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] }
  }
}
