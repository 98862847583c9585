import { DateTime } from 'luxon'
import { ownerOf, ownershipNow, type Customer } from '../customer/customer.ts'
import type { CustomerEvent } from '../customer/events.ts'
import type { Instant } from '../decider.ts'
import type { PolicyValues } from '../policy/kinds.ts'
import { reject, type Rejection } from '../rejection.ts'
import type { OpenSlot, Portfolio, Purpose } from './portfolio.ts'

export type Pool = PolicyValues['ownership']['pool']

/** A day of the organisation's calendar, and when the next one begins. */
export type Day = { day: string; nextDayAt: Instant }

export const dayOf = (at: Instant, timeZone: string): Day => {
  const local = DateTime.fromISO(at, { zone: timeZone })
  return { day: local.toFormat('yyyy-MM-dd'), nextDayAt: local.plus({ days: 1 }).startOf('day').toJSDate().toISOString() }
}

/** What a decision would bring an employee, where a policy limits it. */
export type LimitedGain = {
  employeeId: string
  customerId: string
  purpose: Purpose
  tier: string
  stage: string
  /** Customers the employee may hold with this one: all together, and of its tier. */
  most: { total: number | null; ofTier: number | null }
  /** Claims on the day of this one. */
  mostClaims: number | null
  uncountedStages: readonly string[]
  on: Day
}

const gained = (events: readonly CustomerEvent[]): { employeeId: string; purpose: Purpose } | undefined => {
  for (const event of events) {
    if (event.type === 'OwnershipClaimed' && event.data.basis === 'claim') return { employeeId: event.data.ownerId, purpose: 'claim' }
    if (event.type === 'OwnershipAssigned') return { employeeId: event.data.ownerId, purpose: 'assignment' }
    if (event.type === 'OwnershipTransferred' && event.data.basis === 'transfer') return { employeeId: event.data.ownerId, purpose: 'transfer' }
  }
  return undefined
}

/**
 * The gain by claim, assignment or transfer in what was decided, when some limit is set for it; undefined otherwise. A
 * change that took effect earlier, and did not last, adds nothing to what the employee holds now: only the quota is asked.
 */
export const limitedGain = (
  customerId: string, state: Customer, { events, effectiveAt }: { events: readonly CustomerEvent[]; effectiveAt?: Instant }, pool: Pool, now: { at: Instant; timeZone: string },
): LimitedGain | undefined => {
  const gain = gained(events)
  if (!gain || (pool.capacity === null && pool.dailyQuota === null)) return undefined
  const { tier, stage } = state
  const lasts = effectiveAt === undefined || effectiveAt >= (ownershipNow(state)?.at ?? '')
  const isHeld = lasts && ownerOf(state) !== gain.employeeId && !pool.uncountedStages.includes(stage)
  const most = { total: isHeld ? (pool.capacity?.total ?? null) : null, ofTier: isHeld ? (limitOfTier(pool, tier) ?? null) : null }
  const mostClaims = gain.purpose === 'claim' ? pool.dailyQuota : null
  if (most.total === null && most.ofTier === null && mostClaims === null) return undefined
  return { ...gain, customerId, tier, stage, most, mostClaims, uncountedStages: pool.uncountedStages, on: dayOf(now.at, now.timeZone) }
}

const limitOfTier = ({ capacity }: Pool, tier: string): number | undefined => (capacity && Object.hasOwn(capacity.byTier, tier) ? capacity.byTier[tier] : undefined)

export const asksHoldings = ({ most }: LimitedGain): boolean => most.total !== null || most.ofTier !== null

/** Customers an employee holds that count, by tier; and which of those asked about the employee holds, counted or not. */
export type Holdings = { byTier: Readonly<Record<string, number>>; held: ReadonlySet<string> }
export const noHoldings: Holdings = { byTier: {}, held: new Set() }

export const totalOf = ({ byTier }: Holdings): number => Object.values(byTier).reduce((sum, count) => sum + count, 0)
const ofTier = ({ byTier }: Holdings, tier: string): number => (Object.hasOwn(byTier, tier) ? (byTier[tier] ?? 0) : 0)

/** Slots that may still bring a customer who counts and is not held yet. */
export const openGains = ({ open }: Portfolio, holdings: Holdings, uncountedStages: readonly string[]): OpenSlot[] => open.filter(({ customerId, stage }) => !holdings.held.has(customerId) && !uncountedStages.includes(stage))

/** Claims of a day: those that came about, and those that still may. */
export const claimsOn = ({ claims, open }: Portfolio, day: string): { settled: number; open: OpenSlot[] } => ({ settled: claims.get(day) ?? 0, open: open.filter((slot) => slot.day === day) })

const customersOf = (slots: readonly OpenSlot[]): number => new Set(slots.map(({ customerId }) => customerId)).size

/** Why there is no room, and the open slots that would make some. `final`: there would be none without them either. */
export type Full = { open: readonly OpenSlot[]; final: boolean; rejection: Rejection }

/** Why an employee cannot gain one more; undefined where there is room. Slots of the command itself take none from it. */
export const whyFull = (gain: LimitedGain, commandId: string, portfolio: Portfolio, holdings: Holdings): Full | undefined => {
  const { customerId, employeeId, most, mostClaims, tier, on: { day, nextDayAt } } = gain
  const others = { ...portfolio, open: portfolio.open.filter((slot) => slot.commandId !== commandId) }

  const claims = claimsOn(others, day)
  if (mostClaims !== null && claims.settled + claims.open.length >= mostClaims) {
    return {
      open: claims.open, final: claims.settled >= mostClaims,
      rejection: reject('quota-reached', `The employee has claimed ${claims.settled} customers today, and the ownership policy allows ${mostClaims}.`, { extensions: { employeeId, claims: claims.settled, openReservations: claims.open.length, limit: mostClaims, day, nextDayAt } }),
    }
  }

  const coming = openGains(others, holdings, gain.uncountedStages).filter((slot) => slot.customerId !== customerId)
  const reached = (limit: number | null, held: number, open: readonly OpenSlot[], of: string | null): Full | undefined => {
    if (limit === null || held + customersOf(open) < limit) return undefined
    const ofThem = of === null ? '' : ` of tier ${of}`
    return {
      open, final: held >= limit,
      rejection: reject('capacity-reached', `The employee holds ${held} customer(s)${ofThem}, and the ownership policy allows ${limit}.`, { extensions: { employeeId, holdings: held, openReservations: customersOf(open), limit, tier: of } }),
    }
  }
  return reached(most.total, totalOf(holdings), coming, null) ?? reached(most.ofTier, ofTier(holdings, tier), coming.filter((slot) => slot.tier === tier), tier)
}
