import { createHash } from 'node:crypto'
import { DummyDriver, Kysely, PostgresAdapter, PostgresDialect, PostgresIntrospector, PostgresQueryCompiler, sql, Transaction, type RawBuilder, type Dialect, type PostgresCursor, type PostgresPoolClient, type PostgresQueryResult } from 'kysely'
import type pg from 'pg'

const MARK = '/* prepared */'
/**
 * Marks a statement that is asked again and again: Postgres reads and plans it once for each session. Only for one
 * that is best answered in one way whatever it asks for, and whose text is always the same: a session keeps each.
 */
export const PREPARED = sql.raw(MARK)

/**
 * An array the planner does not see: shown how long it is, it would plan a prepared statement anew for each, which takes
 * longer than to look up a few rows.
 */
export const unseen = (values: readonly (string | number)[], type: 'text' | 'integer'): RawBuilder<unknown> => sql`(select ${values}::${sql.raw(type)}[])::${sql.raw(type)}[]`

const names = new Map<string, string>()
/** Its name in a session: a hash, since Postgres cuts names at 63 bytes. */
const nameOf = (text: string): string => {
  let name = names.get(text)
  if (name === undefined) names.set(text, (name = createHash('sha256').update(text).digest('base64url')))
  return name
}

const UNWAITED_MARK = '/* unwaited */'
/**
 * Marks a statement of a transaction whose answer nobody needs: it goes on its way and is answered with nothing at once.
 * Where it fails, the next statement that is waited for fails with what it said, the commit at the latest.
 */
export const UNWAITED = sql.raw(UNWAITED_MARK)

const THEN_MARK = '/* then */'
/** Stands behind statements without values, which go ahead of the one that follows, in the same trip: so that one may be prepared. */
export const THEN = sql.raw(THEN_MARK)

/**
 * Kysely on a pool, as all of Kehu asks Postgres through it: marked statements are prepared, or not waited for; of
 * several statements in one text, which go to Postgres in one trip, the rows of the last are answered; and a transaction
 * begins in one trip with its first statement, where that one has no values beside it.
 */
export const kyselyOn = (pool: pg.Pool): Kysely<unknown> =>
  new Kysely<unknown>({ dialect: new PostgresDialect({ pool: { options: pool.options, connect: async () => frugalClient(await pool.connect()), end: () => pool.end() } }) })

/** For statements that are made here and sent over a connection that is there already. */
const dialect: Dialect = { createDriver: () => new DummyDriver(), createAdapter: () => new PostgresAdapter(), createQueryCompiler: () => new PostgresQueryCompiler(), createIntrospector: (db) => new PostgresIntrospector(db) }

/**
 * A transaction, or a connection, of which several may ask at once: Kysely's own sends nothing before what was sent last
 * is answered. What is asked in one turn goes in one piece and is answered together, so that what follows from it goes
 * together too. What is asked when `work` has come to an end, and the transaction with it, is refused.
 */
export const concurrently = <Result>(db: Kysely<unknown>, work: (trx: Transaction<unknown>) => Promise<Result>): Promise<Result> => {
  const executor = db.getExecutor()
  return executor.provideConnection((connection) => {
    let over = false
    // Asked any later it would go behind the rollback, and be kept.
    const provideConnection = <Answer>(ask: (one: typeof connection) => Promise<Answer>): Promise<Answer> => (over ? Promise.reject(new Error('the transaction is over')) : ask(connection))
    const shared = new Transaction<unknown>({ config: { dialect }, dialect, driver: new DummyDriver(), executor: executor.withConnectionProvider({ provideConnection }) })
    return work(shared).finally(() => {
      over = true
    })
  })
}

const nothing: PostgresQueryResult<never> = { command: 'SELECT', rowCount: 0, rows: [] }

/** A client that takes as few trips to Postgres as it can. */
const frugalClient = (client: pg.PoolClient): PostgresPoolClient => {
  let toBegin = false
  let underWay: Promise<unknown>[] = []
  let ofThisTurn: Promise<unknown>[] | undefined

  const send = async (text: string, values: readonly unknown[]): Promise<unknown> => {
    const result: unknown = await client.query({ text, values: [...values], ...(text.includes(MARK) ? { name: nameOf(text) } : {}) })
    return Array.isArray(result) ? result.at(-1) : result
  }
  /** The answer, once those before it that nobody waited for have come as well: the first that failed says why. */
  const waitFor = async (last: Promise<unknown>): Promise<unknown> => {
    const all = [...underWay, last]
    underWay = []
    const together = (ofThisTurn ??= beginTurn())
    together.push(last)
    for (const one of await Promise.allSettled(all)) if (one.status === 'rejected') throw one.reason
    if (together.length > 1) await Promise.allSettled(together)
    return last
  }
  const beginTurn = (): Promise<unknown>[] => {
    setImmediate(() => (ofThisTurn = undefined))
    return []
  }
  const ask = (text: string, values: readonly unknown[]): Promise<unknown> => {
    const answer = send(text, values)
    if (!text.includes(UNWAITED_MARK)) return waitFor(answer)
    goAhead(answer)
    return Promise.resolve(nothing)
  }
  const goAhead = (answer: Promise<unknown>): void => {
    answer.catch(() => undefined)
    underWay.push(answer)
  }
  function query<R>(text: string, values: readonly unknown[]): Promise<PostgresQueryResult<R>>
  function query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>
  function query(text: string | PostgresCursor<unknown>, values: readonly unknown[] = []): unknown {
    if (typeof text !== 'string') throw new Error('no cursors are used here')
    const begins = toBegin
    toBegin = text === 'begin'
    if (toBegin || (begins && (text === 'commit' || text === 'rollback'))) return Promise.resolve(nothing)
    if (text === 'rollback') {
      // Whatever is under way is undone: what it has to say does not matter.
      underWay = []
      return send(text, values)
    }
    const [ahead = '', following] = text.split(THEN_MARK)
    if (following !== undefined) {
      goAhead(send(begins ? `begin; ${ahead}` : ahead, []))
      return ask(following, values)
    }
    if (!begins) return ask(text, values)
    return values.length === 0 && !text.includes(MARK) ? ask(`begin; ${text}`, []) : send('begin', []).then(() => ask(text, values))
  }
  return { query, release: (destroy) => client.release(destroy) }
}
