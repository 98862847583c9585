import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'

declare module 'vitest' {
  // eslint-disable-next-line @typescript-eslint/consistent-type-definitions -- vitest is told by merging
  export interface ProvidedContext {
    postgresUrl: string
  }
}

/** One real Postgres for the whole run, KEHU_TEST_DATABASE_URL or the embedded one; each test file makes its own databases in it. */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const given = process.env['KEHU_TEST_DATABASE_URL']
  if (given) {
    project.provide('postgresUrl', given)
    return async () => undefined
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'kehu-test-'))
  const postgres = await startEmbeddedPostgres({ dataDir })
  // The superuser: tests make databases, and cut each other's connections.
  const url = Object.assign(new URL(postgres.url), { username: 'postgres' }).href
  project.provide('postgresUrl', url)
  // The projects of a run are set up one after the other, and torn down together: the others find it here.
  process.env['KEHU_TEST_DATABASE_URL'] = url
  return async () => {
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}
