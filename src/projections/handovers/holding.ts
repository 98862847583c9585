import { sql, type Kysely } from 'kysely'
import { z } from 'zod'
import { customer, ownerOf, ownershipNow, type Customer } from '../../domain/customer/customer.ts'
import type { CustomerEvent, StoredFields } from '../../domain/customer/events.ts'
import type { Recorded } from '../../domain/decider.ts'
import { regionOf } from '../../domain/handover/region.ts'
import { PREPARED } from '../kysely.ts'
import { StoredChanges, storedChanges } from '../owner-changes.ts'
import type { HandoverTables } from './tables.ts'

/** A customer as far as a handover goes by it, and by which event its present owner came to hold it. */
export type Holding = { customerId: string; ordinal: bigint; state: Customer; region: string | null; ownerId: string | null; heldOrdinal: bigint; heldSince: number }

/** The events that change any of it; of others nothing is read: of a profile what says where the customer is. */
export const isOfHoldings = (event: CustomerEvent): boolean =>
  event.type === 'ProfileChanged' ? regionOf(event.data.fields) !== undefined : event.type.startsWith('Ownership') || others.has(event.type)
const others: ReadonlySet<CustomerEvent['type']> = new Set(['CustomerCreated', 'CustomerRecategorised', 'TierUpgraded', 'TierDowngraded', 'CustomerAbsorbed', 'MergeReversed'])

const Row = z.object({
  customer_id: z.string(), ordinal: z.string(), owner_id: z.string().nullable(), held_ordinal: z.string(), held_since: z.number(), tier: z.string(), category: z.string(), region: z.string().nullable(),
  ownership: StoredChanges, absorbed_into: z.string().nullable(),
})

export const loadHoldings = async (db: Kysely<unknown>, schema: string, customerIds: readonly string[]): Promise<Map<string, Holding>> => {
  const { rows } = await sql`${PREPARED} select * from ${sql.table(`${schema}.holding`)} where customer_id = any(${[...customerIds]}::text[])`.execute(db)
  return new Map(z.array(Row).parse(rows).map((row) => [row.customer_id, {
    customerId: row.customer_id, ordinal: BigInt(row.ordinal), region: row.region, ownerId: row.owner_id, heldOrdinal: BigInt(row.held_ordinal), heldSince: row.held_since,
    state: {
      ...customer.initialState, status: 'entered', tier: row.tier, category: row.category, absorption: row.absorbed_into === null ? null : { mergeId: '', into: row.absorbed_into },
      ownership: row.ownership,
    },
  }]))
}

const fieldsSaid = (event: CustomerEvent): StoredFields => ('fields' in event.data && (event.type === 'CustomerCreated' || event.type === 'ProfileChanged' || event.type === 'CustomerRecategorised') ? event.data.fields : {})

/** After one more event. A holding begins anew with each change of owner that counts, also to the same one. */
export const evolveHolding = (customerId: string, before: Holding | undefined, event: Recorded<CustomerEvent>, ordinal: bigint): Holding | undefined => {
  if (!before && event.type !== 'CustomerCreated') return undefined
  const old = before ?? { customerId, ordinal, state: customer.initialState, region: null, ownerId: null, heldOrdinal: ordinal, heldSince: event.revision }
  const state = customer.evolve(old.state, event)
  const ownerId = state.absorption === null ? ownerOf(state) : null
  const region = regionOf(fieldsSaid(event))
  const goesOn = ownerId === old.ownerId && ownershipNow(state)?.revision === ownershipNow(old.state)?.revision
  return { ...old, state, ownerId, region: region === undefined ? old.region : region, ...(goesOn ? {} : { heldOrdinal: ordinal, heldSince: event.revision }) }
}

export const toHoldingRow = ({ customerId, ordinal, state, region, ownerId, heldOrdinal, heldSince }: Holding): HandoverTables['holding'] => ({
  customer_id: customerId, ordinal: String(ordinal), owner_id: ownerId, held_ordinal: String(heldOrdinal), held_since: heldSince, tier: state.tier, category: state.category, region,
  ownership: storedChanges(state.ownership), absorbed_into: state.absorption?.into ?? null,
})
