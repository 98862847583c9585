import pg from 'pg'

/**
 * Receipts that wait for their events: where the log is not in Postgres they are written down first. Who is killed
 * in between leaves one behind.
 */

/** A process looks once a minute for what is older than a minute (src/event-store/eventstoredb/receipts.ts). */
const SWEPT_MS = 120_000
const SLACK_MS = 15_000

type Row = { command_id: string; stream: string; expected_revision: number; age: number; kept: boolean }

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const query = async <Result extends pg.QueryResultRow>(databaseUrl: string, text: string, values: unknown[]): Promise<Result[]> => {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: 'torture' })
  client.on('error', () => undefined)
  await client.connect()
  return client.query<Result>(text, values).then(({ rows }) => rows).finally(() => client.end().catch(() => undefined))
}

/** Those of these commands whose receipts wait. */
export const whosePending = async (databaseUrl: string, commandIds: readonly string[]): Promise<Set<string>> =>
  new Set((await query<{ command_id: string }>(databaseUrl, 'select command_id from kehu.pending_append where command_id = any($1)', [commandIds])).map((row) => row.command_id))

/**
 * Once every command of callers has been asked for, no receipt waits that nobody has: what is left are attempts that
 * came to nothing, of commands that have their receipts or were a process's, which is sent under another key once what
 * it rests on has changed; and none that should have been swept. With `untilSwept` waits until none is left at all,
 * which takes up to two minutes.
 */
export const checkPending = async (databaseUrl: string, asked: ReadonlySet<string>, untilSwept: boolean): Promise<{ faults: string[]; left: number }> => {
  const look = () => query<Row>(databaseUrl, `
    select p.command_id, p.stream, p.expected_revision, extract(epoch from clock_timestamp() - p.since)::float8 * 1000 as age,
      exists (select from kehu.receipt r where r.command_id = p.command_id) as kept
    from kehu.pending_append p order by p.turn`, [])
  const rows = await look()
  const told = ({ command_id, stream, expected_revision, age }: Row) => `an append of ${command_id} to ${stream} after revision ${expected_revision}, ${Math.round(age)} ms old`
  const faults = rows.flatMap((row) => [
    ...(row.kept || !asked.has(row.command_id) ? [] : [`${told(row)}, is pending and its command has no receipt`]),
    ...(row.age > SWEPT_MS + SLACK_MS ? [`${told(row)}, was not swept`] : []),
  ])
  if (!untilSwept) return { faults, left: rows.length }
  let rest = rows
  for (const until = performance.now() + SWEPT_MS + SLACK_MS; rest.length > 0 && performance.now() < until; rest = await look()) await pause(500)
  return { faults: [...faults, ...rest.map((row) => `${told(row)}, is never swept`)], left: rows.length }
}
