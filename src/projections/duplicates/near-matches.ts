import type { FoundNearMatches, NearMatch } from '../../domain/customer/near-matches.ts'
import { blockingKeys } from '../../domain/matching/blocking.ts'
import { bitsOf, compare } from '../../domain/matching/compare.ts'
import { featuresOf, type Features } from '../../domain/matching/features.ts'
import type { MatchProfile } from '../../domain/matching/profile.ts'
import type { Weights } from '../../domain/matching/weights.ts'
import { makeGroup } from '../../event-store/group.ts'
import { ModelBuilding, NotCaughtUp, type ReadModels } from '../read-models.ts'
import { duplicates } from './project.ts'
import { comparablesOf, holders, sharingKeys, type Comparable } from './queries.ts'
import { scoreOf } from './score.ts'

type Search = { weights: { version: number; value: Weights }; most: number }

/** Looks that are answered together: each may find a few hundred records, and all of these are in memory at once. */
const MOST_TOGETHER = 32
const LANES = 2

/**
 * The finder of near matches that commands are handed: from this read model, by the weights they name. What is looked
 * for while others are being looked for is found together, in one snapshot.
 */
export const makeNearMatchFinder = (readModels: ReadModels) => {
  const ofWouldBes = makeGroup(async (asked: readonly { keys: readonly string[]; identities: readonly string[] }[]) => {
    const { result } = await readModels.query(duplicates, {}, async (db, schema) => {
      const [holding, found] = await Promise.all([holders(db, schema, asked.flatMap(({ identities }) => identities)), sharingKeys(db, schema, asked.map(({ keys }) => keys))])
      const held = new Map(holding.map(({ identity, survivorId }) => [identity, survivorId]))
      return asked.map(({ identities }, look) => {
        const own = new Set(identities.map((identity) => held.get(identity)))
        return (found[look] ?? []).filter(({ survivorId }) => !own.has(survivorId))
      })
    })
    return result
  }, { most: MOST_TOGETHER, lanes: LANES })

  const ofCustomers = makeGroup(async (asked: readonly { customerId: string; after: bigint }[]) => {
    const after = asked.reduce((latest, one) => (one.after > latest ? one.after : latest), 0n)
    const { result } = await readModels.query(duplicates, { after }, async (db, schema) => {
      const known = await comparablesOf(db, schema, asked.map(({ customerId }) => customerId))
      const ones = asked.map(({ customerId }) => known.get(customerId))
      const found = await sharingKeys(db, schema, ones.map((one) => (one ? blockingKeys(one.features) : [])))
      return ones.map((one, look) => ({ one, others: (found[look] ?? []).filter(({ survivorId }) => survivorId !== one?.survivorId) }))
    })
    return result
  }, { most: MOST_TOGETHER, lanes: LANES })

  return {
    ofWouldBe: async ({ profile, identities }: { profile: MatchProfile; identities: readonly string[] }, search: Search): Promise<FoundNearMatches> => {
      const features = featuresOf(profile)
      const keys = blockingKeys(features)
      if (keys.length === 0) return { weightsVersion: search.weights.version, candidates: [] }
      try {
        return ranked(features, await ofWouldBes.ask({ keys, identities }), search)
      } catch (error) {
        if (error instanceof ModelBuilding) return 'unavailable'
        throw error
      }
    },

    ofCustomer: async (customerId: string, after: bigint, search: Search) => {
      const { one, others } = await ofCustomers.ask({ customerId, after })
      return one ? ranked(one.features, others, search) : { weightsVersion: search.weights.version, candidates: [] }
    },

    ofPair: async (customerIds: readonly [string, string], after: bigint, weights: Search['weights']): Promise<Pick<NearMatch, 'score' | 'reasons'> | undefined> => {
      try {
        const { result } = await readModels.query(duplicates, { after }, (db, schema) => comparablesOf(db, schema, customerIds))
        const [one, other] = customerIds.map((customerId) => result.get(customerId))
        if (!one || !other) return undefined
        const { score, reasons, veto } = compare(one.features, other.features, weights.value)
        return veto === null ? { score: rounded(score), reasons } : undefined
      } catch (error) {
        if (error instanceof ModelBuilding || error instanceof NotCaughtUp) return undefined
        throw error
      }
    },
  }
}

/** Those the weights would show, best first; ties by id, so that the answer is always the same. */
const ranked = (features: Features, others: readonly Comparable[], { weights, most }: Search): Exclude<FoundNearMatches, 'unavailable'> => {
  const least = bitsOf(weights.value.thresholds.shown)
  const likely = others.flatMap((other) => {
    const score = scoreOf(features, other.features, weights.value)
    return score < least ? [] : [{ other, score }]
  })
  likely.sort((one, two) => two.score - one.score || (one.other.customerId < two.other.customerId ? -1 : 1))
  // Of those that are one customer by now, the record that is most like it speaks for all.
  const best = new Map<string, Comparable>()
  for (const { other } of likely) if (!best.has(other.survivorId)) best.set(other.survivorId, other)
  const candidates = [...best.values()].slice(0, most).map((other): NearMatch => {
    const { score, probability, reasons } = compare(features, other.features, weights.value)
    return { customerId: other.survivorId, recordId: other.customerId, score: rounded(score), probability: rounded(probability, 6), reasons }
  })
  return { weightsVersion: weights.version, candidates }
}

/** Nobody reads more digits, and events keep them. */
export const rounded = (value: number, digits = 2): number => Math.round(value * 10 ** digits) / 10 ** digits
