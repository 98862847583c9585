import pg from 'pg'

/** Who leads holds a lock of Postgres by that name: a projection, or a process. Appends take another, for an instant. */
const LEADERS = `
  select l.classid::text || '.' || l.objid::text as lock, a.application_name as life
  from pg_locks l join pg_stat_activity a using (pid)
  where l.locktype = 'advisory' and l.granted and l.classid <> 0 and a.datname = current_database()`

const LOOK_MS = 20
/** Nobody came. */
const GIVEN_UP_MS = 60_000

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

export type Takeovers = {
  /** Looks what these processes (by the names of their connections) lead; call what is answered when they are killed. */
  from: (lives: readonly string[]) => Promise<() => void>
  /** How often somebody who led was killed and nothing else came between, and how long the slowest replacement took. */
  measured: () => { count: number; slowestMs: number }
}

/**
 * How long what a killed process led is led by nobody. `disturbances` counts what else holds a replacement up: more
 * deaths, freezes. Where there was any meanwhile, nothing is measured.
 */
export const watchTakeovers = (databaseUrl: string, disturbances: () => number): Takeovers => {
  const times: number[] = []

  const leaders = async (): Promise<{ lock: string; life: string }[] | undefined> => {
    const client = new pg.Client({ connectionString: databaseUrl, application_name: 'torture itself' })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return (await client.query<{ lock: string; life: string }>(LEADERS)).rows
    } catch {
      return undefined
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  const measure = async (lives: readonly string[], locks: readonly string[]): Promise<void> => {
    const began = performance.now()
    const before = disturbances()
    for (;;) {
      await pause(LOOK_MS)
      const led = new Set((await leaders())?.filter(({ life }) => !lives.includes(life)).map(({ lock }) => lock))
      if (disturbances() !== before) return
      if (locks.every((lock) => led.has(lock)) || performance.now() - began > GIVEN_UP_MS) break
    }
    times.push(performance.now() - began)
  }

  return {
    from: async (lives) => {
      const locks = (await leaders())?.filter(({ life }) => lives.includes(life)).map(({ lock }) => lock) ?? []
      return () => {
        if (locks.length > 0) void measure(lives, locks)
      }
    },
    measured: () => ({ count: times.length, slowestMs: Math.max(0, ...times) }),
  }
}
