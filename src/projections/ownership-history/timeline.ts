import type { CustomerEvent } from '../../domain/customer/events.ts'
import { reveal, type Recorded } from '../../domain/decider.ts'

/** One row of the history while it is folded. Null in `to` and `knownTo`: open. `empty`: no instant lies in it. */
export type Period = {
  ownerId: string | null
  basis: string
  actor: string
  onBehalfOf: string | null
  reason: string | null
  policyVersion: number | null
  effectiveAt: string
  recordedAt: string
  revision: number
  ordinal: bigint
  to: string | null
  knownFrom: bigint
  knownTo: bigint | null
}

/** The change of owner an event makes; undefined for other events. The entry itself leaves a customer in the pool. */
export const ownershipChange = (event: Recorded<CustomerEvent>): Pick<Period, 'ownerId' | 'basis' | 'reason'> | undefined => {
  switch (event.type) {
    case 'CustomerCreated':
      return { ownerId: null, basis: 'first-entry', reason: null }
    case 'OwnershipClaimed':
    case 'OwnershipAssigned':
    case 'OwnershipTransferred':
      return { ownerId: event.data.ownerId, basis: event.data.basis, reason: reveal(event.data.reason ?? undefined) ?? null }
    case 'OwnershipSettled':
    case 'MergeReversed':
      return { ownerId: event.data.ownerId, basis: event.type === 'OwnershipSettled' ? event.data.basis : 'merge-reversal', reason: null }
    case 'CustomerAbsorbed':
      // From here on whoever holds the survivor holds it.
      return { ownerId: null, basis: 'merge', reason: null }
    case 'OwnershipReleased':
      return { ownerId: null, basis: event.data.basis, reason: reveal(event.data.reason ?? undefined) ?? null }
    default:
      return undefined
  }
}

/**
 * The history of one customer after one more change, known from `ordinal` on. What it overlaps is closed as known
 * and known anew, shorter; nothing is lost. A backdated change counts up to the next effective one.
 * `current` holds the periods known now, in order of effective time, ties by revision; it is left as it was.
 */
export const withChange = (current: readonly Period[], event: Recorded<CustomerEvent>, ordinal: bigint): { current: Period[]; closed: Period[] } => {
  const change = ownershipChange(event)
  if (!change) return { current: [...current], closed: [] }
  const at = event.effectiveAt
  const next = current.findIndex((period) => period.effectiveAt > at)
  const index = next < 0 ? current.length : next
  const before = current[index - 1]
  const period: Period = {
    ...change, actor: event.actor, onBehalfOf: event.onBehalfOf, policyVersion: event.policies.find((policy) => policy.name === 'ownership')?.version ?? null,
    effectiveAt: at, recordedAt: event.recordedAt, revision: event.revision, ordinal, to: current[index]?.effectiveAt ?? null, knownFrom: ordinal, knownTo: null,
  }
  if (!before) return { current: [period, ...current], closed: [] }
  const shortened = { ...before, to: at, knownFrom: ordinal }
  return { current: [...current.slice(0, index - 1), shortened, period, ...current.slice(index)], closed: [{ ...before, knownTo: ordinal }] }
}

/** Two changes at one instant leave the earlier one a period in which no instant lies. */
export const isEmpty = (period: Period): boolean => period.to === period.effectiveAt
