import { agreementOf } from '../../domain/matching/agreement.ts'
import { VETOED, weigh } from '../../domain/matching/compare.ts'
import type { Features } from '../../domain/matching/features.ts'
import type { Weights } from '../../domain/matching/weights.ts'

/** The score of a pair alone: most pairs are no match, and reasons are worked out only for those that are. */
export const scoreOf = (one: Features, other: Features, weights: Weights): number => {
  const agreement = agreementOf(one, other)
  return agreement.veto === null ? weigh(agreement, weights).score : VETOED
}
