import pg from 'pg'

/** One leader for a name across all processes; the lock goes with its connection, however the process ends. */
export type Leadership = { lost: AbortSignal; resign: () => Promise<void> }

/** Tries to become the one leader; undefined when another is, or Postgres is out of reach. */
export const lead = async (connectionString: string, name: string): Promise<Leadership | undefined> => {
  const client = new pg.Client({ connectionString, application_name: name.slice(0, 63), connectionTimeoutMillis: 5000, keepAlive: true })
  const lost = new AbortController()
  client.on('error', () => lost.abort())
  client.on('end', () => lost.abort())
  try {
    await client.connect()
    const { rows } = await client.query<{ got: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as got', [name])
    if (rows[0]?.got) return { lost: lost.signal, resign: () => client.end().catch(() => undefined) }
  } catch {
    // Out of reach: tried again like a lock somebody else has.
  }
  await client.end().catch(() => undefined)
  return undefined
}
