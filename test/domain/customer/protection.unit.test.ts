import { describe, expect, it, test } from 'vitest'
import { refusalFor } from '../../../src/commands/rights.ts'
import { customer } from '../../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../../src/domain/customer/events.ts'
import { claim, release, share, ShareCustomer } from '../../../src/domain/customer/ownership.ts'
import { lapse, lock, renew, unlock, warn } from '../../../src/domain/customer/protecting.ts'
import { protectionDays, standingOf, type Facts } from '../../../src/domain/customer/protection.ts'
import { recordInteraction, engagement, followUpAt, RecordInteraction } from '../../../src/domain/engagement/engagement.ts'
import { endShare, withSharesAt } from '../../../src/domain/customer/shares.ts'
import type { Organisation } from '../../../src/domain/organisation/organisation.ts'
import type { policyKinds } from '../../../src/domain/policy/kinds.ts'
import { isRejection } from '../../../src/domain/rejection.ts'
import type { z } from 'zod'
import { by, bySystem, claimed, created, fold, given, on, organisation, person, recorded, refusedAt, released, sealed, shared, today, transferred, withCategory, withPolicy } from '../../support/given.ts'

type Protection = NonNullable<z.input<typeof policyKinds.ownership>['protection']>
const within = (protection: Partial<Protection> | null, more: object = {}, before = organisation) =>
  withPolicy('ownership', { backdatingDays: 3650, protection: protection && { days: 10, warnDays: 2, exempt: { openComplaint: true, recentPurchaseDays: null }, ...protection }, ...more }, before)
/** Ten days, warned of two before. */
const tenDays = within({})
const process = (now: string, among: Organisation = tenDays) => bySystem(null, { now, organisation: among })

const nothing: Facts = { followedUpAt: null, boughtAt: null, openComplaint: false }
/** Held by the clerk since the second of March: protected until the twelfth. */
const held = [created(), claimed('clerk')]
const period = (facts: Partial<Facts> = {}, more: object = {}) => ({ customerId: 'c', ownerId: 'clerk', since: on(2), lapsesAt: on(12), facts: { ...nothing, ...facts }, ...more })
const lapsed = (facts: { protectedSince: string; followedUpAt?: string; days?: number }): CustomerEvent =>
  ({ type: 'OwnershipReleased', data: { from: 'clerk', basis: 'protection-lapsed', reason: null, lapse: { followedUpAt: null, days: 10, ...facts } } })
const standing = (past: readonly CustomerEvent[], facts: Partial<Facts> = {}, now = today, among = tenDays) => standingOf(fold(customer, past.map(recorded)), { ...nothing, ...facts }, among, now)

describe('a period of protection', () => {
  it('begins when the owner came to hold the customer, by the time that was recorded', () => {
    expect(standing(held)).toMatchObject({ since: on(2), until: on(12), lapsesAt: on(12) })
    expect(standing([created({}, { recordedAt: on(1), effectiveAt: '2025-01-01T00:00:00.000Z' }), claimed('clerk', { effectiveAt: '2025-02-01T00:00:00.000Z' })])).toMatchObject({ since: on(2) })
    expect(standing([...held, transferred('clerk', 'rival')])).toMatchObject({ since: on(3) })
    // What is entered later of an earlier time changes nothing of today.
    expect(standing([...held, claimed('rival', { effectiveAt: '2026-03-01T20:00:00.000Z' })])).toMatchObject({ since: on(2) })
  })
  it('begins when a correction of the change in force is recorded; one of an earlier change leaves it', () => {
    const corrected = (correctsRevision: number, ownerId: string | null, effectiveAt: string) =>
      ({ type: 'OwnershipCorrected' as const, data: { corrects: 'an event', correctsRevision, from: 'clerk', ownerId, basis: 'correction' as const, reason: sealed(person.said) }, effectiveAt })
    expect(standing([...held, corrected(1, 'rival', on(2))])).toMatchObject({ since: on(3), until: on(13) })
    expect(standing([...held, corrected(1, null, on(2))])).toBeNull()
    expect(standing([...held, transferred('clerk', 'rival'), corrected(1, 'manager', on(2))])).toMatchObject({ since: on(3) })
    expect(standing([...held, transferred('clerk', 'rival'), corrected(2, 'manager', on(1))])).toMatchObject({ since: on(4) })
  })
  it('begins anew at each follow-up, at its own time, and at a renewal', () => {
    expect(standing(held, { followedUpAt: on(5) })).toMatchObject({ since: on(5), until: on(15) })
    expect(standing(held, { followedUpAt: on(1) })).toMatchObject({ since: on(2) })
    expect(standing([...held, { type: 'ProtectionRenewed', data: { ownerId: 'clerk', reason: sealed(person.said) } }], { followedUpAt: on(2, '10:00:00.000') })).toMatchObject({ since: on(3) })
  })
  it('has no meaning in the pool, and no end without a policy', () => {
    expect(standing([created()])).toBeNull()
    expect(standing([...held, released('clerk')])).toBeNull()
    expect(standing(held, {}, today, within(null))).toMatchObject({ until: null, lapsesAt: null })
  })
  it('lasts as long as the longer of what the policy says of its category and its tier', () => {
    const among = withCategory({ categoryId: 'below', parentId: 'supplier-software' }, withCategory({ categoryId: 'endless', parentId: 'supplier' }, organisation))
    const policy = within({ days: 10, byCategory: { supplier: 3, endless: null }, byTier: { premier: 5, preferred: null } }, {}, among)
    expect(['individual-retail', 'supplier', 'supplier-software', 'below', 'endless', 'never-defined'].map((category) => protectionDays(policy, category, 'standard'))).toEqual([10, 3, 3, 3, null, 10])
    expect(['standard', 'premier', 'preferred'].map((tier) => protectionDays(policy, 'below', tier))).toEqual([3, 5, null])
    expect(protectionDays(policy, 'individual-retail', 'premier')).toBe(5)
    // The nearest counts: a category's own entry before its ancestor's.
    expect(protectionDays(within({ byCategory: { supplier: 30, 'supplier-software': 2 } }, {}, among), 'below', 'standard')).toBe(2)
    expect(protectionDays(within({ days: null }), 'individual-retail', 'standard')).toBeNull()
  })
  it('is exempt while a complaint is open, after a purchase, and while it is locked; the later end counts', () => {
    expect(standing(held, { openComplaint: true })).toMatchObject({ until: on(12), lapsesAt: null, exemptions: ['open-complaint'] })
    expect(standing(held, { openComplaint: true }, today, within({ exempt: { openComplaint: false, recentPurchaseDays: null } }))).toMatchObject({ lapsesAt: on(12), exemptions: [] })
    const purchases = within({ exempt: { openComplaint: true, recentPurchaseDays: 5 } })
    expect(standing(held, { boughtAt: on(9) }, on(13), purchases)).toMatchObject({ lapsesAt: on(14), exemptions: ['recent-purchase'] })
    expect(standing(held, { boughtAt: on(4) }, on(13), purchases)).toMatchObject({ lapsesAt: on(12), exemptions: [] })
    const locked = (until: string | null): CustomerEvent => ({ type: 'ProtectionLocked', data: { until, reason: sealed(person.said) } })
    expect(standing([...held, locked(null)])).toMatchObject({ lapsesAt: null, exemptions: ['locked'] })
    expect(standing([...held, locked(on(20))], {}, on(13))).toMatchObject({ lapsesAt: on(20), exemptions: ['locked'] })
    expect(standing([...held, locked(on(20))], {}, on(20))).toMatchObject({ lapsesAt: on(20), exemptions: [] })
    expect(standing([...held, locked(null), { type: 'ProtectionUnlocked', data: { reason: sealed(person.said) } }])).toMatchObject({ lapsesAt: on(12), exemptions: [] })
  })
})

describe('a follow-up', () => {
  const past: CustomerEvent[] = [...held, shared('employee', 'rival', 'work'), shared('department', 'guangzhou', 'read'), { type: 'CustomerShared', data: { with: { kind: 'employee', id: 'colleague' }, access: 'work', reason: null, until: on(24) } }]
  const contact = (direction: 'inbound' | 'outbound') => RecordInteraction.parse({ customerId: 'c', channel: 'phone', direction, purpose: 'courtesy' })
  const counts = (employeeId: string | null, direction: 'inbound' | 'outbound' = 'inbound', now = today) => {
    const decided = recordInteraction(engagement.initialState, contact(direction), employeeId === null ? bySystem(null, { now }) : by(employeeId, { now }), fold(customer, past.map(recorded)))
    return isRejection(decided) ? decided : decided.events.some((event) => followUpAt(event) !== null)
  }
  it('is contact with the owner, or with whom it is shared for work, whoever began it', () => {
    expect([counts('clerk'), counts('clerk', 'outbound'), counts('rival')]).toEqual([true, true, true])
    expect(counts('colleague', 'inbound', on(23))).toBe(true)
  })
  it('is no contact with others, with nobody, or with whom it is no longer shared', () => {
    expect([counts('chief'), counts(null), counts('colleague')]).toEqual([false, false, false])
  })
  it('was any contact with one of us, in an event that does not say', () => {
    const old = (employeeId: string | null) => ({ type: 'InteractionRecorded' as const, data: { interactionId: 'i', at: on(3), channel: 'phone' as const, direction: 'inbound' as const, purpose: 'courtesy', contactId: null, outcome: null, nextStep: null, employeeId } })
    expect([followUpAt(old('anybody')), followUpAt(old(null))]).toEqual([on(3), null])
  })
})

describe('a lapse', () => {
  it('takes the customer to the pool at the end of the period, naming the policy and what it rests on', () => {
    given(customer, held).when(lapse, period(), process(on(12))).then([lapsed({ protectedSince: on(2) })], { policies: [{ name: 'ownership', version: 7 }] })
    given(customer, held).when(lapse, period({ followedUpAt: on(5) }, { since: on(5), lapsesAt: on(15) }), process(on(16))).then([lapsed({ protectedSince: on(5), followedUpAt: on(5) })])
  })
  it('comes not a millisecond too early', () => {
    given(customer, held).when(lapse, period(), process(on(12, '08:59:59.999'))).then({ rejected: 'not-due', extensions: { due: on(12) } })
  })
  it.each<[string, readonly CustomerEvent[], Partial<Facts>, Organisation]>([
    ['the customer has another owner', [...held, transferred('clerk', 'rival')], {}, tenDays],
    ['it is in the pool', [...held, released('clerk')], {}, tenDays],
    ['it went to the pool and to the same owner again', [...held, released('clerk'), claimed('clerk')], {}, tenDays],
    ['it was followed up', held, { followedUpAt: on(3) }, tenDays],
    ['it was renewed', [...held, { type: 'ProtectionRenewed', data: { ownerId: 'clerk', reason: sealed(person.said) } }], {}, tenDays],
    ['it was locked', [...held, { type: 'ProtectionLocked', data: { until: null, reason: sealed(person.said) } }], {}, tenDays],
    ['a complaint is open', held, { openComplaint: true }, tenDays],
    ['something was bought', held, { boughtAt: on(11) }, within({ exempt: { openComplaint: true, recentPurchaseDays: 5 } })],
    ['the policy gives more time', held, {}, within({ days: 20 })],
    ['nothing lapses any more', held, {}, within(null)],
  ])('changes nothing when %s', (_why, past, facts, among) => {
    given(customer, past).when(lapse, period(facts), process(on(24), among)).then([])
  })
  it('is decided on nothing that was not read', () => {
    given(customer, held).when(lapse, { ...period(), facts: undefined }, process(on(24))).then([])
  })
})

describe('a warning', () => {
  const warned: CustomerEvent = { type: 'ProtectionLapseWarned', data: { ownerId: 'clerk', protectedSince: on(2), lapsesAt: on(12) } }
  it('comes so long before the end, once for each period', () => {
    given(customer, held).when(warn, period(), process(on(10))).then([warned])
    given(customer, [...held, warned]).when(warn, period(), process(on(11))).then([])
    // Followed up since: another period, another warning.
    given(customer, [...held, warned]).when(warn, period({ followedUpAt: on(11) }, { since: on(11), lapsesAt: on(21) }), process(on(20))).then([{ type: 'ProtectionLapseWarned', data: { ownerId: 'clerk', protectedSince: on(11), lapsesAt: on(21) } }])
  })
  it('comes neither too early nor when it is too late, nor without a policy that asks for it', () => {
    given(customer, held).when(warn, period(), process(on(9))).then({ rejected: 'not-due', extensions: { due: on(10) } })
    given(customer, held).when(warn, period(), process(on(12))).then([])
    given(customer, held).when(warn, period(), process(on(11), within({ warnDays: null }))).then([])
    given(customer, held).when(warn, period({ openComplaint: true }), process(on(11))).then([])
  })
})

describe('renewing, locking and unlocking', () => {
  it('are recorded with their reason, once', () => {
    const reason = person.said
    given(customer, held).when(renew, { customerId: 'c', reason }, by('manager')).then([{ type: 'ProtectionRenewed', data: { ownerId: 'clerk', reason: sealed(reason) } }])
    given(customer, held).when(lock, { customerId: 'c', reason, until: on(28) }, by('manager')).then([{ type: 'ProtectionLocked', data: { until: on(28), reason: sealed(reason) } }])
    given(customer, held).when(unlock, { customerId: 'c', reason }, by('manager')).then([])
    given(customer, [...held, { type: 'ProtectionLocked', data: { until: null, reason: sealed(reason) } }]).when(unlock, { customerId: 'c', reason }, by('manager')).then([{ type: 'ProtectionUnlocked', data: { reason: sealed(reason) } }])
  })
  it('are refused where there is nothing to protect, and a lock that would be over already', () => {
    for (const decide of [renew, lock]) given(customer, [created()]).when(decide, { customerId: 'c', reason: person.said }, by('manager')).then({ rejected: 'not-owned' })
    given(customer, held).when(lock, { customerId: 'c', reason: person.said, until: today }, by('manager')).then(refusedAt('time-passed', 'until'))
  })
})

describe('who gave a customer up, or let it lapse', () => {
  const cooling = (days: number | null) => within({}, { pool: { coolOffDays: days } })
  const late = (days: number | null, employee = 'clerk', now = today) => by(employee, { now, organisation: cooling(days) })
  const afterRelease = given(customer, [...held, released('clerk', null, { recordedAt: on(20) })])
  const afterLapse = given(customer, [...held, { ...lapsed({ protectedSince: on(2) }), recordedAt: on(20) }])
  it.each([['gave it up', afterRelease], ['let it lapse', afterLapse]])('having %s cannot claim it for a while; others can', (_how, { when }) => {
    when(claim, { customerId: 'c' }, late(6)).then({ rejected: 'cool-off', extensions: { until: on(26) } })
    expect(isRejection(when(claim, { customerId: 'c' }, late(6, 'clerk', on(26))).decision)).toBe(false)
    expect(isRejection(when(claim, { customerId: 'c' }, late(6, 'rival')).decision)).toBe(false)
    expect(isRejection(when(claim, { customerId: 'c' }, late(null)).decision)).toBe(false)
  })
  it('is not spared by having entered it late', () => {
    given(customer, [...held, released('clerk', null, { recordedAt: on(20), effectiveAt: on(3) })]).when(claim, { customerId: 'c' }, late(6)).then({ rejected: 'cool-off' })
  })
  test('is forgotten when somebody else has held it since, and was never so for who had to hand it over', () => {
    expect(isRejection(given(customer, [...held, released('clerk'), claimed('rival'), released('rival')]).when(claim, { customerId: 'c' }, late(90)).decision)).toBe(false)
    expect(isRejection(given(customer, [...held, transferred('clerk', 'rival'), released('rival')]).when(claim, { customerId: 'c' }, late(90)).decision)).toBe(false)
  })
  test('and gives it up again only after that', () => {
    given(customer, held).when(release, { customerId: 'c', reason: person.said }, by('clerk')).then([released('clerk')])
  })
})

describe('a share that ends', () => {
  const until = on(26)
  const ending: CustomerEvent = { type: 'CustomerShared', data: { with: { kind: 'employee', id: 'rival' }, access: 'work', reason: null, until } }
  const past = [...held, ending]
  it('counts until exactly then, whether or not its end is on record', () => {
    const state = fold(customer, past.map(recorded))
    const rival = by('rival').caller
    expect(refusalFor('work', rival, withSharesAt(state, on(26, '08:59:59.999')), organisation)).toBeUndefined()
    expect(refusalFor('work', rival, withSharesAt(state, until), organisation)).toMatchObject({ rejected: 'not-permitted' })
  })
  it('is shared once, anew with another end, and not into the past', () => {
    given(customer, held).when(share, ShareCustomer.parse({ customerId: 'c', employeeId: 'rival', access: 'work', until }), by('clerk')).then([ending])
    given(customer, past).when(share, { customerId: 'c', employeeId: 'rival', access: 'work', until }, by('clerk')).then([])
    given(customer, past).when(share, { customerId: 'c', employeeId: 'rival', access: 'work' }, by('clerk')).then([shared('employee', 'rival', 'work')])
    given(customer, held).when(share, { customerId: 'c', employeeId: 'rival', access: 'work', until: today }, by('clerk')).then(refusedAt('time-passed', 'until'))
  })
  it('ends on record at its time, and only as it was agreed last', () => {
    const command = { customerId: 'c', employeeId: 'rival', until }
    given(customer, past).when(endShare, command, process(on(26))).then([{ type: 'ShareRevoked', data: { with: { kind: 'employee', id: 'rival' }, reason: null, cause: 'ended' } }])
    given(customer, past).when(endShare, command, process(today)).then({ rejected: 'not-due' })
    given(customer, [...past, shared('employee', 'rival', 'work')]).when(endShare, command, process(on(27))).then([])
    given(customer, held).when(endShare, command, process(on(27))).then([])
  })
})
