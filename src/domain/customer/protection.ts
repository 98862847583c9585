import type { Instant, Recorded } from '../decider.ts'
import { categoryChain, type Organisation } from '../organisation/organisation.ts'
import type { CustomerEvent } from './events.ts'
import type { OwnershipChanges } from './ownership-changes.ts'

// What a customer's stream says of its protection 保护期, and when that ends by the policy.
export type Protection = {
  /** The change of owner in force: by whom it is held, null the pool, and from when. */
  holder: { ownerId: string | null; at: Instant }
  /** When protection began, whatever was followed up since: as the holder came to hold it, by the time that was recorded, or a renewal. */
  from: Instant
  /** Kept from lapsing by a lead; null in `until`: until it is unlocked. */
  lock: { until: Instant | null } | null
  /** The command that renewed it last. */
  renewedBy: string | null
  /** The beginning of the period whose end the owner was warned of. */
  warnedSince: Instant | null
  /** Who held it last, where they let it go to the pool or let it lapse, and when that was recorded. */
  gaveUp: { ownerId: string; at: Instant } | null
}

export const unprotected: Protection = { holder: { ownerId: null, at: '' }, from: '', lock: null, renewedBy: null, warnedSince: null, gaveUp: null }

/** What a customer's event makes of its protection; `before` and `after`: the changes of owner as they were and as they are with it. */
export const applyProtection = (state: Protection, event: Recorded<CustomerEvent>, before: OwnershipChanges, after: OwnershipChanges): Protection => {
  switch (event.type) {
    case 'ProtectionRenewed':
      return { ...state, from: event.recordedAt, renewedBy: event.commandId }
    case 'ProtectionLapseWarned':
      return { ...state, warnedSince: event.data.protectedSince }
    case 'ProtectionLocked':
      return { ...state, lock: { until: event.data.until } }
    case 'ProtectionUnlocked':
      return { ...state, lock: null }
    default:
      return heldSince(state, event, before, after)
  }
}

/** Whoever comes to hold it must be able to act: the period begins when that was recorded. A backdated change that is not the latest by effective time changes nothing of today. */
const heldSince = (state: Protection, event: Recorded<CustomerEvent>, before: OwnershipChanges, after: OwnershipChanges): Protection => {
  const change = after?.change
  if (!change || change.revision === before?.change.revision) return state
  const gaveUp = event.type === 'OwnershipReleased' && isGivenUp(event.data.basis) ? { ownerId: event.data.from, at: event.recordedAt } : null
  return { ...state, holder: { ownerId: change.ownerId, at: change.at }, from: event.recordedAt, warnedSince: null, gaveUp }
}

const isGivenUp = (basis: string): boolean => basis === 'voluntary-release' || basis === 'protection-lapsed'

/** What lies in other streams of a customer and of all it has absorbed: the last follow-up, the last purchase, whether a complaint is open. */
export type Facts = { followedUpAt: Instant | null; boughtAt: Instant | null; openComplaint: boolean }

const DAY_MS = 86_400_000
export const milliseconds = (days: number): number => Math.round(days * DAY_MS)
export const after = (at: Instant, days: number): Instant => new Date(Date.parse(at) + milliseconds(days)).toISOString()

export const latest = (...times: readonly (Instant | null)[]): Instant | null => times.reduce((last, time) => (last === null || (time !== null && time > last) ? time : last), null)

/** For how many days a customer of a category and tier stays its owner's without follow-up; null: without end. */
export const protectionDays = (organisation: Organisation, category: string, tier: string): number | null => {
  const { protection } = organisation.policies.ownership.value
  if (!protection) return null
  const own = categoryChain(organisation, category)?.map((one) => one.categoryId) ?? [category]
  const listed = own.findLast((categoryId) => Object.hasOwn(protection.byCategory, categoryId))
  const instead = [listed === undefined ? undefined : protection.byCategory[listed], Object.hasOwn(protection.byTier, tier) ? protection.byTier[tier] : undefined].filter((days) => days !== undefined)
  const [first = protection.days, second = first] = instead
  return first === null || second === null ? null : Math.max(first, second)
}

/** A customer as far as its protection goes. */
export type Guarded = { category: string; tier: string; protection: Pick<Protection, 'holder' | 'from' | 'lock'> }
export type Exemption = 'locked' | 'open-complaint' | 'recent-purchase'
export type Standing = {
  /** When the period began: with the holding, a renewal or the last follow-up. */
  since: Instant
  days: number | null
  /** When the period ends; null: it has no end. */
  until: Instant | null
  /** When it lapses as things stand: the end of the period, or of what exempts it, if that is later. Null where no such time is known. */
  lapsesAt: Instant | null
  /** What keeps it from lapsing now. */
  exemptions: Exemption[]
}

/** How a customer's protection stands by the policy in force. Null for one that nobody holds. */
export const standingOf = ({ category, tier, protection }: Guarded, facts: Facts, organisation: Organisation, now: Instant): Standing | null => {
  if (protection.holder.ownerId === null) return null
  const exempt = organisation.policies.ownership.value.protection?.exempt
  const days = protectionDays(organisation, category, tier)
  const since = latest(protection.from, facts.followedUpAt) ?? protection.from
  const until = days === null ? null : after(since, days)
  const complaint = exempt?.openComplaint === true && facts.openComplaint
  const boughtUntil = typeof exempt?.recentPurchaseDays === 'number' && facts.boughtAt !== null ? after(facts.boughtAt, exempt.recentPurchaseDays) : null
  const { lock } = protection
  return {
    since, days, until,
    lapsesAt: until === null || complaint || (lock !== null && lock.until === null) ? null : latest(until, boughtUntil, lock?.until ?? null),
    exemptions: [
      ...(lock !== null && (lock.until === null || lock.until > now) ? ['locked' as const] : []),
      ...(complaint ? ['open-complaint' as const] : []),
      ...(boughtUntil !== null && boughtUntil > now ? ['recent-purchase' as const] : []),
    ],
  }
}
