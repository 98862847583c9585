import { sql, type Transaction } from 'kysely'
import type { ProjectedEvent } from '../projection.ts'
import type { DuplicatesTables } from './tables.ts'

type Held = DuplicatesTables['held_identifier']

/** Who holds which identifier: folds a batch to what each identity ends as, and writes that once. */
export const projectHeld = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const held = new Map<string, Held | null>()
  for (const one of events) {
    if (one.kind !== 'customer') continue
    const { event, id } = one
    const hold = ({ identity, kind }: { identity: string; kind: string }) =>
      held.set(identity, { identity, kind, customer_id: id, held_since: event.recordedAt, revision: event.revision })
    if (event.type === 'CustomerCreated') event.data.identifiers.forEach(hold)
    else if (event.type === 'IdentifierAdded') hold(event.data)
    else if (event.type === 'IdentifierReleased') held.set(event.data.identity, null)
  }
  const table = sql.table(`${schema}.held_identifier`)
  const released = [...held].flatMap(([identity, row]) => (row === null ? [identity] : []))
  const rows = [...held.values()].filter((row) => row !== null)
  if (released.length > 0) await sql`delete from ${table} where identity = any(${released}::text[])`.execute(trx)
  if (rows.length === 0) return
  await sql`
    insert into ${table} (identity, kind, customer_id, held_since, revision)
    select * from unnest(${rows.map((row) => row.identity)}::text[], ${rows.map((row) => row.kind)}::text[], ${rows.map((row) => row.customer_id)}::text[],
      ${rows.map((row) => row.held_since)}::timestamptz[], ${rows.map((row) => row.revision)}::integer[])
    on conflict (identity) do update set kind = excluded.kind, customer_id = excluded.customer_id, held_since = excluded.held_since, revision = excluded.revision`.execute(trx)
}
