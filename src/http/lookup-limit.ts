import { RateLimiterMemory } from 'rate-limiter-flexible'
import { problem } from '../commands/problem.ts'
import type { Organisation } from '../domain/organisation/organisation.ts'
import { ProblemError } from './errors.ts'
import type { Claims } from './token.ts'

/**
 * Slows down who tries identifier after identifier: look-ups that found nothing the caller sees in full count, for
 * each person, against the rate of the visibility policy. Counted in this process.
 */
export type LookupLimit = {
  /**
   * Counts these look-ups before they are made, so that many at once are counted as well. Answers what gives back
   * those that found what the caller sees. Throws the problem rate-limited when the caller has used up the rate.
   */
  take: (claims: Claims, organisation: Organisation, lookups: number) => Promise<(seen: number) => Promise<void>>
}

// Counts only; the policy, which may be revised at any time, says how many are allowed.
const UNLIMITED = 1_000_000

export const makeLookupLimit = (): LookupLimit => {
  const limiter = new RateLimiterMemory({ points: UNLIMITED, duration: 60 })
  const limited = (claims: Claims) => claims.role === 'clerk' || claims.role === 'manager'
  return {
    take: async (claims, organisation, lookups) => {
      if (!limited(claims) || lookups === 0) return async () => undefined
      const allowed = organisation.policies.visibility.value.identifierLookupsPerMinute
      const used = await limiter.consume(claims.sub, lookups)
      if (used.consumedPoints > allowed) {
        await limiter.reward(claims.sub, lookups)
        throw new ProblemError(problem('rate-limited', `More than ${allowed} look-ups in a minute found nothing this caller sees in full.`), { 'retry-after': String(Math.max(1, Math.ceil(used.msBeforeNext / 1000))) })
      }
      return async (seen) => {
        if (seen > 0) await limiter.reward(claims.sub, seen)
      }
    },
  }
}
