import { describe, expect, it } from 'vitest'
import { defaultWeights } from '../../../src/domain/matching/default-weights.ts'
import { estimate } from '../../../src/domain/matching/estimate.ts'
import type { Features } from '../../../src/domain/matching/features.ts'
import { fitMixture, type Pattern } from '../../../src/domain/matching/mixture.ts'
import { sampleOf, seeded } from '../../../src/domain/matching/sample.ts'
import { Matching } from '../../../src/domain/matching/weights.ts'

/** Pairs that are one customer in a third of cases, and agree as said. */
const madeUp = (m: number[], u: number[], pairs: number): Pattern[] => {
  const random = seeded(7)
  return Array.from({ length: pairs }, () => {
    const rates = random() < 1 / 3 ? m : u
    return { levels: rates.map((rate) => (random() < rate ? 0 : 1)), count: 1 }
  })
}

it('what was put in comes out: how often records of one customer agree, and how many pairs are one', () => {
  const [m, u] = [[0.9, 0.8, 0.7, 0.95], [0.05, 0.02, 0.1, 0.01]]
  const both = (rates: number[]) => rates.map((rate) => [rate, 1 - rate])
  const start = [0.6, 0.6, 0.6, 0.6]
  const { counts, matched } = fitMixture({ patterns: madeUp(m, u, 20_000), m: both(start), u: both(u), used: m.map(() => true), isPlace: m.map(() => false), rivals: [], belief: 1, tied: null })
  counts.forEach(([same = 0, other = 0], at) => expect(same / (same + other)).toBeCloseTo(m[at] ?? 0, 1.5))
  expect(matched / 20_000).toBeCloseTo(1 / 3, 1.5)
})

describe('weights estimated from records', () => {
  const random = seeded(3)
  const names = ['ann', 'bea', 'cleo', 'dora', 'eve', 'fay', 'gwen', 'hope', 'iris', 'joy']
  const customers = Array.from({ length: 600 }, (_, index): Features => ({ kind: 'individual', given: names[Math.floor(random() ** 2 * 10)] ?? 'ann', surname: `name${index % 97}`, birthDate: `19${10 + (index % 80)}0${1 + (index % 9)}1${index % 9}`, mobiles: [`+861380000${1000 + index}`] }))
  // A third is entered twice; of those a quarter with another mobile.
  const records = customers.flatMap((one, index) => (index % 3 === 0 ? [one, index % 4 === 0 ? { ...one, mobiles: [`+861390000${1000 + index}`] } : one] : [one]))
  const weights = estimate(records, defaultWeights)
  const { individual } = weights

  it('fit the policy, and are the same again', () => {
    expect(Matching.safeParse(weights).success).toBe(true)
    expect(estimate(records, defaultWeights)).toEqual(weights)
  })
  it('tell how many pairs are one customer, and how often a mobile changed', () => {
    expect(individual.prior * records.length * (records.length - 1) / 2).toBeGreaterThan(150)
    expect(individual.prior * records.length * (records.length - 1) / 2).toBeLessThan(260)
    expect(individual.comparisons['mobile']?.levels['same']?.m).toBeGreaterThan(0.6)
    expect(individual.comparisons['mobile']?.levels['same']?.m).toBeLessThan(0.9)
  })
  it('hold common names alone, and no phone number', () => {
    expect(Object.keys(individual.comparisons['given']?.terms ?? {})).toContain('ann')
    expect(JSON.stringify(weights)).not.toMatch(/\+86|name1"|13800/)
  })
  it('stay as they are for a kind there is too little of', () => expect(weights.organisation).toEqual(defaultWeights.organisation))
})

it('a sample is a part, in order, and the same for the same seed', () => {
  const items = Array.from({ length: 1000 }, (_, index) => index)
  const sample = sampleOf(items, 100, seeded(1))
  expect(sample).toHaveLength(100)
  expect(sample).toEqual(sample.toSorted((one, other) => one - other))
  expect(sampleOf(items, 100, seeded(1))).toEqual(sample)
})
