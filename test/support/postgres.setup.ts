import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { migrate } from '../../migrations/index.ts'
import { startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { kyselyOn } from '../../src/projections/kysely.ts'

declare module 'vitest' {
  // eslint-disable-next-line @typescript-eslint/consistent-type-definitions -- vitest is told by merging
  export interface ProvidedContext {
    postgresUrl: string
    /** A migrated database that nobody connects to: the others are copies of it. */
    templateDatabase: string
  }
}

const query = async (url: string, ...statements: string[]): Promise<void> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

const makeTemplate = async (server: string): Promise<string> => {
  const name = `kehu_template_${randomBytes(6).toString('hex')}`
  await query(server, `create database ${name}`)
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href
  const db = kyselyOn(new pg.Pool({ connectionString: url, max: 2 }))
  await migrate(db).finally(() => db.destroy())
  return name
}

/** A server to test on: that of KEHU_TEST_DATABASE_URL, or the embedded one. */
const startServer = async (given: string | undefined): Promise<{ url: string; stop: () => Promise<void> }> => {
  if (given) return { url: given, stop: async () => undefined }
  const dataDir = await mkdtemp(join(tmpdir(), 'kehu-test-'))
  const postgres = await startEmbeddedPostgres({ dataDir })
  // The superuser: tests make databases, and cut each other's connections.
  const url = Object.assign(new URL(postgres.url), { username: 'postgres' }).href
  // This machine does not lose its power during a test. Those that kill Postgres have one of their own.
  await query(url, 'alter system set fsync = off', 'alter system set full_page_writes = off', 'select pg_reload_conf()')
  const stop = async () => {
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
  return { url, stop }
}

/** One real Postgres for the whole run; each test makes databases of its own in it. */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const given = process.env['KEHU_TEST_DATABASE_URL']
  const template = process.env['KEHU_TEST_TEMPLATE']
  const provide = (url: string, templateDatabase: string) => {
    project.provide('postgresUrl', url)
    project.provide('templateDatabase', templateDatabase)
  }
  // The projects of a run are set up one after the other, and torn down together: all but the first find it here.
  if (given && template) {
    provide(given, template)
    return async () => undefined
  }
  const server = await startServer(given)
  const made = await makeTemplate(server.url)
  provide(server.url, made)
  Object.assign(process.env, { KEHU_TEST_DATABASE_URL: server.url, KEHU_TEST_TEMPLATE: made })
  return async () => {
    if (given) await query(server.url, `drop database if exists ${made} with (force)`)
    await server.stop()
  }
}
