import { describe, expect, it } from 'vitest'
import { customer, ownerOf, type Customer } from '../../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../../src/domain/customer/events.ts'
import { asOne, earlierOf, fieldsOf, type Entry, type Group } from '../../../src/domain/customer/group.ts'
import { abandonMerge, completeMerge, decideMerge, mergeCustomers, type SettledMerge } from '../../../src/domain/customer/merging.ts'
import { release } from '../../../src/domain/customer/ownership.ts'
import { ReverseMerge, reverseMerge, undoMerge, type HeldBeside } from '../../../src/domain/customer/reversing.ts'
import type { Context } from '../../../src/domain/decider.ts'
import { isRejection } from '../../../src/domain/rejection.ts'
import { by, claimed, contactAdded, created, fold, given, on, person, recorded, refusedAt, released, sealed, staged, transferred } from '../../support/given.ts'

const entry = (customerId: string): Entry => ({ customerId, at: on(1), stated: false, position: 1n })
const command: SettledMerge = { customerIds: ['c', 'a'], take: { fields: {} }, reason: person.said, settled: { survivorId: 'c', absorbedId: 'a', survivorBy: 'earliest-entry', earliest: entry('c') } }
const mergeId = 'this-command-merge'
const started = (absorbedId = 'a', id = mergeId, take: { name?: string; fields: Record<string, string> } = { fields: {} }): CustomerEvent =>
  ({ type: 'MergeStarted', data: { mergeId: id, absorbedId, survivorBy: 'earliest-entry', take, earliest: { customerId: 'c', enteredAt: on(1) }, reason: sealed(person.said) } })
const merged = (absorbedId = 'a', id = mergeId): CustomerEvent => ({ type: 'CustomerMerged', data: { mergeId: id, absorbedId } })
const absorbed = (into = 'c', id = mergeId): CustomerEvent => ({ type: 'CustomerAbsorbed', data: { mergeId: id, into } })
const settled = (from: string | null, ownerId: string): CustomerEvent => ({ type: 'OwnershipSettled', data: { from, ownerId, basis: 'merge', mergeId, earliest: 'a' } })
const stateAfter = (...events: CustomerEvent[]): Customer => fold(customer, events.map(recorded))
const merge = (other: Customer) => (state: Customer, body: SettledMerge, context: Context) => mergeCustomers(state, body, context, null, [other])

describe('a merge', () => {
  it('is begun once, on a survivor that merges with nobody else at that moment', () => {
    given(customer, [created()]).when(merge(stateAfter(created())), command, by('manager')).then([started()])
    given(customer, [created(), started('b', 'other')]).when(merge(stateAfter(created())), command, by('manager')).then({ rejected: 'merge-in-progress' })
    given(customer, [created()]).when(merge(stateAfter(created(), started('b', 'other'))), command, by('manager')).then({ rejected: 'merge-in-progress' })
    given(customer, [created()]).when(merge(stateAfter(created())), { ...command, take: { name: 'b', fields: { address: 'b' } } }, by('manager')).then({ rejected: 'unknown-reference' })
    given(customer, [created()]).when(merge(stateAfter(created())), { ...command, settled: null }, by('manager')).then([])
    given(customer, [created()]).when(merge(stateAfter(created())), { ...command, settled: null, standsFor: 'c', survivorId: 'c' }, by('manager')).then([])
    given(customer, [created()]).when(merge(stateAfter(created())), { ...command, settled: null, standsFor: 'c', survivorId: 'a' }, by('manager')).then({ rejected: 'already-merged', extensions: { survivorId: 'c' } })
    given(customer, [created()]).when(merge(stateAfter(created())), { ...command, take: { fields: { address: 'a', constructor: 'a' } } }, by('manager')).then(refusedAt('unknown-reference', 'take/fields/constructor'))
    given(customer, [created()]).when(merge(stateAfter(created({ category: 'enterprise' }))), command, by('manager')).then({ rejected: 'different-kinds' })
  })

  it('is decided by the absorbed, once', () => {
    const asked = { mergeId, into: 'c', absorbedId: 'a' }
    expect(decideMerge(stateAfter(created()), asked)).toEqual([absorbed()])
    expect(decideMerge(stateAfter(created(), absorbed()), asked)).toEqual([])
    expect(decideMerge(stateAfter(created(), absorbed('b', 'other')), asked)).toMatchObject([{ type: 'MergeDeclined', data: { because: 'absorbed-elsewhere' } }])
    expect(decideMerge(stateAfter(created(), started('b', 'other')), asked)).toMatchObject([{ type: 'MergeDeclined', data: { because: 'merging-itself' } }])
    // Of two that would take in each other, the one whose id comes first does.
    expect(decideMerge(stateAfter(created(), started('c', 'other')), asked)).toMatchObject([{ type: 'MergeDeclined', data: { because: 'merging-itself' } }])
    expect(decideMerge(stateAfter(created(), started('a', 'other')), { mergeId, into: 'a', absorbedId: 'c' })).toEqual([absorbed('a')])
    expect(decideMerge(stateAfter(created(), started('c', 'other'), merged('c', 'other')), asked)).toMatchObject([{ type: 'MergeDeclined', data: { because: 'merging-itself' } }])
  })

  it('gives the survivor to the owner of the earliest entry, unless that one lies in the pool', () => {
    const open = stateAfter(created(), claimed('clerk'), started())
    const claims = (first: string | null) => [{ customerId: 'a', ownerId: first }, { customerId: 'c', ownerId: 'clerk' }]
    expect(completeMerge(open, { mergeId, absorbedId: 'a' }, claims('rival'))).toEqual([merged(), settled('clerk', 'rival')])
    expect(completeMerge(open, { mergeId, absorbedId: 'a' }, claims(null))).toEqual([merged()])
    expect(completeMerge(stateAfter(created(), started(), merged()), { mergeId, absorbedId: 'a' }, claims('rival'))).toEqual([])
    expect(abandonMerge(open, { mergeId, absorbedId: 'a' })).toEqual([{ type: 'MergeAbandoned', data: { mergeId, absorbedId: 'a' } }])
  })

  it('counts a record taken over from when it was entered elsewhere, all others by the log', () => {
    const log = [{ customerId: 'x', at: on(5), stated: false, position: 1n }, { customerId: 'y', at: on(4), stated: false, position: 2n }] as const
    expect(earlierOf(log[0], log[1]).customerId).toBe('x')
    expect(earlierOf(log[0], { customerId: 'z', at: on(2), stated: true, position: 9n }).customerId).toBe('z')
  })
})

describe('a reversal', () => {
  const back = (into: Customer) => (state: Customer, body: Parameters<typeof reverseMerge>[1], context: Context) => reverseMerge(state, body, context, null, [into])
  const ask = ReverseMerge.parse({ absorbedId: 'c', reason: person.said })

  it('gives the absorbed back to the owner it had, once', () => {
    given(customer, [created(), claimed('clerk'), absorbed('s')]).when(back(stateAfter(created())), ask, by('manager'))
      .then([{ type: 'MergeReversed', data: { mergeId, from: 's', ownerId: 'clerk', give: { contacts: [], identities: [] }, reason: sealed(person.said) } }])
    given(customer, [created()]).when(back(stateAfter(created())), ask, by('manager')).then({ rejected: 'not-merged' })
    given(customer, [created(), absorbed('s')]).when(back(stateAfter(created())), { ...ask, give: { ...ask.give, contacts: ['k'] } }, by('manager')).then({ rejected: 'unknown-reference' })
    given(customer, [created(), absorbed('s')]).when(back(stateAfter(created())), { ...ask, mergeId: 'other' }, by('manager')).then({ rejected: 'not-merged' })
  })

  it('leaves a time in which nobody held it by itself, and nothing is entered for; today it is held as the reversal says, whatever is entered for before', () => {
    const reversed: CustomerEvent = { type: 'MergeReversed', data: { mergeId, from: 's', ownerId: 'clerk', give: { contacts: [], identities: [] }, reason: sealed(person.said) } }
    const past = [created(), claimed('clerk'), absorbed('s'), staged('target', 'prospect', 'progress'), reversed]
    given(customer, past).when(release, { customerId: 'c', reason: person.said, effectiveAt: on(4) }, by('manager')).then({ rejected: 'invalid-effective-time' })
    given(customer, past).when(release, { customerId: 'c', reason: person.said, effectiveAt: on(3, '08:00:00.000') }, by('manager')).then([released('clerk')])
    expect(ownerOf(stateAfter(...past, released('clerk', person.said, { effectiveAt: on(3, '08:00:00.000') })))).toBe('clerk')
  })

  it('moves what lies beside the two from whoever has it to the other, and says of which it is not', () => {
    const none = { survivor: new Set<string>(), absorbed: new Set<string>() }
    const held: HeldBeside = { purchases: { survivor: new Set(['p1', 'p2']), absorbed: new Set(['p2', 'p3']) }, interactions: none, complaints: { survivor: new Set(['x']), absorbed: new Set(['y']) } }
    const asked = (give: object, keep: object) => ({ ...ReverseMerge.parse({ ...ask, give, keep }), held })
    given(customer, [created(), absorbed('s')]).when(back(stateAfter(created())), asked({ purchases: ['p1', 'p1'], complaints: ['x'] }, { purchases: ['p3'] }), by('manager')).then([{
      type: 'MergeReversed',
      data: { mergeId, from: 's', ownerId: null, give: { contacts: [], identities: [] }, beside: { give: { purchases: ['p1'], interactions: [], complaints: ['x'] }, keep: { purchases: ['p3'], interactions: [], complaints: [] } }, reason: sealed(person.said) },
    }])
    const { decision } = given(customer, [created(), absorbed('s')]).when(back(stateAfter(created())), asked({ purchases: ['p3', 'p2'], interactions: ['i'], complaints: ['y'] }, { purchases: ['p1'], complaints: ['x'] }), by('manager'))
    expect(isRejection(decision) ? decision.errors : decision).toEqual([
      { path: 'give/purchases/0', message: 'is not a purchase of the survivor' }, { path: 'give/purchases/1', message: 'both customers have a purchase of this id' },
      { path: 'keep/purchases/0', message: 'is not a purchase of the absorbed customer' }, { path: 'give/interactions/0', message: 'is not an interaction of the survivor' },
      { path: 'give/complaints/0', message: 'is not a complaint of the survivor' }, { path: 'keep/complaints/0', message: 'is not a complaint of the absorbed customer' },
    ])
  })

  it('takes along what was entered for the absorbed, and all it is made of, but for what is to stay', () => {
    const survivor = stateAfter(created(), contactAdded('k'), { ...contactAdded('m'), data: { ...contactAdded('m').data, enteredFor: 'c' } }, { ...contactAdded('n'), data: { ...contactAdded('n').data, enteredFor: 'x' } }, { ...contactAdded('o'), data: { ...contactAdded('o').data, enteredFor: 'y' } })
    const decided = (more: object) => given(customer, [created(), absorbed('s')]).when(back(survivor), { ...ask, parts: ['c', 'x'], ...more }, by('manager')).decision
    expect(decided({})).toMatchObject({ events: [{ data: { give: { contacts: ['m', 'n'] } } }] })
    expect(decided({ give: { ...ask.give, contacts: ['k'] }, keep: { ...ask.keep, contacts: ['n'] } })).toMatchObject({ events: [{ data: { give: { contacts: ['k', 'm'] } } }] })
    expect(decided({ keep: { ...ask.keep, contacts: ['z'] } })).toMatchObject({ rejected: 'unknown-reference', errors: [{ path: 'keep/contacts/0' }] })
  })

  it('settles the owner anew, unless somebody has changed it since; what is given leaves', () => {
    const undone = { mergeId, absorbedId: 'a', give: { contacts: ['k'], identities: [] } }
    const left = [{ customerId: 'c', ownerId: 'clerk' }]
    const past = [created(), claimed('clerk'), started(), merged(), settled('clerk', 'rival'), contactAdded('k')]
    expect(undoMerge(stateAfter(...past), undone, left).map((event) => event.type)).toEqual(['MergeUndone', 'ContactRemoved', 'OwnershipSettled'])
    expect(undoMerge(stateAfter(...past, transferred('rival', 'colleague')), undone, left).map((event) => event.type)).toEqual(['MergeUndone', 'ContactRemoved'])
    expect(ownerOf(stateAfter(...past, ...undoMerge(stateAfter(...past), undone, left)))).toBe('clerk')
    expect(undoMerge(stateAfter(created()), undone, left)).toEqual([])
  })
})

describe('customers as one', () => {
  const member = (customerId: string, fields: Record<string, string>, mergeOf = mergeId): Group => ({ customerId, state: stateAfter(created({ fields }), absorbed('c', mergeOf)), members: [] })
  const groupOf = (survivor: Customer, ...members: Group[]): Group => ({ customerId: 'c', state: survivor, members })
  const values = (group: Group) => Object.fromEntries([...fieldsOf(group)].map(([key, { value, customerId }]) => [key, `${String(value)} of ${customerId}`]))

  it('show the survivor’s value, what is chosen of the absorbed, and what only the absorbed has', () => {
    const survivor = stateAfter(created({ fields: { source: 'referral', importance: 'A' } }), started('a', mergeId, { fields: { importance: 'a', remark: 'c' } }), merged())
    expect(values(groupOf(survivor, member('a', { source: 'web', importance: 'B', remark: 'theirs', hobby: '围棋' })))).toEqual({ source: 'referral of c', importance: 'B of a', hobby: '围棋 of a' })
    expect(values(groupOf(survivor))).toEqual({ source: 'referral of c', importance: 'A of c' })
  })

  it('show what was written on the survivor since, also where it clears', () => {
    const changed: CustomerEvent = { type: 'ProfileChanged', data: { fields: { importance: 'C', hobby: null }, template: [] } }
    const survivor = stateAfter(created({ fields: { importance: 'A' } }), started('a', mergeId, { fields: { importance: 'a' } }), merged(), changed)
    expect(values(groupOf(survivor, member('a', { importance: 'B', hobby: '围棋' })))).toEqual({ importance: 'C of c' })
    expect(asOne(groupOf(survivor, member('a', { importance: 'B' }))).fields).toEqual({ importance: 'C' })
  })
})
