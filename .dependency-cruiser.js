/** The layering of docs/architecture.md, as rules a tool can check. */
export default {
  forbidden: [
    { name: 'no-circular', severity: 'error', comment: 'two files that need each other are one file', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'domain-is-pure', severity: 'error', comment: 'the domain imports the domain, and libraries that do no I/O', from: { path: '^src/domain/' }, to: { path: '^src/(?!domain/)|^migrations/' } },
    { name: 'domain-does-no-io', severity: 'error', from: { path: '^src/domain/' }, to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' } },
    { name: 'event-store-stands-alone', severity: 'error', from: { path: '^src/event-store/' }, to: { path: '^src/(?!event-store/)' } },
    { name: 'commands', severity: 'error', from: { path: '^src/commands/' }, to: { path: '^src/(?!commands/|domain/|event-store/[^/]+$)' } },
    { name: 'projections', severity: 'error', from: { path: '^src/projections/' }, to: { path: '^src/(?!projections/|domain/|event-store/[^/]+$)' } },
    { name: 'http', severity: 'error', comment: 'HTTP reaches commands and the queries of read models, never a store', from: { path: '^src/http/' }, to: { path: '^src/(?!http/|commands/|domain/|projections/|event-store/[^/]+$)' } },
    { name: 'embedded-stands-alone', severity: 'error', from: { path: '^src/embedded/' }, to: { path: '^src/(?!embedded/)' } },
    { name: 'wired-in-one-place', severity: 'error', comment: 'only the CLI and main know everything', from: { path: '^src/(domain|commands|event-store|projections|http|embedded)/' }, to: { path: '^src/(main|cli/|config)' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'] },
  },
}
