import type { FoundNearMatches, NearMatch } from '../../domain/customer/near-matches.ts'
import { blockingKeys } from '../../domain/matching/blocking.ts'
import { bitsOf, compare } from '../../domain/matching/compare.ts'
import { featuresOf, type Features } from '../../domain/matching/features.ts'
import type { MatchProfile } from '../../domain/matching/profile.ts'
import type { Weights } from '../../domain/matching/weights.ts'
import { ModelBuilding, type ReadModels } from '../read-models.ts'
import { duplicates } from './project.ts'
import { comparableOf, holders, sharingKeys, type Comparable } from './queries.ts'
import { scoreOf } from './score.ts'

type Search = { weights: { version: number; value: Weights }; most: number }

/** The finder of near matches that commands are handed: from this read model, by the weights they name. */
export const makeNearMatchFinder = (readModels: ReadModels) => ({
  ofWouldBe: async ({ profile, identities }: { profile: MatchProfile; identities: readonly string[] }, search: Search): Promise<FoundNearMatches> => {
    const features = featuresOf(profile)
    const keys = blockingKeys(features)
    if (keys.length === 0) return { weightsVersion: search.weights.version, candidates: [] }
    try {
      const { result } = await readModels.query(duplicates, {}, async (db, schema) => {
        const held = new Set((await holders(db, schema, identities)).map(({ customerId }) => customerId))
        return (await sharingKeys(db, schema, keys)).filter(({ customerId }) => !held.has(customerId))
      })
      return ranked(features, result, search)
    } catch (error) {
      if (error instanceof ModelBuilding) return 'unavailable'
      throw error
    }
  },

  ofCustomer: async (customerId: string, after: bigint, search: Search) => {
    const { result } = await readModels.query(duplicates, { after }, async (db, schema) => {
      const one = await comparableOf(db, schema, customerId)
      return one && { one, others: (await sharingKeys(db, schema, blockingKeys(one.features))).filter((other) => other.record !== one.record) }
    })
    return result ? ranked(result.one.features, result.others, search) : { weightsVersion: search.weights.version, candidates: [] }
  },
})

/** Those the weights would show, best first; ties by id, so that the answer is always the same. */
const ranked = (features: Features, others: readonly Comparable[], { weights, most }: Search): Exclude<FoundNearMatches, 'unavailable'> => {
  const least = bitsOf(weights.value.thresholds.shown)
  const likely = others.flatMap((other) => {
    const score = scoreOf(features, other.features, weights.value)
    return score < least ? [] : [{ other, score }]
  })
  likely.sort((one, two) => two.score - one.score || (one.other.customerId < two.other.customerId ? -1 : 1))
  const candidates = likely.slice(0, most).map(({ other }): NearMatch => {
    const { score, probability, reasons } = compare(features, other.features, weights.value)
    return { customerId: other.customerId, score: rounded(score, 2), probability: rounded(probability, 6), reasons }
  })
  return { weightsVersion: weights.version, candidates }
}

/** Nobody reads more digits, and events keep them. */
const rounded = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits
