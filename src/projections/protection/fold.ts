import { z } from 'zod'
import type { CustomerEvent } from '../../domain/customer/events.ts'
import { ownershipAfter, type OwnershipChanges } from '../../domain/customer/ownership-changes.ts'
import { applyProtection, latest, unprotected, type Facts, type Protection } from '../../domain/customer/protection.ts'
import type { Recorded } from '../../domain/decider.ts'
import { StoredChanges, storedChanges } from '../owner-changes.ts'
import type { ProtectionTables } from './tables.ts'

/** A customer while events are folded into it: the domain's own state of its protection, and what only lies beside its stream. */
export type Folded = {
  customerId: string; survivorId: string; absorbedInto: string | null; category: string; tier: string; ownership: OwnershipChanges; protection: Protection
  followedUpAt: string | null; boughtAt: string | null; openComplaints: number
}

const Time = z.date().transform((date) => date.toISOString())
export const Row = z.object({
  customer_id: z.string(), survivor_id: z.string(), absorbed_into: z.string().nullable(), category: z.string(), tier: z.string(), ownership: StoredChanges, owner_id: z.string().nullable(), owner_at: Time, protected_from: Time, locked: z.boolean(),
  lock_until: Time.nullable(), warned_since: Time.nullable(), followed_up_at: Time.nullable(), bought_at: Time.nullable(), open_complaints: z.number(),
  since: Time, all_bought_at: Time.nullable(), all_open_complaints: z.number(), warned: z.boolean(),
})

/** What a row tells of the protection itself. */
export const protectionOf = (row: Pick<z.output<typeof Row>, 'owner_id' | 'owner_at' | 'protected_from' | 'locked' | 'lock_until' | 'warned_since'>): Protection =>
  ({ ...unprotected, holder: { ownerId: row.owner_id, at: row.owner_at }, from: row.protected_from, lock: row.locked ? { until: row.lock_until } : null, warnedSince: row.warned_since })

export const fromRow = (row: z.output<typeof Row>): Folded => ({
  customerId: row.customer_id, survivorId: row.survivor_id, absorbedInto: row.absorbed_into, category: row.category, tier: row.tier, ownership: row.ownership, protection: protectionOf(row),
  followedUpAt: row.followed_up_at, boughtAt: row.bought_at, openComplaints: row.open_complaints,
})

/** The row of a customer; `all`: itself, and whoever it stands for. */
export const toRow = ({ customerId, survivorId, absorbedInto, category, tier, ownership, protection, ...own }: Folded, all: readonly Folded[]): ProtectionTables['standing'] => {
  const facts = factsOf(all)
  const since = latest(protection.from, facts.followedUpAt) ?? protection.from
  return {
    customer_id: customerId, survivor_id: survivorId, absorbed_into: absorbedInto, category, tier, ownership: storedChanges(ownership), owner_id: protection.holder.ownerId, owner_at: protection.holder.at, protected_from: protection.from,
    locked: protection.lock !== null, lock_until: protection.lock?.until ?? null, warned_since: protection.warnedSince, followed_up_at: own.followedUpAt, bought_at: own.boughtAt, open_complaints: own.openComplaints,
    since, idle_since: latest(since, facts.boughtAt) ?? since, warned: protection.warnedSince === since, all_bought_at: facts.boughtAt, all_open_complaints: all.reduce((sum, one) => sum + one.openComplaints, 0),
  }
}

const factsOf = (all: readonly Folded[]): Facts =>
  ({ followedUpAt: latest(...all.map((one) => one.followedUpAt)), boughtAt: latest(...all.map((one) => one.boughtAt)), openComplaint: all.some((one) => one.openComplaints > 0) })

/** After an event of its own stream: itself where that changes nothing here; undefined for one that was never entered. */
export const evolve = (customerId: string, before: Folded | undefined, event: Recorded<CustomerEvent>): Folded | undefined => {
  if (event.type === 'CustomerCreated') {
    const { category, tier } = event.data
    const ownership = ownershipAfter(null, event)
    return { customerId, survivorId: customerId, absorbedInto: null, category, tier, ownership, protection: applyProtection(unprotected, event, null, ownership), followedUpAt: null, boughtAt: null, openComplaints: 0 }
  }
  if (!before) return undefined
  const ownership = ownershipAfter(before.ownership, event)
  const protection = applyProtection(before.protection, event, before.ownership, ownership)
  const after = ownership === before.ownership && protection === before.protection ? before : { ...before, ownership, protection }
  switch (event.type) {
    case 'CustomerRecategorised':
      return { ...after, category: event.data.to }
    case 'TierUpgraded':
    case 'TierDowngraded':
      return { ...after, tier: event.data.to }
    case 'CustomerAbsorbed':
      return { ...after, absorbedInto: event.data.into }
    case 'MergeReversed':
      return { ...after, absorbedInto: null }
    default:
      return after
  }
}
