import { describe, expect, test } from 'vitest'
import { CorrectOwnership, correctOwnership, type Correction } from '../../../src/domain/customer/correction.ts'
import { customer, ownerOf, responsibleFor } from '../../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../../src/domain/customer/events.ts'
import { listed } from '../../../src/domain/customer/ownership-changes.ts'
import { by, claimed, corrected, created, departed, eventIdOf, fenced, fold, given, inForce, on, person, recorded, refusedAt, released, staged, withPolicy, type When } from '../../support/given.ts'

const policies = inForce('ownership')
/** Entered on the 1st, the clerk's from the 2nd, in the pool from the 3rd, the colleague's from the 4th on. */
const past = [created(), claimed('clerk'), released('clerk'), claimed('colleague')]
const correcting = (revision: number, more: Partial<Correction>): Correction =>
  ({ customerId: 'c', corrects: eventIdOf(revision), ownerId: 'rival', reason: person.said, named: { revision, correctedBy: null }, ...more })
const periods = (events: readonly (CustomerEvent & When)[]) => listed(fold(customer, events.map(recorded)).ownership).map(({ at, ownerId }) => [at, ownerId])

describe('a correction of an entry about the owner', () => {
  test('stands in its place: since when, under the policy in force, and naming what it corrects', () => {
    given(customer, past).when(correctOwnership, correcting(1, {}), by('manager')).then([corrected(1, 'clerk', 'rival')], { effectiveAt: on(2), policies })
    given(customer, past).when(correctOwnership, correcting(3, { ownerId: null }), by('manager')).then([corrected(3, 'colleague', null)], { effectiveAt: on(4) })
    given(customer, past).when(correctOwnership, correcting(0, { ownerId: 'clerk' }), by('manager')).then([corrected(0, null, 'clerk')], { effectiveAt: on(1) })
    expect(CorrectOwnership.safeParse({ customerId: 'c', corrects: eventIdOf(1), ownerId: 'rival' }).success).toBe(false)
  })
  test('leaves what came after it, at the same instant too', () => {
    expect(periods([...past, corrected(1, 'clerk', 'rival', { effectiveAt: on(2) })])).toEqual([[on(1), null], [on(2), 'rival'], [on(3), null], [on(4), 'colleague']])
    const atOnce = [created(), claimed('clerk', { basis: 'first-entry', effectiveAt: on(1) })]
    expect(periods([...atOnce, corrected(0, null, 'rival', { effectiveAt: on(1) })])).toEqual([[on(1), 'rival'], [on(1), 'clerk']])
  })
  test('at another time moves it there, within what the policy and the entry allow', () => {
    given(customer, past).when(correctOwnership, correcting(1, { ownerId: 'clerk', effectiveAt: on(1, '20:00:00.000') }), by('manager')).then([corrected(1, 'clerk', 'clerk')], { effectiveAt: on(1, '20:00:00.000') })
    expect(periods([...past, corrected(1, 'clerk', 'clerk', { effectiveAt: on(5) })])).toEqual([[on(1), null], [on(3), null], [on(4), 'colleague'], [on(5), 'clerk']])
    const tooFar = refusedAt('invalid-effective-time', 'effectiveAt')
    given(customer, past).when(correctOwnership, correcting(1, { effectiveAt: on(1, '08:00:00.000') }), by('manager')).then(tooFar)
    given(customer, past).when(correctOwnership, correcting(1, { effectiveAt: on(26) }), by('manager')).then(tooFar)
    const strict = withPolicy('ownership', { backdatingDays: 3 })
    given(customer, past).when(correctOwnership, correcting(1, { effectiveAt: on(3) }), by('manager', { organisation: strict })).then(tooFar)
    // What stays at its time may be as old as it is.
    given(customer, past).when(correctOwnership, correcting(1, { effectiveAt: on(2) }), by('manager', { organisation: strict })).then([corrected(1, 'clerk', 'rival')])
    // There is no time before the entry, and none without a holder after it.
    given(customer, past).when(correctOwnership, correcting(0, { effectiveAt: on(2) }), by('manager')).then(tooFar)
  })
  test('that says what is on record already changes nothing', () => {
    given(customer, past).when(correctOwnership, correcting(1, { ownerId: 'clerk' }), by('manager')).then([])
    given(customer, [...past, corrected(1, 'clerk', 'rival', { effectiveAt: on(2) })]).when(correctOwnership, correcting(1, { named: { revision: 1, correctedBy: eventIdOf(4) } }), by('manager')).then([])
  })
  test('is corrected itself; the entry it corrected is not, again', () => {
    const once = [...past, corrected(1, 'clerk', 'rival', { effectiveAt: on(2) })]
    given(customer, once).when(correctOwnership, correcting(1, { ownerId: 'chief', named: { revision: 1, correctedBy: eventIdOf(4) } }), by('manager')).then({ rejected: 'already-corrected', extensions: { correctedBy: eventIdOf(4) } })
    given(customer, once).when(correctOwnership, correcting(4, { ownerId: 'chief' }), by('manager')).then([corrected(4, 'rival', 'chief')], { effectiveAt: on(2) })
    expect(periods([...once, corrected(4, 'rival', 'chief', { effectiveAt: on(2) })])).toEqual([[on(1), null], [on(2), 'chief'], [on(3), null], [on(4), 'colleague']])
  })
  test('names a change of owner of this customer', () => {
    given(customer, past).when(correctOwnership, correcting(7, { named: null }), by('manager')).then(refusedAt('unknown-reference', 'corrects'))
    given(customer, [...past, staged('target', 'prospect', 'progress')]).when(correctOwnership, correcting(4, {}), by('manager')).then(refusedAt('unknown-reference', 'corrects'))
    given(customer, [fenced()]).when(correctOwnership, correcting(0, {}), by('manager')).then({ rejected: 'customer-not-found' })
  })
  test('may name who has departed for the past, and not for today', () => {
    const organisation = departed('rival')
    given(customer, past).when(correctOwnership, correcting(1, {}), by('manager', { organisation })).then([corrected(1, 'clerk', 'rival')])
    given(customer, past).when(correctOwnership, correcting(3, {}), by('manager', { organisation })).then({ rejected: 'employee-departed' })
    given(customer, past).when(correctOwnership, correcting(1, { effectiveAt: on(6) }), by('manager', { organisation })).then({ rejected: 'employee-departed' })
    given(customer, past).when(correctOwnership, correcting(1, { ownerId: 'nobody' }), by('manager')).then(refusedAt('unknown-reference', 'ownerId'))
  })
  test('decides who holds it, and whose department it belongs to', () => {
    const state = fold(customer, [...past, corrected(3, 'colleague', null, { effectiveAt: on(4) })].map(recorded))
    expect([ownerOf(state), responsibleFor(state)]).toEqual([null, 'clerk'])
  })
})
