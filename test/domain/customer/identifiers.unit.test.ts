import { describe, expect, test } from 'vitest'
import { customer } from '../../../src/domain/customer/customer.ts'
import { identitiesGained, identitiesReleased, type CustomerEvent } from '../../../src/domain/customer/events.ts'
import { addIdentifier, ChangeIdentifier, changeIdentifier, releaseIdentifier, ReleaseIdentifier } from '../../../src/domain/customer/identifiers.ts'
import { isRejection } from '../../../src/domain/rejection.ts'
import { claimed, created, fenced, given, identifierAdded, identifierReleased, identityOf, mobile, person, refusedAt, sealed } from '../../support/given.ts'

const written = (value: string) => ({ kind: 'mobile', value } as const)
const wrong = { kind: 'resident-id', value: '110105194912310021' } as const
const known = [created({ identifiers: [mobile(person.mobile)] }), claimed('clerk')]
const both = [...known, identifierAdded(person.secondMobile)]
const nobody = { rejected: 'customer-not-found' } as const

describe('adding an identifier', () => {
  test('holds it in its normal form, named by a keyed hash', () => {
    given(customer, known).when(addIdentifier, { customerId: 'c', identifier: written('+86 139-0013-9000') }).then([identifierAdded(person.secondMobile)])
    given(customer, known).when(addIdentifier, { customerId: 'c', identifier: { kind: 'other', issuer: '外交部', value: person.licence.toLowerCase() } })
      .then([{ type: 'IdentifierAdded', data: { kind: 'other', identity: identityOf('other', `["外交部","${person.licence}"]`), value: sealed(`["外交部","${person.licence}"]`) } }])
  })
  test('that is held already, however written, changes nothing', () => {
    given(customer, known).when(addIdentifier, { customerId: 'c', identifier: written(`0086 ${person.mobile}`) }).then([])
  })
  test('that was released may be held again', () => {
    given(customer, [...known, identifierReleased(person.mobile)]).when(addIdentifier, { customerId: 'c', identifier: written(person.mobile) }).then([identifierAdded(person.mobile)])
  })
  test('that is malformed, or of nobody, is refused', () => {
    given(customer, known).when(addIdentifier, { customerId: 'c', identifier: wrong }).then(refusedAt('invalid-fields', 'identifier/value'))
    given(customer, [fenced()]).when(addIdentifier, { customerId: 'c', identifier: written(person.mobile) }).then(nobody)
  })
})

describe('changing an identifier', () => {
  const change = { customerId: 'c', from: written(person.mobile), to: written(person.secondMobile) }
  test('holds the new one before it lets go of the old one', () => {
    given(customer, known).when(changeIdentifier, { ...change, reason: person.said }).then([identifierAdded(person.secondMobile), identifierReleased(person.mobile, person.said)])
    given(customer, known).when(changeIdentifier, change).then([identifierAdded(person.secondMobile), identifierReleased(person.mobile)])
  })
  test('to one that is held beside it lets go of the old one', () => {
    given(customer, both).when(changeIdentifier, change).then([identifierReleased(person.mobile)])
  })
  test('that was changed already, or to itself, changes nothing', () => {
    given(customer, [...both, identifierReleased(person.mobile)]).when(changeIdentifier, change).then([])
    given(customer, known).when(changeIdentifier, { ...change, to: written(`+86${person.mobile}`) }).then([])
  })
  test('that is not held is refused', () => {
    given(customer, [created()]).when(changeIdentifier, change).then({ rejected: 'identifier-not-held' })
    given(customer, [created()]).when(changeIdentifier, { ...change, to: change.from }).then({ rejected: 'identifier-not-held' })
  })
  test('names both when both are malformed', () => {
    given(customer, known).when(changeIdentifier, { ...change, from: wrong, to: wrong }).then(refusedAt('invalid-fields', 'from/value', 'to/value'))
    given(customer, known).when(changeIdentifier, { ...change, to: wrong }).then(refusedAt('invalid-fields', 'to/value'))
    given(customer, []).when(changeIdentifier, change).then(nobody)
  })
  test('may be of another kind', () => {
    expect(ChangeIdentifier.safeParse({ customerId: 'c', from: written(person.mobile), to: { kind: 'email', value: person.email } }).success).toBe(true)
    expect(ChangeIdentifier.safeParse({ customerId: 'c', from: written(person.mobile), to: { kind: 'other', value: '1' } }).success).toBe(false)
  })
})

describe('releasing an identifier', () => {
  test('lets it go, saying why', () => {
    given(customer, known).when(releaseIdentifier, { customerId: 'c', identifier: written(`+86 ${person.mobile}`), reason: person.said }).then([identifierReleased(person.mobile, person.said)])
    expect(ReleaseIdentifier.safeParse({ customerId: 'c', identifier: written(person.mobile) }).success).toBe(false)
  })
  test('that was released before changes nothing; one that was never held is refused', () => {
    const release = (identifier: ReturnType<typeof written>) => ({ customerId: 'c', identifier, reason: person.said })
    given(customer, known).when(releaseIdentifier, release(written(person.secondMobile))).then({ rejected: 'identifier-not-held' })
    const { decision } = given(customer, known).when(releaseIdentifier, release(written(person.mobile)))
    given(customer, [...known, ...(isRejection(decision) ? [] : decision.events)]).when(releaseIdentifier, release(written(person.mobile))).then([])
  })
  test('that is malformed, or of nobody, is refused', () => {
    given(customer, known).when(releaseIdentifier, { customerId: 'c', identifier: wrong, reason: person.said }).then(refusedAt('invalid-fields', 'identifier/value'))
    given(customer, []).when(releaseIdentifier, { customerId: 'c', identifier: written(person.mobile), reason: person.said }).then(nobody)
  })
})

describe('what the reservation protocol reads', () => {
  test('the epoch counts fences and released identifiers, and nothing else', () => {
    expect(given(customer, [fenced(), ...both, identifierReleased(person.mobile), fenced()]).state).toMatchObject({ epoch: 3, fences: 2 })
  })
  test('fences before the entry leave no customer; a reader sees no fence', () => {
    expect(given(customer, [fenced(), fenced()]).state).toMatchObject({ status: 'none', visibleRevision: -1 })
    expect(given(customer, [fenced(), created(), fenced()]).state).toMatchObject({ status: 'entered', visibleRevision: 1 })
  })
  test('the identities gained and released are those of the events', () => {
    const decided: CustomerEvent[] = [created({ identifiers: [mobile(person.mobile)] }), identifierAdded(person.secondMobile), identifierReleased(person.mobile), fenced()]
    expect(identitiesGained(decided)).toEqual([mobile(person.mobile).identity, mobile(person.secondMobile).identity])
    expect(identitiesReleased(decided)).toEqual([mobile(person.mobile).identity])
  })
})
