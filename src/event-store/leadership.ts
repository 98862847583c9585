import pg from 'pg'
import { connecting } from './postgres/connection.ts'
import { within } from './waiting.ts'

/**
 * The one leader for a name across all processes. `lost` aborts when the lead is gone, or may be by now; who acts on
 * for a moment all the same is stopped by what it writes (a checkpoint moved from where it was read, a command's key).
 */
export type Leadership = { lost: AbortSignal; resign: () => Promise<void> }

/** A session that says nothing for so long Postgres ends, and its lead with it: also that of a process that stands still. */
const LEASE_MS = 10_000
/** It says something so often in that time. */
const BEATS = 5
const RESIGN_MS = 1000

/**
 * Tries to become the one leader; undefined when another is, or Postgres is out of reach. The lead is a lock of a
 * session: it goes with its connection, however the process ends, and with a silence of `leaseMs`.
 */
export const lead = async (connectionString: string, name: string, leaseMs = LEASE_MS): Promise<Leadership | undefined> => {
  const client = new pg.Client({ connectionString, application_name: name.slice(0, 63), ...connecting(), query_timeout: leaseMs })
  const lost = new AbortController()
  client.on('error', () => lost.abort())
  client.on('end', () => lost.abort())
  const resign = () => within(RESIGN_MS, () => new Error('no answer'), client.end()).catch(() => undefined)
  try {
    await client.connect()
    const asked = performance.now()
    const { rows } = await client.query<{ set: string; got: boolean }>(`select set_config('idle_session_timeout', $2, false) as set, pg_try_advisory_lock(hashtextextended($1, 0)) as got`, [name, String(leaseMs)])
    if (rows[0]?.got) {
      keepUp(client, { asked, leaseMs }, lost)
      return { lost: lost.signal, resign }
    }
  } catch {
    // Out of reach: tried again like a lock somebody else has.
  }
  await resign()
  return undefined
}

/** Tells Postgres that this one is still there, until it is not: by its own clock too, for a silent network tells nobody. */
const keepUp = (client: pg.Client, { asked, leaseMs }: { asked: number; leaseMs: number }, lost: AbortController): void => {
  let heard = asked
  let asking = false
  const beating = setInterval(() => {
    if (performance.now() - heard > leaseMs) return lost.abort()
    if (asking) return
    asking = true
    const sent = performance.now()
    client.query('select').then(() => {
      heard = sent
      asking = false
    }, () => lost.abort())
  }, leaseMs / BEATS)
  const stop = () => clearInterval(beating)
  if (lost.signal.aborted) stop()
  else lost.signal.addEventListener('abort', stop, { once: true })
}
