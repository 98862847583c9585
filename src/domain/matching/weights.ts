import { z } from 'zod'
import { comparisons, rivals, type Kind } from './comparisons.ts'

const Probability = z.number().min(1e-12).max(1)

/** How often two records of one customer (m), and of two strangers (u), agree at a level. */
const Likelihood = z.strictObject({ m: Probability, u: Probability })
export type Likelihood = z.infer<typeof Likelihood>

const ComparisonWeights = z.strictObject({
  levels: z.record(z.string(), Likelihood),
  /** How often the values occur that occur often, by term; and what to take for all others. */
  terms: z.record(z.string().max(100), Probability).default({}),
  rest: Probability.nullable().default(null),
})
export type ComparisonWeights = z.infer<typeof ComparisonWeights>

const KindWeights = z.strictObject({
  /** Of all pairs of records, the share that are one customer. */
  prior: Probability,
  /** Of all pairs of records, the share that are two customers who share something: a home, a building, a group. */
  rivals: z.record(z.string(), Probability),
  /** How many of the records of one customer tell two addresses, because it moved. */
  moved: Probability.default(0.03),
  comparisons: z.record(z.string(), ComparisonWeights),
})
export type KindWeights = z.infer<typeof KindWeights>

const MatchingShape = z.strictObject({
  individual: KindWeights,
  organisation: KindWeights,
  /** From which probability on a pair is shown to who enters, becomes a case, is taken for one customer. */
  thresholds: z.strictObject({ shown: Probability, case: Probability, accept: Probability }),
})
export type Weights = z.infer<typeof MatchingShape>

/** Far below what an event may hold, and read with every start. */
export const WEIGHTS_BYTES = 200 * 1024

const unknownKeys = (given: object, known: object) => Object.keys(given).filter((key) => !Object.hasOwn(known, key))

const faultsOf = (kind: Kind, weights: KindWeights): { path: string[]; message: string }[] => {
  const known = new Map<string, readonly string[]>(Object.entries(comparisons[kind]))
  return [
    ...unknownKeys(weights.rivals, rivals[kind]).map((key) => ({ path: ['rivals', key], message: 'is no such thing that two customers share' })),
    ...Object.entries(weights.comparisons).flatMap(([name, { levels }]) => {
      const expected = known.get(name)
      if (!expected) return [{ path: ['comparisons', name], message: 'is no comparison of this kind' }]
      if (![...expected, ...Object.keys(levels)].every((level) => expected.includes(level) && Object.hasOwn(levels, level))) return [{ path: ['comparisons', name, 'levels'], message: `must be ${expected.join(', ')}` }]
      const sum = Object.values(levels).reduce((all, { m }) => all + m, 0)
      return Math.abs(sum - 1) < 0.02 ? [] : [{ path: ['comparisons', name, 'levels'], message: `its m must add up to 1, since two records of one customer agree at one of the levels; these add up to ${Number(sum.toPrecision(4))}` }]
    }),
  ]
}

/** The policy `matching`. What it leaves out (a comparison, a rival) is taken from the defaults. */
export const Matching = MatchingShape.superRefine((weights, context) => {
  for (const kind of ['individual', 'organisation'] as const)
    for (const { path, message } of faultsOf(kind, weights[kind])) context.addIssue({ code: 'custom', path: [kind, ...path], message })
  const { shown, case: opened, accept } = weights.thresholds
  if (shown > opened || opened > accept) context.addIssue({ code: 'custom', path: ['thresholds'], message: 'must not fall from shown to case to accept' })
  if (Buffer.byteLength(JSON.stringify(weights)) > WEIGHTS_BYTES) context.addIssue({ code: 'custom', path: [], message: `must have less than ${WEIGHTS_BYTES / 1024} KiB: leave out terms that are seldom` })
})
export { MatchingShape }
