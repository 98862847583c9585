import type { Transaction } from 'kysely'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { tables, type DuplicatesTables } from './tables.ts'

type Held = DuplicatesTables['held_identifier']

/** Folds a batch to what each identity ends as, and writes that once. */
const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const db = trx.withSchema(schema).withTables<DuplicatesTables>()
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
  const released = [...held].flatMap(([identity, row]) => (row === null ? [identity] : []))
  const rows = [...held.values()].filter((row) => row !== null)
  if (released.length > 0) await db.deleteFrom('held_identifier').where('identity', 'in', released).execute()
  if (rows.length > 0) {
    await db.insertInto('held_identifier').values(rows)
      .onConflict((conflict) => conflict.column('identity').doUpdateSet((eb) => ({
        kind: eb.ref('excluded.kind'), customer_id: eb.ref('excluded.customer_id'), held_since: eb.ref('excluded.held_since'), revision: eb.ref('excluded.revision'),
      })))
      .execute()
  }
}

export const duplicates: Projection = { model: 'duplicates', version: 1, kinds: ['customer'], tables, project }
