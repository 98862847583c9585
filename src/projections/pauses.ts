import { sql, type Kysely } from 'kysely'
import { listen } from './listen.ts'

/** Which read models an operator has paused: kept in Postgres, so that it reaches every process and outlives them. */
export type Pauses = {
  isPaused: (model: string) => boolean
  /** Calls back whenever what is paused has changed, until the function it answers is called. */
  onChange: (changed: () => void) => () => void
  close: () => Promise<void>
}

const CHANNEL = 'kehu_projection_pause'
/** Looked at this often besides being told: a notification that is lost delays, it never loses. */
const LOOK_MS = 1000

export const readPauses = async (db: Kysely<unknown>): Promise<Set<string>> => {
  const { rows } = await sql<{ model: string }>`select model from kehu.projection_pause`.execute(db)
  return new Set(rows.map((row) => row.model))
}

/** Stops a read model after the batch it is at, wherever it runs. Its queries answer as of where it stands. */
export const pauseModel = async (db: Kysely<unknown>, model: string): Promise<void> => {
  await sql`insert into kehu.projection_pause (model) values (${model}) on conflict (model) do nothing`.execute(db)
  await sql`select pg_notify(${CHANNEL}, ${model})`.execute(db)
}

/** Lets it go on from where it stands. */
export const resumeModel = async (db: Kysely<unknown>, model: string): Promise<void> => {
  await sql`delete from kehu.projection_pause where model = ${model}`.execute(db)
  await sql`select pg_notify(${CHANNEL}, ${model})`.execute(db)
}

/** Knows from the first what is paused, and hears of every change. */
export const watchPauses = async (db: Kysely<unknown>, connectionString: string): Promise<Pauses> => {
  let paused = await readPauses(db)
  const waiting = new Set<() => void>()
  const look = async (): Promise<void> => {
    const now = await readPauses(db)
    const changed = now.size !== paused.size || [...now].some((model) => !paused.has(model))
    paused = now
    if (changed) for (const tell of waiting) tell()
  }
  // Out of reach: as it was, until it can be looked at again.
  const lookAgain = () => void look().catch(() => undefined)
  const timer = setInterval(lookAgain, LOOK_MS)
  const listener = listen(connectionString, CHANNEL, lookAgain, lookAgain)
  return {
    isPaused: (model) => paused.has(model),
    onChange: (changed) => {
      waiting.add(changed)
      return () => waiting.delete(changed)
    },
    close: () => {
      clearInterval(timer)
      return listener.close()
    },
  }
}

/** Nothing is ever paused: for runs that no operator watches. */
export const neverPaused: Pauses = { isPaused: () => false, onChange: () => () => undefined, close: async () => undefined }
