import type { Transaction } from 'kysely'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { projectHeld } from './held.ts'
import { projectRecords } from './records.ts'
import { tables } from './tables.ts'

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  await projectHeld(trx, schema, events)
  await projectRecords(trx, schema, events)
}

export const duplicates: Projection = { model: 'duplicates', version: 3, kinds: ['customer', 'category'], tables, project }
