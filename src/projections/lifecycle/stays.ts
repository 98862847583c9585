import { lastOwned, ownershipAfter, type OwnershipChanges } from '../../domain/customer/ownership-changes.ts'
import type { CustomerEvent } from '../../domain/customer/events.ts'
import type { Instant, Recorded } from '../../domain/decider.ts'
import { storedChanges } from '../owner-changes.ts'
import type { LifecycleTables } from './tables.ts'

export type Customer = LifecycleTables['customer']
export type Stay = LifecycleTables['stay']
/** Where a customer stands: its row, whose it was, and the stay that lasts on each axis. */
export type Standing = { customer: Customer; ownership: OwnershipChanges; stage: Stay; tier: Stay }
/** What an event does: the standing after it, and the stays it began or ended. */
export type Step = { standing: Standing; stays: readonly Stay[] }

/** What begins a customer: its first stay on each axis, from nowhere. */
export const begin = (customerId: string, event: Recorded<Extract<CustomerEvent, { type: 'CustomerCreated' }>>): Step => {
  const { effectiveAt: at, revision, data } = event
  const { category, stage, tier, enteredBy } = data
  const first = { customer_id: customerId, revision, entered_at: at, came_from: null, came_by: 'entry', left_at: null, next: null, move: null, category }
  const ownership = ownershipAfter(null, event)
  const standing: Standing = {
    ownership,
    customer: { customer_id: customerId, category, stage, stage_since: at, tier, tier_since: at, entered_at: at, responsible_id: enteredBy, responsible_since: null, entered_by: enteredBy, ownership: storedChanges(ownership), absorbed: false },
    stage: { ...first, axis: 'stage', name: stage },
    tier: { ...first, axis: 'tier', name: tier },
  }
  return { standing, stays: [standing.stage, standing.tier] }
}

/**
 * The stay that an event ends, and the one it begins. The log decides the order of moves, as it does for the customer
 * itself: one that says it took effect before the stay it ends began counts from when that stay began.
 */
const pass = (stay: Stay, { revision, effectiveAt }: { revision: number; effectiveAt: Instant }, to: string, move: string, category: string): { left: Stay; entered: Stay } => {
  const at = effectiveAt < stay.entered_at ? stay.entered_at : effectiveAt
  return {
    left: { ...stay, left_at: at, next: to, move },
    entered: { customer_id: stay.customer_id, axis: stay.axis, revision, name: to, entered_at: at, came_from: stay.name, came_by: move, left_at: null, next: null, move: null, category },
  }
}

/** What an event makes of where a customer stands; undefined when it is none of the lifecycle's. */
export const step = (standing: Standing, event: Recorded<CustomerEvent>): Step | undefined => {
  const { customer, stage, tier } = standing
  switch (event.type) {
    case 'StageChanged': {
      const { left, entered } = pass(stage, event, event.data.to, event.data.move, customer.category)
      return { standing: { ...standing, customer: { ...customer, stage: entered.name, stage_since: entered.entered_at }, stage: entered }, stays: [left, entered] }
    }
    case 'TierUpgraded':
    case 'TierDowngraded': {
      const { left, entered } = pass(tier, event, event.data.to, event.type === 'TierUpgraded' ? 'up' : 'down', customer.category)
      return { standing: { ...standing, customer: { ...customer, tier: entered.name, tier_since: entered.entered_at }, tier: entered }, stays: [left, entered] }
    }
    case 'CustomerRecategorised':
      return { standing: { ...standing, customer: { ...customer, category: event.data.to } }, stays: [] }
    case 'CustomerAbsorbed':
      return { standing: { ...standing, customer: { ...customer, absorbed: true } }, stays: [] }
    case 'MergeReversed':
      return { standing: owned({ ...standing, customer: { ...customer, absorbed: false } }, event), stays: [] }
    default: {
      const after = owned(standing, event)
      return after.ownership === standing.ownership ? undefined : { standing: after, stays: [] }
    }
  }
}

const owned = (standing: Standing, event: Recorded<CustomerEvent>): Standing => {
  const ownership = ownershipAfter(standing.ownership, event)
  const { customer } = standing
  const responsible = lastOwned(ownership)
  return { ...standing, ownership, customer: { ...customer, ownership: storedChanges(ownership), responsible_id: responsible?.ownerId ?? customer.entered_by, responsible_since: responsible?.at ?? null } }
}
