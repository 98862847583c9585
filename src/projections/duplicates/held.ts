import type { Transaction } from 'kysely'
import type { ProjectedEvent } from '../projection.ts'
import { deleteRows, insertRows, tableNamed } from '../rows.ts'
import { tables, type DuplicatesTables } from './tables.ts'

type Held = DuplicatesTables['held_identifier']
const heldIdentifier = tableNamed(tables, 'held_identifier')

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
  const released = [...held].flatMap(([identity, row]) => (row === null ? [identity] : []))
  const rows = [...held.values()].filter((row) => row !== null)
  await deleteRows(trx, schema, heldIdentifier, 'identity', released)
  await insertRows(trx, schema, heldIdentifier, rows, { key: ['identity'], update: ['kind', 'customer_id', 'held_since', 'revision'] })
}
