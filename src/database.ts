import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from './config.ts'
import { lockDataDir, startEmbeddedPostgres, type EmbeddedPostgres } from './embedded/postgres.ts'
import { orAborted, pause } from './event-store/waiting.ts'

/** A Postgres to stand on: the one of DATABASE_URL, or the embedded one, kept running. */
export const openDatabase = async (config: Config, onProgress: (message: string) => void): Promise<{ connectionString: string; record: (url: string) => Promise<void>; close: () => Promise<void> }> => {
  if (config.databaseUrl !== undefined) return { connectionString: config.databaseUrl, record: async () => undefined, close: async () => undefined }
  const lock = await lockDataDir(config.dataDir)
  try {
    let postgres: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir: config.dataDir, onProgress })
    const closing = new AbortController()
    const { url, port } = postgres
    /** A full disk, say, keeps it from starting: it is tried again until there is room. */
    const startAgain = async (attempt = 0): Promise<void> => {
      onProgress('PostgreSQL has gone: starting it again')
      try {
        postgres = await startEmbeddedPostgres({ dataDir: config.dataDir, port, onProgress })
      } catch (error) {
        onProgress(`PostgreSQL cannot be started, and will be tried again: ${error instanceof Error ? error.message : String(error)}`)
        await pause(Math.min(10_000, 500 * 2 ** attempt), closing.signal)
        if (!closing.signal.aborted) await startAgain(attempt + 1)
      }
    }
    const keepRunning = async (): Promise<void> => {
      for (;;) {
        await orAborted(closing.signal, postgres.exited)
        if (closing.signal.aborted) return
        await startAgain()
      }
    }
    const kept = keepRunning()
    const file = databaseUrlFile(config)
    await writeFile(file, `${url}\n`, { mode: 0o600 })
    await chmod(file, 0o600)
    return {
      connectionString: url,
      record: (address) => lock.record({ url: address }),
      close: async () => {
        closing.abort()
        await kept
        await postgres.stop()
        await lock.release()
      },
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

const databaseUrlFile = (config: Config) => join(config.dataDir, 'database-url')

/** Where the embedded Postgres of a running service is reached. */
export const runningDatabaseUrl = async (config: Config): Promise<string> => (await readFile(databaseUrlFile(config), 'utf8')).trim()
