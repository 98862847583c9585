import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { customer } from '../../src/domain/customer/customer.ts'
import { claim, ClaimOwnership } from '../../src/domain/customer/ownership.ts'
import { isRejection } from '../../src/domain/rejection.ts'
import { dayOf, limitedGain, whyFull, type Holdings, type LimitedGain, type Pool } from '../../src/domain/portfolio/limits.ts'
import { portfolio, slotOf, type Portfolio, type PortfolioEvent } from '../../src/domain/portfolio/portfolio.ts'
import { by, created, claimed, fold, on, recorded, released } from '../support/given.ts'

const pool = (more: Partial<Pool> = {}): Pool => ({ coolOffDays: null, dailyQuota: null, capacity: null, uncountedStages: [], ...more })
const now = { at: on(25), timeZone: 'Asia/Shanghai' }
const reservedSlot = (customerId: string, commandId: string, more: object = {}): PortfolioEvent => ({ type: 'SlotReserved', data: { customerId, commandId, epoch: 0, purpose: 'claim', tier: 'standard', stage: 'target', day: '2026-03-25', ...more } })
const ended = (type: 'SlotSettled' | 'SlotReleased', customerId: string, commandId: string): PortfolioEvent => ({ type, data: { customerId, commandId } })
const after = (...events: PortfolioEvent[]): Portfolio => fold(portfolio, events.map((event, revision) => recorded(event, revision)))

describe('a portfolio', () => {
  test('has a slot open until it is settled or released, and counts settled claims by day', () => {
    expect(after(reservedSlot('a', '1')).open).toMatchObject([{ customerId: 'a', commandId: '1', revision: 0 }])
    expect(after(reservedSlot('a', '1'), ended('SlotSettled', 'a', '1'))).toEqual({ open: [], claims: new Map([['2026-03-25', 1]]), endedAt: 1 })
    expect(after(reservedSlot('a', '1'), ended('SlotReleased', 'a', '1'))).toEqual({ open: [], claims: new Map(), endedAt: 1 })
    expect(after(reservedSlot('a', '1', { purpose: 'transfer', day: undefined }), ended('SlotSettled', 'a', '1')).claims).toEqual(new Map())
  })
  test('reserved anew by the same command for the same customer, has the slot once', () => {
    const twice = after(reservedSlot('a', '1'), reservedSlot('a', '1', { epoch: 1 }), reservedSlot('a', '2'))
    expect(slotOf(twice, { customerId: 'a', commandId: '1' })).toMatchObject({ epoch: 1, revision: 1 })
    expect(twice.open).toHaveLength(2)
  })
  test('settled twice counts once', () => {
    expect(after(reservedSlot('a', '1'), ended('SlotSettled', 'a', '1'), ended('SlotSettled', 'a', '1')).claims).toEqual(new Map([['2026-03-25', 1]]))
  })
})

describe('the day of a claim', () => {
  it('is that of the organisation, and ends at its midnight', () => {
    expect(dayOf('2026-03-25T15:59:59.999Z', 'Asia/Shanghai')).toEqual({ day: '2026-03-25', nextDayAt: '2026-03-25T16:00:00.000Z' })
    expect(dayOf('2026-03-25T16:00:00.000Z', 'Asia/Shanghai')).toEqual({ day: '2026-03-26', nextDayAt: '2026-03-26T16:00:00.000Z' })
    // The day clocks are changed on has 23 hours.
    expect(dayOf('2026-03-28T23:30:00.000Z', 'Europe/Berlin')).toEqual({ day: '2026-03-29', nextDayAt: '2026-03-29T22:00:00.000Z' })
  })
})

describe('a gain is limited', () => {
  const state = fold(customer, [recorded(created(), 0)])
  const gainOf = (of: typeof state, given: Pool, effectiveAt?: string) => {
    const decision = claim(of, ClaimOwnership.parse({ customerId: 'c', ...(effectiveAt === undefined ? {} : { effectiveAt }) }), by('clerk'))
    return isRejection(decision) ? expect.fail(decision.detail) : limitedGain('c', of, decision, given, now)
  }
  test('where the policy sets a limit for it, and nowhere else', () => {
    expect(gainOf(state, pool())).toBeUndefined()
    expect(gainOf(state, pool({ capacity: { total: null, byTier: { premier: 1 } } }))).toBeUndefined()
    expect(gainOf(state, pool({ capacity: { total: 3, byTier: {} }, uncountedStages: ['target'] }))).toBeUndefined()
    expect(gainOf(state, pool({ capacity: { total: 3, byTier: { standard: 2 } } }))).toMatchObject({ employeeId: 'clerk', purpose: 'claim', most: { total: 3, ofTier: 2 }, mostClaims: null })
    expect(gainOf(state, pool({ dailyQuota: 2 }))).toMatchObject({ most: { total: null, ofTier: null }, mostClaims: 2, on: { day: '2026-03-25' } })
  })
  test('by the quota alone where it took effect earlier and did not last', () => {
    const passedOn = fold(customer, [created(), claimed('rival'), released('rival'), claimed('rival')].map((event, index) => recorded(event, index)))
    const between = passedOn.ownership?.before?.change.at ?? expect.fail('no change')
    expect(gainOf(passedOn, pool({ capacity: { total: 1, byTier: {} } }), between)).toBeUndefined()
    expect(gainOf(passedOn, pool({ capacity: { total: 1, byTier: {} }, dailyQuota: 1 }), between)).toMatchObject({ most: { total: null }, mostClaims: 1 })
  })
})

describe('room', () => {
  const gain: LimitedGain = { employeeId: 'clerk', customerId: 'x', purpose: 'claim', tier: 'standard', stage: 'target', most: { total: 3, ofTier: 2 }, mostClaims: 2, uncountedStages: ['lost'], on: dayOf(now.at, now.timeZone) }
  const slots = fc.array(fc.record({
    customerId: fc.constantFrom('a', 'b', 'd', 'x'), commandId: fc.constantFrom('1', '2', 'own'), tier: fc.constantFrom('standard', 'premier'), stage: fc.constantFrom('target', 'lost'),
    day: fc.constantFrom('2026-03-25', '2026-03-24', undefined),
  }), { maxLength: 6 })
  const world = fc.record({ slots, settled: fc.nat({ max: 3 }), standard: fc.nat({ max: 3 }), premier: fc.nat({ max: 3 }), held: fc.subarray(['a', 'b', 'd']) })

  test('is what the limits leave: by hand, for any holdings and open slots', () => {
    fc.assert(fc.property(world, ({ slots: given, settled, standard, premier, held }) => {
      const open = after(...given.map(({ customerId, commandId, day, ...more }) => reservedSlot(customerId, commandId, { ...more, day }))).open
      const holdings: Holdings = { byTier: { standard, premier }, held: new Set(held) }
      const full = whyFull(gain, 'own', { open, claims: new Map([['2026-03-25', settled]]), endedAt: -1 }, holdings)

      const others = open.filter((slot) => slot.commandId !== 'own')
      const coming = new Set(others.filter((slot) => !held.includes(slot.customerId) && slot.stage !== 'lost' && slot.customerId !== 'x').map((slot) => slot.customerId))
      const standards = new Set(others.filter((slot) => !held.includes(slot.customerId) && slot.stage !== 'lost' && slot.customerId !== 'x' && slot.tier === 'standard').map((slot) => slot.customerId))
      const today = others.filter((slot) => slot.day === '2026-03-25').length
      const overQuota = settled + today >= 2
      const over = standard + premier + coming.size >= 3 || standard + standards.size >= 2
      expect(full?.rejection.rejected).toBe(overQuota ? 'quota-reached' : over ? 'capacity-reached' : undefined)
      // Without open slots there is room, or it is final.
      const alone = whyFull(gain, 'own', { open: [], claims: new Map([['2026-03-25', settled]]), endedAt: -1 }, holdings)
      if (full?.final) expect(alone).toBeDefined()
      if (alone) expect(full).toBeDefined()
    }), { seed: 20260303 })
  })
})
