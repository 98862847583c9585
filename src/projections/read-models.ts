import { sql, type Kysely } from 'kysely'
import pg from 'pg'
import { readCheckpoint } from './checkpoint.ts'
import { schemaOf, type Projection } from './projection.ts'

/** As of which position and time of the log an answer is. */
export type AsOf = { position: bigint; time: string | null }

/** The model is being built: how far it is. */
export class ModelBuilding extends Error {
  override name = 'ModelBuilding'
  readonly model: string
  readonly position: bigint
  constructor(model: string, position: bigint) {
    super(`${model} is being built and has read up to position ${position}`)
    this.model = model
    this.position = position
  }
}
/** The model has not reached the asked position in time. */
export class NotCaughtUp extends Error {
  override name = 'NotCaughtUp'
}

/** How queries reach a read model: ready, as late as asked for, rows and position from one snapshot. */
export type ReadModels = {
  query: <T>(projection: Projection, options: { after?: bigint | undefined }, ask: (db: Kysely<unknown>, schema: string) => Promise<T>) => Promise<{ result: T; asOf: AsOf }>
  close: () => Promise<void>
}

const POLL_MS = 100

export const makeReadModels = (options: { db: Kysely<unknown>; connectionString: string; waitMs: number }): ReadModels => {
  const { db } = options
  const reached = new Map<string, bigint>()
  const waiting = new Set<() => void>()
  const advance = (model: string, version: string | number, position: bigint) => {
    reached.set(`${model} ${version}`, position)
    for (const wake of waiting) wake()
  }
  const listener = listen(options.connectionString, (payload) => {
    const [model, version, build, position] = payload.split(' ')
    if (model && version && build === 'live' && position) advance(model, version, BigInt(position))
  })

  const waitFor = async (projection: Projection, position: bigint): Promise<void> => {
    const key = `${projection.model} ${projection.version}`
    const until = performance.now() + options.waitMs
    // What was heard may be of before a rebuild: only the checkpoint itself settles it, when it says no.
    while ((reached.get(key) ?? -1n) < position) {
      const checkpoint = await readCheckpoint(db, projection)
      if (checkpoint && checkpoint.position >= position) return
      const left = until - performance.now()
      if (left <= 0) throw new NotCaughtUp(`${projection.model} stands at position ${checkpoint?.position ?? 0n}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, Math.min(POLL_MS, left))
        function done() {
          clearTimeout(timer)
          waiting.delete(done)
          resolve()
        }
        waiting.add(done)
        if ((reached.get(key) ?? -1n) >= position) done()
      })
    }
  }

  return {
    query: async (projection, { after }, ask) => {
      if (after !== undefined && after > 0n) await waitFor(projection, after)
      return db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(async (trx) => {
        const checkpoint = await readCheckpoint(trx, projection)
        if (!checkpoint?.ready) throw new ModelBuilding(projection.model, checkpoint?.position ?? 0n)
        const result = await ask(trx, schemaOf(projection))
        return { result, asOf: { position: checkpoint.position, time: checkpoint.recordedMax } }
      })
    },
    close: listener.close,
  }
}

/** Hears of progress made by any process. Losing it only makes waiting slower. */
const listen = (connectionString: string, hear: (payload: string) => void) => {
  let closed = false
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  const connect = async (): Promise<void> => {
    if (closed) return
    const fresh = new pg.Client({ connectionString, application_name: 'kehu progress', keepAlive: true, connectionTimeoutMillis: 5000 })
    const again = () => {
      if (client === fresh) client = undefined
      if (!closed) timer = setTimeout(() => void connect(), 500)
    }
    fresh.on('error', () => void fresh.end().catch(() => undefined))
    fresh.on('notification', (message) => hear(message.payload ?? ''))
    try {
      await fresh.connect()
      await fresh.query('listen kehu_projection')
      client = fresh
      fresh.on('end', again)
    } catch {
      await fresh.end().catch(() => undefined)
      again()
    }
  }
  void connect()
  return {
    close: async () => {
      closed = true
      clearTimeout(timer)
      await client?.end().catch(() => undefined)
    },
  }
}

/** Every version of every model that Postgres holds. */
export const listCheckpoints = async (db: Kysely<unknown>) => {
  const { rows } = await sql<{ model: string; version: number; build: string; position: string; ready: boolean; stopped: string | null; recorded_max: string | null }>`
    select model, version, build, position, ready, stopped, recorded_max from kehu.checkpoint order by model, version, build`.execute(db)
  return rows.map((row) => ({ model: row.model, version: row.version, build: row.build, position: BigInt(row.position), ready: row.ready, stopped: row.stopped, time: row.recorded_max }))
}
