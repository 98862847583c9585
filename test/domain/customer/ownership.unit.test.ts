import { describe, expect, it, test } from 'vitest'
import { customer, ownerOf, ownershipAt, ownershipNow, responsibleFor } from '../../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../../src/domain/customer/events.ts'
import { assign, claim, ClaimOwnership, release, ReleaseOwnership, revokeShare, RevokeShare, share, ShareCustomer, transfer, TransferOwnership } from '../../../src/domain/customer/ownership.ts'
import type { Context, Decision, Instant } from '../../../src/domain/decider.ts'
import { listed } from '../../../src/domain/customer/ownership-changes.ts'
import {
  assigned, by, bySystem, claimed, created, departed, fenced, given, inForce, on, organisation, person, refusedAt, released, shared, staged, today, transferred, unshared, withPolicy,
} from '../../support/given.ts'

const policies = inForce('ownership')
const nobody = { rejected: 'customer-not-found' } as const
/** Entered on the 1st, the clerk's from the 2nd, in the pool from the 3rd, the colleague's from the 4th on. */
const withGap = [created(), claimed('clerk'), released('clerk'), claimed('colleague')]

describe('claiming', () => {
  test('from the pool makes the caller the owner, under the policy in force', () => {
    given(customer, [created()]).when(claim, { customerId: 'c' }, by('rival')).then([claimed('rival')], { policies })
    given(customer, [created(), claimed('clerk'), released('clerk')]).when(claim, { customerId: 'c', reason: person.said }, by('rival')).then([claimed('rival', { reason: person.said })], { policies })
  })
  test('what somebody else owns is refused, naming who does and since when', () => {
    given(customer, [created(), claimed('clerk')]).when(claim, { customerId: 'c' }, by('rival')).then({ rejected: 'already-owned', extensions: { owner: { ownerId: 'clerk', since: on(2) } } })
  })
  test('of several, one wins and the others are told who', () => {
    const race = given(customer, [created(), claimed('colleague')])
    for (const loser of ['clerk', 'rival', 'chief']) race.when(claim, { customerId: 'c' }, by(loser)).then({ rejected: 'already-owned', extensions: { owner: { ownerId: 'colleague', since: on(2) } } })
  })
  test('what one owns is a no-op', () => {
    given(customer, [created(), claimed('clerk', { basis: 'first-entry' })]).when(claim, { customerId: 'c', reason: person.said }).then([])
    given(customer, [created(), claimed('rival'), transferred('rival', 'clerk')]).when(claim, { customerId: 'c' }).then([])
  })
  test('for an employee by a system makes that employee the owner; for nobody it is refused', () => {
    given(customer, [created()]).when(claim, { customerId: 'c' }, bySystem('rival')).then([claimed('rival')])
    given(customer, [created()]).when(claim, { customerId: 'c' }, bySystem()).then({ rejected: 'on-behalf-of-required' })
  })
  test('a customer that was never entered is refused, whatever was reserved for it', () => {
    given(customer, [fenced()]).when(claim, { customerId: 'c' }).then(nobody)
  })
})

describe('assigning', () => {
  test('gives a customer in the pool an owner', () => {
    given(customer, [created()]).when(assign, { customerId: 'c', to: 'clerk', reason: person.said }, by('manager')).then([assigned('clerk', person.said)], { policies })
    given(customer, [created()]).when(assign, { customerId: 'c', to: 'clerk' }, by('manager')).then([assigned('clerk')], { policies })
  })
  test('takes it from nobody', () => {
    given(customer, withGap).when(assign, { customerId: 'c', to: 'clerk' }, by('manager')).then({ rejected: 'already-owned', extensions: { owner: { ownerId: 'colleague', since: on(4) } } })
    given(customer, withGap).when(assign, { customerId: 'c', to: 'colleague' }, by('manager')).then([])
  })
})

describe('transferring', () => {
  test('moves a customer from its owner to another, for a reason', () => {
    given(customer, [created(), claimed('clerk')]).when(transfer, { customerId: 'c', to: 'rival', reason: person.said }).then([transferred('clerk', 'rival', person.said)], { policies })
    expect(TransferOwnership.safeParse({ customerId: 'c', to: 'rival' }).success).toBe(false)
  })
  test('to its owner changes nothing; from the pool there is nothing to transfer', () => {
    given(customer, withGap).when(transfer, { customerId: 'c', to: 'colleague', reason: person.said }).then([])
    given(customer, [created(), claimed('clerk'), released('clerk')]).when(transfer, { customerId: 'c', to: 'rival', reason: person.said }).then({ rejected: 'not-owned', extensions: { since: on(3) } })
  })
})

describe('releasing', () => {
  test('puts a customer into the pool, for a reason', () => {
    given(customer, [created(), claimed('clerk')]).when(release, { customerId: 'c', reason: person.said }).then([released('clerk', person.said)], { policies })
    expect(ReleaseOwnership.safeParse({ customerId: 'c', reason: '  ' }).success).toBe(false)
  })
  test('what is in the pool changes nothing', () => {
    given(customer, [created()]).when(release, { customerId: 'c', reason: person.said }).then([])
    given(customer, [created(), claimed('clerk'), released('clerk')]).when(release, { customerId: 'c', reason: person.said }).then([])
  })
})

// Every change of owner, as far as they are alike.
type Change = { name: string; decide: (past: CustomerEvent[], effectiveAt: Instant | undefined, context?: Context) => ReturnType<ReturnType<typeof given<typeof customer.initialState, CustomerEvent>>['when']> }
const toRival = { customerId: 'c', to: 'rival', reason: person.said }
const changes: Change[] = [
  { name: 'claim', decide: (past, effectiveAt, context = by('rival')) => given(customer, past).when(claim, { customerId: 'c', effectiveAt }, context) },
  { name: 'assign', decide: (past, effectiveAt, context = by('manager')) => given(customer, past).when(assign, { ...toRival, effectiveAt }, context) },
  { name: 'transfer', decide: (past, effectiveAt, context = by('manager')) => given(customer, past).when(transfer, { ...toRival, effectiveAt }, context) },
  { name: 'release', decide: (past, effectiveAt, context = by('manager')) => given(customer, past).when(release, { customerId: 'c', reason: person.said, effectiveAt }, context) },
]
const receiving = changes.filter(({ name }) => name === 'assign' || name === 'transfer')

describe.each(changes)('to $name with an effective time', ({ name, decide }) => {
  const past = name === 'claim' || name === 'assign' ? [created(), claimed('clerk', { effectiveAt: on(1) }), released('clerk', null, { effectiveAt: on(1) })] : [created(), claimed('clerk', { effectiveAt: on(1) })]
  const accepted = (decision: Decision<CustomerEvent>, effectiveAt: Instant) => {
    expect(decision).toMatchObject({ effectiveAt, policies })
    expect(decision).toHaveProperty('events.length', 1)
  }
  test('never in the future, and at this very instant at the latest', () => {
    decide(past, '2026-03-25T09:00:00.001Z').then(refusedAt('invalid-effective-time', 'effectiveAt'))
    accepted(decide(past, today).decision, today)
  })
  test('never before the entry of the customer, and at its very instant at the earliest', () => {
    const refused = decide(past, on(1, '08:59:59.999'))
    refused.then(refusedAt('invalid-effective-time', 'effectiveAt'))
    refused.then({ rejected: 'invalid-effective-time', extensions: { enteredAt: on(1) } })
    accepted(decide(past, on(1)).decision, on(1))
  })
  test('never further back than the ownership policy allows', () => {
    const strict = (backdatingDays: number) => ({ ...(name === 'claim' ? by('rival') : by('manager')), organisation: withPolicy('ownership', { backdatingDays }) })
    decide(past, on(18, '08:59:59.999'), strict(7)).then(refusedAt('invalid-effective-time', 'effectiveAt'))
    expect(decide(past, on(18), strict(7)).decision).toMatchObject({ effectiveAt: on(18), policies: [{ name: 'ownership', version: 7 }] })
    decide(past, on(24), strict(0)).then(refusedAt('invalid-effective-time', 'effectiveAt'))
    expect(decide(past, undefined, strict(0)).decision).not.toHaveProperty('effectiveAt')
  })
  test('of nobody is not found', () => {
    decide([], on(3)).then(nobody)
  })
})

describe('an effective time is checked against the owner at that time', () => {
  const inGap = on(3, '15:00:00.000')
  const inFirst = on(2, '15:00:00.000')
  test('a claim in a gap of the past is accepted, though somebody owns it now, and counts up to the next change', () => {
    given(customer, withGap).when(claim, { customerId: 'c', effectiveAt: inGap }, by('rival')).then([claimed('rival')], { effectiveAt: inGap, policies })
    const { state } = given(customer, [...withGap, claimed('rival', { effectiveAt: inGap })])
    const ownerOn = (at: Instant) => ownershipAt(state, at)?.ownerId
    expect([on(1), on(2), on(3), on(3, '14:59:59.999'), inGap, on(4, '08:59:59.999'), on(4), today].map(ownerOn)).toEqual([null, 'clerk', null, null, 'rival', 'rival', 'colleague', 'colleague'])
    expect(ownerOf(state)).toBe('colleague')
  })
  test('an assignment in a gap likewise', () => {
    given(customer, withGap).when(assign, { ...toRival, effectiveAt: inGap }, by('manager')).then([assigned('rival', person.said)], { effectiveAt: inGap, policies })
  })
  test('what was owned then cannot be claimed or assigned, whoever owns it now; the owner then is named', () => {
    const owner = { ownerId: 'clerk', since: on(2) }
    given(customer, withGap).when(claim, { customerId: 'c', effectiveAt: inFirst }, by('rival')).then({ rejected: 'already-owned', extensions: { owner } })
    given(customer, withGap).when(assign, { ...toRival, effectiveAt: inFirst }, by('manager')).then({ rejected: 'already-owned', extensions: { owner } })
    given(customer, [...withGap.slice(0, 3)]).when(claim, { customerId: 'c', effectiveAt: inFirst }, by('rival')).then({ rejected: 'already-owned', extensions: { owner } })
  })
  test('what one owned then is a no-op to claim, whoever owns it now', () => {
    given(customer, withGap).when(claim, { customerId: 'c', effectiveAt: inFirst }, by('clerk')).then([])
  })
  test('a transfer or a release names the owner at that time as the one it is taken from', () => {
    given(customer, withGap).when(transfer, { ...toRival, effectiveAt: inFirst }, by('manager')).then([transferred('clerk', 'rival')], { effectiveAt: inFirst, policies })
    given(customer, withGap).when(release, { customerId: 'c', reason: person.said, effectiveAt: inFirst }, by('manager')).then([released('clerk')], { effectiveAt: inFirst, policies })
  })
  test('what was in the pool then cannot be transferred or released', () => {
    given(customer, withGap).when(transfer, { ...toRival, effectiveAt: inGap }, by('manager')).then({ rejected: 'not-owned', extensions: { since: on(3) } })
    given(customer, withGap).when(release, { customerId: 'c', reason: person.said, effectiveAt: inGap }, by('manager')).then({ rejected: 'not-owned', extensions: { since: on(3) } })
  })
  test('released at the instant it was released already, nothing changes', () => {
    given(customer, withGap).when(release, { customerId: 'c', reason: person.said, effectiveAt: on(3) }, by('manager')).then([])
  })
  test('of two changes at one instant the later recorded counts', () => {
    const { state } = given(customer, [created(), claimed('clerk', { effectiveAt: on(5) }), released('clerk', null, { effectiveAt: on(5) }), claimed('rival', { effectiveAt: on(5) })])
    expect(listed(state.ownership).map(({ revision }) => revision)).toEqual([0, 1, 2, 3])
    expect(ownershipAt(state, on(5))).toEqual({ at: on(5), revision: 3, ownerId: 'rival' })
  })
  test('a change entered late does not disturb those after it', () => {
    const { state } = given(customer, [...withGap, released('clerk', null, { effectiveAt: inFirst }), claimed('rival', { effectiveAt: on(2, '18:00:00.000') })])
    expect(listed(state.ownership).map(({ at, ownerId }) => [at, ownerId])).toEqual([[on(1), null], [on(2), 'clerk'], [inFirst, null], [on(2, '18:00:00.000'), 'rival'], [on(3), null], [on(4), 'colleague']])
  })
  test('is taken with any offset, and kept in UTC', () => {
    expect(ClaimOwnership.parse({ customerId: 'c', effectiveAt: '2026-03-03T23:00:00+08:00' })).toEqual({ customerId: 'c', effectiveAt: inGap })
    for (const effectiveAt of ['2026-03-03', '2026-03-03T23:00:00', 'yesterday', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', 20260303]) expect(ClaimOwnership.safeParse({ customerId: 'c', effectiveAt }).success).toBe(false)
  })
})

describe('only an employee who is here may come to own a customer', () => {
  it.each(receiving)('to $name', ({ name, decide }) => {
    const past = name === 'transfer' ? [created(), claimed('clerk')] : [created()]
    decide(past, undefined, { ...by('manager'), organisation: departed('rival') }).then({ rejected: 'employee-departed' })
    given(customer, past).when(name === 'transfer' ? transfer : assign, { ...toRival, to: 'nobody' }, by('manager')).then(refusedAt('unknown-reference', 'to'))
  })
})

describe('whose department a customer belongs to', () => {
  const responsible = (...past: CustomerEvent[]) => responsibleFor(given(customer, past).state)
  test('the owner\'s, in the pool the last owner\'s, else the entrant\'s', () => {
    expect(responsible(created(), claimed('colleague'))).toBe('colleague')
    expect(responsible(created(), claimed('colleague'), released('colleague'))).toBe('colleague')
    expect(responsible(created({ enteredBy: 'rival' }))).toBe('rival')
    expect(responsible(created({ enteredBy: null }))).toBeNull()
  })
  test('a period of the past entered late does not make its owner the last one', () => {
    expect(responsible(...withGap, released('colleague'), claimed('rival', { effectiveAt: on(3, '15:00:00.000') }))).toBe('colleague')
  })
})

describe('sharing', () => {
  const owned = [created(), claimed('clerk')]
  test('with an employee or a department, to read or to work', () => {
    given(customer, owned).when(share, { customerId: 'c', employeeId: 'rival', access: 'work', reason: person.said }).then([shared('employee', 'rival', 'work', person.said)], { policies })
    given(customer, owned).when(share, { customerId: 'c', departmentId: 'guangzhou', access: 'read' }).then([shared('department', 'guangzhou', 'read')], { policies })
  })
  test('again changes nothing; with another access it is the new one that counts', () => {
    const twice = [...owned, shared('employee', 'rival', 'read'), shared('department', 'rival', 'read')]
    given(customer, twice).when(share, { customerId: 'c', employeeId: 'rival', access: 'read', reason: person.said }).then([])
    given(customer, twice).when(share, { customerId: 'c', employeeId: 'rival', access: 'work' }).then([shared('employee', 'rival', 'work')])
    expect(given(customer, [...twice, shared('employee', 'rival', 'work')]).state.shares).toEqual([
      { with: { kind: 'department', id: 'rival' }, access: 'read', until: null }, { with: { kind: 'employee', id: 'rival' }, access: 'work', until: null },
    ])
  })
  test('with somebody unknown or departed is refused', () => {
    given(customer, owned).when(share, { customerId: 'c', employeeId: 'nobody', access: 'read' }).then(refusedAt('unknown-reference', 'employeeId'))
    given(customer, owned).when(share, { customerId: 'c', departmentId: 'nowhere', access: 'read' }).then(refusedAt('unknown-reference', 'departmentId'))
    given(customer, owned).when(share, { customerId: 'c', employeeId: 'gone', access: 'read' }).then({ rejected: 'employee-departed' })
    given(customer, []).when(share, { customerId: 'c', employeeId: 'rival', access: 'read' }).then(nobody)
  })
  test('ends for whom it is revoked, also after they have departed; ended already, nothing changes', () => {
    const both = [...owned, shared('employee', 'rival', 'work'), shared('department', 'rival', 'read')]
    given(customer, both).when(revokeShare, { customerId: 'c', employeeId: 'rival', reason: person.said }, by('clerk', { organisation: departed('rival') })).then([unshared('employee', 'rival', person.said)], { policies })
    given(customer, both).when(revokeShare, { customerId: 'c', departmentId: 'rival' }).then([unshared('department', 'rival')], { policies })
    given(customer, owned).when(revokeShare, { customerId: 'c', employeeId: 'rival' }).then([])
    given(customer, []).when(revokeShare, { customerId: 'c', employeeId: 'rival' }).then(nobody)
    expect(given(customer, [...both, unshared('employee', 'rival')]).state.shares).toEqual([{ with: { kind: 'department', id: 'rival' }, access: 'read', until: null }])
  })
  test('names exactly one recipient', () => {
    for (const recipient of [{}, { employeeId: 'a', departmentId: 'b' }]) {
      expect(ShareCustomer.safeParse({ customerId: 'c', access: 'read', ...recipient }).success).toBe(false)
      expect(RevokeShare.safeParse({ customerId: 'c', ...recipient }).success).toBe(false)
    }
    expect(ShareCustomer.safeParse({ customerId: 'c', access: 'own', employeeId: 'a' }).success).toBe(false)
  })
  test('outlives a change of owner', () => {
    expect(given(customer, [...owned, shared('employee', 'rival', 'work'), transferred('clerk', 'colleague'), staged('target', 'prospect', 'progress')]).state.shares).toHaveLength(1)
  })
})

test('nobody owns a customer that was never entered', () => {
  const { state } = given(customer, [fenced()])
  expect([ownerOf(state), ownershipNow(state), ownershipAt(state, today), responsibleFor(state)]).toEqual([null, undefined, undefined, null])
  expect(organisation.employees.get('gone')?.departed).toBe(true)
})
