import pg from 'pg'
import { connecting } from './postgres/connection.ts'
import { within } from './waiting.ts'

/**
 * The one leader for a name across all processes. `lost` aborts when the lead is gone, or may be by now; who acts on
 * for a moment all the same is stopped by what it writes (a checkpoint moved from where it was read, a command's key).
 */
export type Leadership = { lost: AbortSignal; resign: () => Promise<void> }

/** A session that says nothing for so long Postgres ends, and its lead with it: also that of a process that stands still. */
const LEASE_MS = 3500
/** It says something so often in that time. */
const BEATS = 3
const RESIGN_MS = 1000

/** Sessions of those who stand by, kept for their next try: a new one each time would cost Postgres a process. */
const standingBy = new Map<string, Set<pg.Client>>()
const KEPT_MS = 3000

const makeSession = (connectionString: string, name: string, of: string, leaseMs: number): pg.Client => {
  const client = new pg.Client({ connectionString, application_name: name.slice(0, 63), ...connecting(), query_timeout: leaseMs })
  client.on('error', () => undefined)
  client.once('end', () => standingBy.get(of)?.delete(client))
  return client
}

/** Ends it unless somebody takes it soon. */
const setAside = (of: string, client: pg.Client): void => {
  const kept = standingBy.get(of) ?? new Set()
  standingBy.set(of, kept.add(client))
  setTimeout(() => {
    // Taken and set aside again meanwhile, it is kept from then on.
    if (kept.has(client) && performance.now() - (setAsideAt.get(client) ?? 0) >= KEPT_MS) void client.end().catch(() => undefined)
  }, KEPT_MS + 10).unref()
  setAsideAt.set(client, performance.now())
}
const setAsideAt = new WeakMap<pg.Client, number>()

const takeBack = (of: string): pg.Client | undefined => {
  const [client] = standingBy.get(of) ?? []
  if (client) standingBy.get(of)?.delete(client)
  return client
}

/**
 * Tries to become the one leader; undefined when another is, or Postgres is out of reach. The lead is a lock of a
 * session: it goes with its connection, however the process ends, and with a silence of `leaseMs`.
 */
export const lead = async (connectionString: string, name: string, leaseMs = LEASE_MS): Promise<Leadership | undefined> => {
  const of = `${connectionString} ${name}`
  const kept = takeBack(of)
  const client = kept ?? makeSession(connectionString, name, of, leaseMs)
  const lost = new AbortController()
  const onLoss = () => lost.abort()
  client.on('error', onLoss).on('end', onLoss)
  const resign = () => within(RESIGN_MS, () => new Error('no answer'), client.end()).catch(() => undefined)
  try {
    if (!kept) await client.connect()
    const asked = performance.now()
    const { rows } = await client.query<{ set: string; got: boolean }>(`select set_config('idle_session_timeout', $2, false) as set, pg_try_advisory_lock(hashtextextended($1, 0)) as got`, [name, String(leaseMs)])
    if (rows[0]?.got) {
      keepUp(client, { asked, leaseMs }, lost)
      return { lost: lost.signal, resign }
    }
    if (!lost.signal.aborted) {
      client.off('error', onLoss).off('end', onLoss)
      setAside(of, client)
      return undefined
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
