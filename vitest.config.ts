import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { eventStoresToTest } from './test/support/event-stores.ts'

/** Over HTTP, what the log is kept in makes a difference to these; the others look at requests, rights and lists alone. */
const overHttp = ['audit', 'capacity', 'consistency', 'handovers', 'idempotency', 'merging', 'ndjson', 'near-matches', 'races', 'record-reports', 'relations', 'tour-customers', 'tour-ownership'].map((name) => `test/http/${name}.e2e.test.ts`)
/** The tests that run once for every event store: the service over HTTP, whatever the log is kept in. */
const everywhere = [...overHttp, 'test/complaints.e2e.test.ts', 'test/cli/import.kehu.e2e.test.ts', 'test/readme.e2e.test.ts', 'test/commands/*.int.test.ts']

// The processes that tests start compile the same files: once for all of them.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'kehu-test-compiled')

const stores = await eventStoresToTest()

export default defineConfig({
  test: {
    // Far more than any takes: a machine that is busy with something else is no failure.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // Files share the modules of their worker: loading them anew for each costs a third of the time.
    isolate: false,
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'postgres', include: ['test/**/*.test.ts'], exclude: ['test/event-store/server.int.test.ts'], globalSetup: ['test/support/postgres.setup.ts'], provide: { eventStore: { kind: 'postgres' } } } },
      ...stores.map(({ name, eventStore, contract }) => ({
        extends: true as const,
        test: { name, include: [...everywhere, ...contract], globalSetup: ['test/support/postgres.setup.ts', 'test/support/event-store.setup.ts'], provide: { eventStore } },
      })),
    ],
  },
})
