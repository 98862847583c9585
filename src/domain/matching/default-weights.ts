import { comparisons, type Kind } from './comparisons.ts'
import type { ComparisonWeights, Likelihood, Weights } from './weights.ts'

// Rates as they are found in customer files of some thousand to a million records, for a start: an organisation has
// them estimated from its own records (kehu matching estimate). In the order of the levels in comparisons.ts.

type Rates = { m: readonly number[]; u: readonly number[]; rest?: number }

const weights = (kind: Kind, rates: Record<string, Rates>): Record<string, ComparisonWeights> => {
  const levels = new Map<string, readonly string[]>(Object.entries(comparisons[kind]))
  return Object.fromEntries(Object.entries(rates).map(([name, { m, u, rest = null }]) => {
    const likelihoods = (levels.get(name) ?? []).map((level, at): [string, Likelihood] => [level, { m: m[at] ?? 1e-6, u: u[at] ?? 1e-6 }])
    return [name, { levels: Object.fromEntries(likelihoods), terms: {}, rest }]
  }))
}

const contact: Record<string, Rates> = {
  mobile: { m: [0.78, 0.06, 0.16], u: [0.000_002, 0.000_002, 0.999_996], rest: 0.000_001 },
  phone: { m: [0.78, 0.06, 0.16], u: [0.000_02, 0.000_01, 0.999_97], rest: 0.000_005 },
  email: { m: [0.72, 0.12, 0.06, 0.1], u: [0.000_02, 0.000_03, 0.000_1, 0.999_85], rest: 0.000_005 },
  number: { m: [0.88, 0.08, 0.04], u: [0.000_001, 0.000_004, 0.999_995] },
}

const place: Record<string, Rates> = {
  street: { m: [0.7, 0.14, 0.06, 0.1], u: [0.001, 0.000_6, 0.01, 0.988], rest: 0.000_5 },
  'street-number': { m: [0.84, 0.06, 0.1], u: [0.015, 0.1, 0.885], rest: 0.008 },
  building: { m: [0.62, 0.16, 0.08, 0.14], u: [0.001, 0.000_6, 0.01, 0.988], rest: 0.000_5 },
  district: { m: [0.82, 0.09, 0.02, 0.07], u: [0.004, 0.001, 0.01, 0.985], rest: 0.002 },
  city: { m: [0.86, 0.06, 0.02, 0.06], u: [0.03, 0.002, 0.01, 0.958], rest: 0.005 },
  province: { m: [0.95, 0.05], u: [0.08, 0.92], rest: 0.04 },
  postcode: { m: [0.84, 0.09, 0.07], u: [0.002, 0.006, 0.992], rest: 0.001 },
}

/** The weights a new organisation starts with. */
export const defaultWeights: Weights = {
  individual: {
    prior: 0.000_002,
    rivals: { neighbours: 0.002, household: 0.000_001, family: 0.000_001 },
    moved: 0.03,
    comparisons: weights('individual', {
      given: { m: [0.74, 0.05, 0.07, 0.05, 0.03, 0.06], u: [0.004, 0.003, 0.002, 0.008, 0.02, 0.963], rest: 0.001 },
      surname: { m: [0.82, 0.03, 0.07, 0.01, 0.02, 0.05], u: [0.008, 0.004, 0.002, 0.002, 0.014, 0.97], rest: 0.001 },
      'name-order': { m: [0.97, 0.03], u: [0.7, 0.3] },
      'birth-date': { m: [0.85, 0.08, 0.03, 0.04], u: [0.000_05, 0.001, 0.004, 0.994_95], rest: 0.000_05 },
      ...contact,
      ...place,
    }),
  },
  organisation: {
    prior: 0.000_002,
    rivals: { neighbours: 0.01, 'one-building': 0.000_01, group: 0.000_01, 'group-in-one-building': 0.000_001 },
    moved: 0.03,
    comparisons: weights('organisation', {
      core: { m: [0.8, 0.06, 0.05, 0.05, 0.01, 0.03], u: [0.000_04, 0.000_06, 0.000_1, 0.001_2, 0.001, 0.9976], rest: 0.000_02 },
      region: { m: [0.97, 0.03], u: [0.05, 0.95], rest: 0.03 },
      trade: { m: [0.95, 0.05], u: [0.03, 0.97], rest: 0.02 },
      'legal-form': { m: [0.9, 0.1], u: [0.6, 0.4], rest: 0.3 },
      // Among those called the same: two companies hardly ever bear one registered name.
      'whole-name': { m: [0.6, 0.4], u: [0.03, 0.97] },
      branch: { m: [0.97, 0.03], u: [0.01, 0.99] },
      ...contact,
      ...place,
    }),
  },
  thresholds: { shown: 0.1, case: 0.5, accept: 0.9 },
}
