import { execFile, spawn } from 'node:child_process'
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { z } from 'zod'
import { migrate } from '../migrations/index.ts'
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts'
import { kyselyOn } from '../src/projections/kysely.ts'

/** A PostgreSQL of the benchmark's own (fsync and synchronous_commit on), migrated, and a pool of 20 to it. */
export type World = { url: string; pool: pg.Pool; folder: string; close: () => Promise<void> }

export const openWorld = async (): Promise<World> => {
  const folder = await mkdtemp(join(tmpdir(), 'kehu-bench-'))
  // Run by root, PostgreSQL is another user's process, who must get there.
  await chmod(folder, 0o711)
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres') })
  const pool = new pg.Pool({ connectionString: postgres.url, max: 20 })
  pool.on('error', () => undefined)
  const db = kyselyOn(new pg.Pool({ connectionString: postgres.url, max: 1 }))
  await migrate(db)
  await db.destroy()
  return {
    url: postgres.url,
    pool,
    folder,
    close: async () => {
      await pool.end()
      await postgres.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type Rate = { perSecond: number; p99: number }

/** So many callers, each sending one item after the other until all are through: how many a second, and the 99th percentile in ms. */
export const measure = async <Item>(callers: number, items: readonly Item[], send: (item: Item) => Promise<unknown>): Promise<Rate> => {
  const latencies: number[] = []
  const rest = items.values()
  const started = performance.now()
  await Promise.all(Array.from({ length: callers }, async () => {
    for (const item of rest) {
      const before = performance.now()
      await send(item)
      latencies.push(performance.now() - before)
    }
  }))
  const seconds = (performance.now() - started) / 1000
  return { perSecond: items.length / seconds, p99: percentile(latencies, 0.99) }
}

export const percentile = (values: readonly number[], share: number): number => values.toSorted((one, other) => one - other)[Math.floor(values.length * share)] ?? 0

const peersFolder = join(import.meta.dirname, 'peers')

/** Installs the peers where they are not yet: their own package.json keeps them out of Kehu's. */
export const installPeers = async (say: (message: string) => void): Promise<void> => {
  if (await stat(join(peersFolder, 'node_modules')).catch(() => undefined)) return
  say('installing what Kehu is measured beside (bench/peers)')
  await promisify(execFile)('npm', ['ci'], { cwd: peersFolder, shell: process.platform === 'win32' })
}

const PeerRate = z.object({ perSecond: z.number(), p99: z.number() })

/** The same work done by a peer, in a process of its own. */
export const measurePeer = async (peer: 'emmett' | 'castore', url: string, work: 'append' | 'read', callers: number, count: number): Promise<Rate> => {
  const child = spawn(process.execPath, [join(peersFolder, 'peer.js'), peer, url, work, String(callers), String(count)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`${peer} ended with ${code}`)
  return PeerRate.parse(JSON.parse(output.trim().split('\n').at(-1) ?? ''))
}
