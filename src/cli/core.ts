import type { Config } from '../config.ts'
import { openDatabase, runningDatabaseUrl } from '../database.ts'
import { openCore, type Core } from '../main.ts'

/** Runs something on the Postgres of DATABASE_URL, on that of the running service, or on the embedded one, brought up for as long as it takes. */
export const withDatabase = async <T>(config: Config, work: (connectionString: string) => Promise<T>): Promise<T> => {
  const database = await openDatabase(config, () => undefined).catch(async (error: unknown) => {
    // The data folder is in use: then its Postgres is up, and this joins it.
    if (config.databaseUrl === undefined && error instanceof Error && error.message.startsWith('Kehu already runs')) {
      return { connectionString: await runningDatabaseUrl(config), close: async () => undefined }
    }
    throw error
  })
  try {
    return await work(database.connectionString)
  } finally {
    await database.close()
  }
}

/** Runs a command on the log, wherever this installation has it. */
export const withCore = <T>(config: Config, work: (core: Core) => Promise<T>): Promise<T> =>
  withDatabase(config, async (connectionString) => {
    const core = await openCore(config, connectionString, () => undefined)
    return work(core).finally(core.close)
  })
