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
  /** Its place among changes of the same instant: that of the change it corrects, else its revision. */
  place: number
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
    case 'OwnershipCorrected':
      return { ownerId: event.data.ownerId, basis: event.data.basis, reason: reveal(event.data.reason) ?? null }
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

type Known = { current: Period[]; closed: Period[] }

/**
 * The history of one customer after one more change, known from `ordinal` on. What it overlaps is closed as known
 * and known anew, shorter; nothing is lost. A backdated change counts up to the next effective one; a correction takes
 * the one it names out.
 * `current` holds the periods known now, in order of effective time, ties by place; it is left as it was.
 */
export const withChange = (current: readonly Period[], event: Recorded<CustomerEvent>, ordinal: bigint): Known => {
  const change = ownershipChange(event)
  // Settled anew by a reversal below it while it is part of another: whoever holds that one still holds it.
  if (!change || (event.type === 'OwnershipSettled' && isPart(current))) return { current: [...current], closed: [] }
  const at = event.effectiveAt
  const period: Period = {
    ...change, actor: event.actor, onBehalfOf: event.onBehalfOf, policyVersion: event.policies.find((policy) => policy.name === 'ownership')?.version ?? null,
    effectiveAt: at, recordedAt: event.recordedAt, revision: event.revision, place: event.revision, ordinal, to: null, knownFrom: ordinal, knownTo: null,
  }
  if (event.type !== 'OwnershipCorrected') return placed(current, period)
  const { correctsRevision } = event.data
  const index = current.findIndex((one) => one.revision === correctsRevision)
  const corrected = current[index]
  if (!corrected) return placed(current, period)
  const known = { ...corrected, knownTo: ordinal }
  // At the same time it stands in its very place: what came after it at that instant still does.
  if (corrected.effectiveAt === at) return { current: current.with(index, { ...period, place: corrected.place, to: corrected.to }), closed: [known] }
  const without = taken(current, index, ordinal)
  const after = placed(without.current, period)
  // What was known for nothing was never known.
  return { current: after.current, closed: [...without.closed, known, ...after.closed].filter((one) => one.knownFrom !== one.knownTo) }
}

/** Whether the customer is part of another: nobody holds it by itself, because of a merge. */
const isPart = (current: readonly Period[]): boolean => {
  const now = current.at(-1)
  return now?.ownerId === null && now.basis === 'merge'
}

/** With one period more, at its place. */
const placed = (current: readonly Period[], period: Period): Known => {
  const { effectiveAt: at, knownFrom: ordinal } = period
  const next = current.findIndex((one) => one.effectiveAt > at)
  const index = next < 0 ? current.length : next
  const before = current[index - 1]
  const whole = { ...period, to: current[index]?.effectiveAt ?? null }
  if (!before) return { current: [whole, ...current], closed: [] }
  return { current: [...current.slice(0, index - 1), { ...before, to: at, knownFrom: ordinal }, whole, ...current.slice(index)], closed: [{ ...before, knownTo: ordinal }] }
}

/** Without one of the periods: the one before it lasts longer. */
const taken = (current: readonly Period[], index: number, ordinal: bigint): Known => {
  const before = current[index - 1]
  const rest = current.toSpliced(index, 1)
  return before ? { current: rest.with(index - 1, { ...before, to: current[index]?.to ?? null, knownFrom: ordinal }), closed: [{ ...before, knownTo: ordinal }] } : { current: rest, closed: [] }
}

/** Two changes at one instant leave the earlier one a period in which no instant lies. */
export const isEmpty = (period: Period): boolean => period.to === period.effectiveAt
