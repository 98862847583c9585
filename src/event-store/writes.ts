import pg from 'pg'

/** Why Postgres takes no writes although it answers, in words; undefined where an error, or what caused it, does not say so. */
export const whyNoWrites = (error: unknown): string | undefined => {
  if (!(error instanceof Error)) return undefined
  switch ('code' in error ? error.code : undefined) {
    case '25006':
      return 'PostgreSQL is read-only'
    case '53100':
      return 'PostgreSQL has no room left on its disk'
    default:
      return whyNoWrites(error.cause)
  }
}

export type WriteWatch = {
  /** Tells it of an error, whatever it is about. */
  failed: (error: unknown) => void
  /** Why Postgres takes no writes; undefined when it does. Rejects when it does not answer. */
  why: () => Promise<string | undefined>
}

/** About 700 kB that are never committed: more than lies free in pages Postgres has already. */
const TRIAL = 'begin; create table kehu.trial (n bigint); insert into kehu.trial select generate_series(1, 20000); rollback'

/**
 * Knows whether Postgres takes writes. That it is read-only it says itself; that its disk is full only a write finds
 * out. Once one has failed for either, each question is answered by a trial, until that succeeds.
 */
export const watchWrites = ({ connectionString, pool }: { connectionString: string; pool: pg.Pool }): WriteWatch => {
  let suspected = false
  let trying: Promise<string | undefined> | undefined

  /** On a connection of its own: one of the pool may be older than what was changed. */
  const tryToWrite = async (): Promise<string | undefined> => {
    const client = new pg.Client({ connectionString, application_name: 'kehu health', connectionTimeoutMillis: 5000, query_timeout: 5000 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.query(TRIAL)
      suspected = false
      return undefined
    } catch (error) {
      const why = whyNoWrites(error)
      if (why === undefined) throw error
      suspected = true
      return why
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  return {
    failed: (error) => {
      suspected ||= whyNoWrites(error) !== undefined
    },
    why: async () => {
      const { rows } = await pool.query<{ read_only: boolean }>("select current_setting('transaction_read_only') = 'on' as read_only")
      if (!suspected && rows[0]?.read_only === false) return undefined
      trying ??= tryToWrite().finally(() => {
        trying = undefined
      })
      return trying
    },
  }
}
