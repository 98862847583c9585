import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { spread, type Handed, type Taker } from '../../../src/domain/handover/spread.ts'

const taker = (employeeId: string, byTier: Record<string, number> = {}, byRegion: Record<string, number> = {}): Taker =>
  ({ employeeId, total: Object.values(byTier).reduce((sum, n) => sum + n, 0), byTier: new Map(Object.entries(byTier)), byRegion: new Map(Object.entries(byRegion)) })
const customer = (customerId: string, tier = 'standard', region: string | null = null): Handed => ({ customerId, tier, region })
const targets = ({ to }: ReturnType<typeof spread>) => [...to.entries()]

const takers = fc.uniqueArray(fc.record({ employeeId: fc.stringMatching(/^[a-z]{1,3}$/), standard: fc.nat(30), premier: fc.nat(5) }), { minLength: 1, maxLength: 6, selector: (one) => one.employeeId })
  .map((all) => all.map(({ employeeId, standard, premier }) => taker(employeeId, { standard, premier }, { '广东/深圳': Math.min(standard, 3), 广东: Math.min(standard, 3) })))
const customers = fc.array(fc.record({ tier: fc.constantFrom('standard', 'premier'), region: fc.constantFrom('广东/深圳', '广东', '上海', null) }), { maxLength: 60 }).map((all) => all.map(({ tier, region }, index) => customer(`c${index}`, tier, region)))
const by = fc.constantFrom('load', 'tier', 'region')

describe('customers are spread', () => {
  test('by load: always to who holds fewest, ties by id', () => {
    expect(targets(spread('load', [taker('b', { standard: 1 }), taker('a', { standard: 1 }), taker('c', { premier: 3 })], ['1', '2', '3', '4'].map((id) => customer(id))))).toEqual([['1', 'a'], ['2', 'b'], ['3', 'a'], ['4', 'b']])
  })
  test('by tier: each tier to who holds fewest of it, then to who holds fewest', () => {
    const all = [taker('a', { premier: 2 }), taker('b', { standard: 5 }), taker('c', { standard: 1 })]
    expect(targets(spread('tier', all, [customer('1', 'premier'), customer('2', 'premier'), customer('3', 'premier'), customer('4', 'standard')]))).toEqual([['1', 'c'], ['2', 'b'], ['3', 'c'], ['4', 'a']])
  })
  test('by region: to who holds most of the city, else of the province; where nobody holds any, to who holds fewest, and then all of it to them', () => {
    const all = [taker('a', { standard: 9 }, { '广东/深圳': 2, 广东: 2 }), taker('b', { standard: 9 }, { '广东/广州': 3, 广东: 3 }), taker('c', { standard: 1 })]
    const placed = [customer('1', 'standard', '广东/深圳'), customer('2', 'standard', '广东/珠海'), customer('3', 'standard', '上海'), customer('4', 'standard', '上海'), customer('5')]
    expect(targets(spread('region', all, placed))).toEqual([['1', 'a'], ['2', 'b'], ['3', 'c'], ['4', 'c'], ['5', 'c']])
  })
  test('by load, so that who got one never ends up more than one above another', () => {
    fc.assert(fc.property(takers, customers, (all, given) => {
      const { to, takers: after } = spread('load', all, given)
      const fewest = Math.min(...after.map((one) => one.total))
      const gained = new Set(to.values())
      for (const one of after) if (gained.has(one.employeeId)) expect(one.total - fewest).toBeLessThanOrEqual(1)
    }))
  })
  test('by tier, so that who got one of a tier never ends up more than one of it above another', () => {
    fc.assert(fc.property(takers, customers, (all, given) => {
      const { to, takers: after } = spread('tier', all, given)
      for (const tier of ['standard', 'premier']) {
        const gained = new Set(given.filter((one) => one.tier === tier).map((one) => to.get(one.customerId)))
        const counts = after.map((one) => one.byTier.get(tier) ?? 0)
        for (const one of after) if (gained.has(one.employeeId)) expect((one.byTier.get(tier) ?? 0) - Math.min(...counts)).toBeLessThanOrEqual(1)
      }
    }))
  })
  test('by region, so that those of one go to one, unless somebody there holds more meanwhile', () => {
    fc.assert(fc.property(customers, (given) => {
      const { to } = spread('region', [taker('a'), taker('b'), taker('c')], given)
      expect(new Set(given.filter((one) => one.region === '上海').map((one) => to.get(one.customerId))).size).toBeLessThanOrEqual(1)
    }))
  })
  test('whole: everyone goes to one of them and is counted; in any order of the takers the same, and in pages as at once', () => {
    fc.assert(fc.property(by, takers, customers, fc.nat(60), (rule, all, given, at) => {
      const whole = spread(rule, all, given)
      expect([...whole.to.keys()]).toEqual(given.map((one) => one.customerId))
      expect(whole.takers.reduce((sum, one) => sum + one.total, 0)).toBe(all.reduce((sum, one) => sum + one.total, 0) + given.length)
      expect(targets(spread(rule, all.toReversed(), given))).toEqual(targets(whole))
      const first = spread(rule, all, given.slice(0, at))
      const rest = spread(rule, first.takers, given.slice(at))
      expect([...targets(first), ...targets(rest)]).toEqual(targets(whole))
    }))
  })
  test('nowhere, where nobody takes over', () => {
    fc.assert(fc.property(by, customers, (rule, given) => {
      expect(targets(spread(rule, [], given))).toEqual([])
    }))
  })
})
