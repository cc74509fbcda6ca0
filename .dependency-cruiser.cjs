/** The import rules of the house: down only, no cycles. */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } }
    },
    {
      name: 'services-know-no-framework',
      comment: 'The hub runs without Fastify; @fastify/error is a class factory that needs none.',
      severity: 'error',
      from: { path: '^services/' },
      to: {
        path: [
          '^plugins/',
          '^routes/',
          '^(app|server|environment|index)\\.ts$',
          '^environment/',
          'node_modules/(fastify|fastify-plugin|@fastify/(?!error))'
        ]
      }
    },
    {
      name: 'plugins-know-no-routes',
      severity: 'error',
      from: { path: '^plugins/' },
      to: { path: ['^routes/', '^(app|server|environment|index)\\.ts$', '^environment/'] }
    },
    {
      name: 'routes-speak-to-the-decorator',
      comment: 'Routes use fastify.sse. From plugins/ they may have its types, from services/ types and errors.',
      severity: 'error',
      from: { path: '^routes/' },
      to: {
        path: ['^plugins/', '^(app|server|environment|index)\\.ts$', '^environment/'],
        dependencyTypesNot: ['type-only']
      }
    },
    {
      name: 'routes-see-no-log-and-no-registry',
      severity: 'error',
      from: { path: '^routes/' },
      to: { path: ['^services/event-log/', '^services/(stream-registry|stream-keeper|event-stream)\\.ts$'] }
    },
    {
      name: 'logs-know-no-streams',
      severity: 'error',
      from: { path: '^services/event-log/' },
      to: { path: '^services/(event-stream\\.ts|stream-|hub|delivery-queue|owed-events|pulse|presence|sink)' }
    },
    {
      name: 'wire-format-imports-nothing',
      severity: 'error',
      from: { path: '^services/event-stream-format\\.ts$' },
      to: {}
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-undeclared',
      comment: 'An optional peer counts as no package of this one, and as a peer.',
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
