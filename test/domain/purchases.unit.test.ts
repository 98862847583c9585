import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { customer, type Customer } from '../../src/domain/customer/customer.ts'
import * as lifecycle from '../../src/domain/customer/lifecycle.ts'
import type { Context, Decision } from '../../src/domain/decider.ts'
import { engagement, RecordInteraction, recordInteraction, type Engagement, type EngagementEvent } from '../../src/domain/engagement/engagement.ts'
import * as purchases from '../../src/domain/purchases/purchases.ts'
import { isRejection } from '../../src/domain/rejection.ts'
import { by, bySystem, created, fold, given, inForce, on, person, recorded, sealed, staged } from '../support/given.ts'

const known: Customer = fold(customer, [recorded(created(), 0)])
const buy = (state: purchases.Purchases, command: Parameters<typeof purchases.recordPurchase>[1], context: Context): Decision<purchases.PurchasesEvent> => purchases.recordPurchase(state, command, context, known)
const refund = (state: purchases.Purchases, command: Parameters<typeof purchases.recordRefund>[1], context: Context): Decision<purchases.PurchasesEvent> => purchases.recordRefund(state, command, context, known)
const yuan = (amount: number) => ({ amount: amount * 100, currency: 'CNY' })
const purchase = (more: object = {}) => purchases.RecordPurchase.parse({ customerId: 'c', purchaseId: 'p1', at: on(3), amount: yuan(100), ...more })
const recordedPurchase = (purchaseId: string, amount: number, day = 3): purchases.PurchasesEvent => ({ type: 'PurchaseRecorded', data: { purchaseId, at: on(day), amount: yuan(amount), lines: [], channel: null } })

describe('purchases', () => {
  it('are recorded once for each of the shop’s ids, late and out of order as they come', () => {
    given(purchases.purchases, [recordedPurchase('p2', 50, 20)]).when(buy, purchase(), bySystem()).then([recordedPurchase('p1', 100)], { effectiveAt: on(3) })
    given(purchases.purchases, [recordedPurchase('p1', 100)]).when(buy, purchase(), bySystem()).then([])
    given(purchases.purchases, [recordedPurchase('p1', 100)]).when(buy, purchase({ amount: yuan(99) }), bySystem()).then({ rejected: 'purchase-exists' })
  })
  it('take their amount from the lines, of one currency, and not from the future', () => {
    const line = (amount: number, currency = 'CNY') => ({ product: '光盘', quantity: 1, amount: { amount, currency } })
    expect(given(purchases.purchases, []).when(buy, purchases.RecordPurchase.parse({ customerId: 'c', purchaseId: 'p1', at: on(3), lines: [line(100), line(250)] }), bySystem()).decision).toMatchObject({ events: [{ data: { amount: { amount: 350, currency: 'CNY' } } }] })
    for (const wrong of [{}, { lines: [line(1), line(1, 'USD')] }, { lines: [line(1)], amount: yuan(2) }, { amount: { amount: -1, currency: 'CNY' } }]) expect(purchases.RecordPurchase.safeParse({ customerId: 'c', purchaseId: 'p1', at: on(3), ...wrong }).success).toBe(false)
    given(purchases.purchases, []).when(buy, purchase({ at: on(27) }), bySystem()).then({ rejected: 'invalid-effective-time' })
    expect(purchases.recordPurchase(purchases.purchases.initialState, purchase(), bySystem(), null)).toMatchObject({ rejected: 'customer-not-found' })
  })
  it('never more is refunded than was bought, whatever the order', () => {
    const orders = fc.array(fc.record({ id: fc.constantFrom('r1', 'r2', 'r3', 'r4'), of: fc.constantFrom('p1', 'p2', 'p9'), sum: fc.integer({ min: 0, max: 12_000 }) }), { maxLength: 12 })
    fc.assert(fc.property(orders, (refunds) => {
      let state = fold(purchases.purchases, [recorded(recordedPurchase('p1', 100), 0), recorded(recordedPurchase('p2', 40), 1)])
      for (const { id, of, sum } of refunds) {
        const decision = refund(state, purchases.RecordRefund.parse({ customerId: 'c', refundId: id, purchaseId: of, at: on(5), amount: { amount: sum, currency: 'CNY' } }), bySystem())
        if (isRejection(decision)) continue
        state = fold(purchases.purchases, decision.events.map((event) => recorded(event, 2)), state)
      }
      for (const one of state.purchases.values()) expect(one.refunded).toBeLessThanOrEqual(one.amount.amount)
      expect(purchases.netSpend(state).get('CNY')).toBeGreaterThanOrEqual(0)
    }), { numRuns: 200, seed: 3 })
  })
  it('a refund says what can still be given back', () => {
    given(purchases.purchases, [recordedPurchase('p1', 100)]).when(refund, { customerId: 'c', refundId: 'r', purchaseId: 'p1', at: on(5), amount: yuan(101) }, bySystem()).then({ rejected: 'refund-too-large', extensions: { refundable: yuan(100) } })
  })
})

describe('what purchases do by themselves', () => {
  const first = { customerId: 'c', purchaseId: 'p1', at: on(10) }
  it('the first makes a deal of a target or prospect, from when it was bought, complete or not', () => {
    given(customer, [created()]).when(lifecycle.activateByPurchase, first, bySystem()).then(
      [{ type: 'StageChanged', data: { from: 'target', to: 'active', move: 'progress', cause: 'purchase', reason: null, purchaseId: 'p1' } }], { effectiveAt: on(10), policies: inForce('stages') },
    )
  })
  it('not before the stage it leaves began, and no other stage is left by it', () => {
    expect(given(customer, [created(), staged('target', 'prospect', 'progress', null)]).when(lifecycle.activateByPurchase, { ...first, at: on(1, '01:00:00.000') }, bySystem()).decision).toMatchObject({ effectiveAt: on(2) })
    given(customer, [created(), staged('target', 'lost', 'setback', null)]).when(lifecycle.activateByPurchase, first, bySystem()).then([])
  })
  it('spend grants one tier and proposes a higher one, once', () => {
    const spend = (amount: number) => ({ customerId: 'c', spend: [yuan(amount)], purchases: 3 })
    const evidence = (threshold: number) => sealed({ spend: 60_000_000, threshold, currency: 'CNY', purchases: 3 })
    given(customer, [created()]).when(lifecycle.assessSpend, spend(600_000), bySystem()).then([
      { type: 'TierUpgraded', data: { from: 'standard', to: 'preferred', basis: 'spend', evidence: evidence(5_000_000) } },
      { type: 'TierUpgradeProposed', data: { from: 'preferred', to: 'premier', basis: 'spend', evidence: evidence(50_000_000) } },
    ])
    given(customer, [created()]).when(lifecycle.assessSpend, spend(100), bySystem()).then([])
  })
})

describe('interactions', () => {
  const record = (state: Engagement, command: Parameters<typeof recordInteraction>[1], context: Context): Decision<EngagementEvent> => recordInteraction(state, command, context, known)
  it('are recorded once for each id, with free text sealed', () => {
    const command = RecordInteraction.parse({ customerId: 'c', interactionId: 'i1', at: on(4), channel: 'visit', direction: 'outbound', purpose: 'courtesy', outcome: person.said })
    given(engagement, []).when(record, command).then([{ type: 'InteractionRecorded', data: { interactionId: 'i1', at: on(4), channel: 'visit', direction: 'outbound', purpose: 'courtesy', contactId: null, outcome: sealed(person.said), nextStep: null, employeeId: 'clerk', followUp: false } }], { effectiveAt: on(4) })
  })
  it('name a contact of the customer, and no future', () => {
    const command = { customerId: 'c', channel: 'visit', direction: 'inbound', purpose: 'courtesy' } as const
    given(engagement, []).when(record, { ...command, contactId: 'nobody' }).then({ rejected: 'unknown-reference' })
    expect(record(engagement.initialState, { ...command, at: on(27) }, by('clerk'))).toMatchObject({ rejected: 'invalid-effective-time' })
  })
})
