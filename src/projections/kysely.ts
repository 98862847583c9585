import { createHash } from 'node:crypto'
import { Kysely, PostgresDialect, sql, type PostgresCursor, type PostgresPoolClient, type PostgresQueryResult } from 'kysely'
import type pg from 'pg'

const MARK = '/* prepared */'
/**
 * Marks a statement that is asked again and again: Postgres reads and plans it once for each session. Only for one
 * that is best answered in one way whatever it asks for, and whose text is always the same: a session keeps each.
 */
export const PREPARED = sql.raw(MARK)

const names = new Map<string, string>()
/** Its name in a session: a hash, since Postgres cuts names at 63 bytes. */
const nameOf = (text: string): string => {
  let name = names.get(text)
  if (name === undefined) names.set(text, (name = createHash('sha256').update(text).digest('base64url')))
  return name
}

/**
 * Kysely on a pool, as all of Kehu asks Postgres through it: marked statements are prepared; of several statements in
 * one text, which go to Postgres in one trip, the rows of the last are answered; and a transaction begins in one trip
 * with its first statement, where that one has no values beside it.
 */
export const kyselyOn = (pool: pg.Pool): Kysely<unknown> =>
  new Kysely<unknown>({ dialect: new PostgresDialect({ pool: { options: pool.options, connect: async () => oneTripClient(await pool.connect()), end: () => pool.end() } }) })

const nothing: PostgresQueryResult<never> = { command: 'SELECT', rowCount: 0, rows: [] }

const oneTripClient = (client: pg.PoolClient): PostgresPoolClient => {
  let toBegin = false
  const send = async (text: string, values: readonly unknown[]): Promise<unknown> => {
    const result: unknown = await client.query({ text, values: [...values], ...(text.includes(MARK) ? { name: nameOf(text) } : {}) })
    return Array.isArray(result) ? result.at(-1) : result
  }
  function query<R>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<R>>
  function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
  function query(text: string | PostgresCursor<unknown>, values: readonly unknown[] = []): unknown {
    if (typeof text !== 'string') throw new Error('no cursors are used here')
    const begins = toBegin
    toBegin = text === 'begin'
    if (toBegin || (begins && (text === 'commit' || text === 'rollback'))) return Promise.resolve(nothing)
    if (!begins) return send(text, values)
    return values.length === 0 && !text.includes(MARK) ? send(`begin; ${text}`, []) : send('begin', []).then(() => send(text, values))
  }
  return { query, release: (destroy) => client.release(destroy) }
}
