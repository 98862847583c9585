import { describe, test } from 'vitest'
import { customer } from '../../../src/domain/customer/customer.ts'
import { handOver, HandOverCustomer } from '../../../src/domain/customer/hand-over.ts'
import type { CustomerEvent } from '../../../src/domain/customer/events.ts'
import { bySystem, claimed, created, departed, given, inForce, released } from '../../support/given.ts'

const policies = inForce('ownership')
const handing = (more: object = {}) => HandOverCustomer.parse({ customerId: 'c', handoverId: 'h', from: 'clerk', to: 'colleague', basis: 'departure', ...more })
const moved = (more: object = {}): CustomerEvent => ({ type: 'OwnershipTransferred', data: { from: 'clerk', ownerId: 'colleague', basis: 'departure', reason: null, handoverId: 'h', ...more } })
const pooled = (basis: 'departure' | 'transfer'): CustomerEvent => ({ type: 'OwnershipReleased', data: { from: 'clerk', basis, reason: null, handoverId: 'h' } })
const held = [created(), claimed('clerk')]

describe('a customer of a handover', () => {
  test('goes to who takes over, or to the pool, saying by which handover', () => {
    given(customer, held).when(handOver, handing(), bySystem()).then([moved()], { policies })
    given(customer, held).when(handOver, handing({ to: null }), bySystem()).then([pooled('departure')], { policies })
    given(customer, held).when(handOver, handing({ to: null, basis: 'transfer' }), bySystem()).then([pooled('transfer')], { policies })
  })
  test('stays where it is when they hold it no more, or it is part of another', () => {
    given(customer, [created()]).when(handOver, handing(), bySystem()).then([])
    given(customer, [...held, released('clerk')]).when(handOver, handing(), bySystem()).then([])
    given(customer, [...held, moved({ ownerId: 'rival', basis: 'transfer' })]).when(handOver, handing(), bySystem()).then([])
    given(customer, [...held, { type: 'CustomerAbsorbed', data: { mergeId: 'm', into: 'other' } }]).when(handOver, handing(), bySystem()).then([])
    given(customer, held).when(handOver, handing({ to: 'clerk' }), bySystem()).then([])
  })
  test('of a transfer, only as held when it began; of a departure, whenever they came to hold it', () => {
    const again = [...held, released('clerk'), claimed('clerk')]
    given(customer, held).when(handOver, handing({ basis: 'transfer', heldSince: 1 }), bySystem()).then([moved({ basis: 'transfer' })])
    given(customer, again).when(handOver, handing({ basis: 'transfer', heldSince: 1 }), bySystem()).then([])
    given(customer, again).when(handOver, handing(), bySystem()).then([moved()])
  })
  test('never goes to who is unknown or has departed; nobody of that id is refused', () => {
    given(customer, held).when(handOver, handing({ to: 'gone' }), bySystem()).then({ rejected: 'employee-departed' })
    given(customer, held).when(handOver, handing(), { ...bySystem(), organisation: departed('colleague') }).then({ rejected: 'employee-departed' })
    given(customer, held).when(handOver, handing({ to: 'nobody' }), bySystem()).then({ rejected: 'unknown-reference' })
    given(customer, []).when(handOver, handing(), bySystem()).then({ rejected: 'customer-not-found' })
  })
})
