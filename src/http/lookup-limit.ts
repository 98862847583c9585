import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { problem } from '../commands/problem.ts'
import type { Organisation } from '../domain/organisation/organisation.ts'
import { ProblemError } from './errors.ts'
import type { Claims } from './token.ts'

/**
 * Slows down who tries identifier after identifier: look-ups that found nothing the caller sees in full count, for
 * each person, against the rate of the visibility policy. Counted in this process.
 */
export type LookupLimit = {
  /** Throws the problem rate-limited when the caller has used up the rate. */
  check: (claims: Claims, organisation: Organisation) => Promise<void>
  count: (claims: Claims) => Promise<void>
}

// Counts only; the policy, which may be revised at any time, says how many are allowed.
const UNLIMITED = 1_000_000

export const makeLookupLimit = (): LookupLimit => {
  const limiter = new RateLimiterMemory({ points: UNLIMITED, duration: 60 })
  const limited = (claims: Claims) => claims.role === 'clerk' || claims.role === 'manager'
  return {
    check: async (claims, organisation) => {
      if (!limited(claims)) return
      const used = await limiter.get(claims.sub)
      const allowed = organisation.policies.visibility.value.identifierLookupsPerMinute
      if (used instanceof RateLimiterRes && used.consumedPoints >= allowed) {
        throw new ProblemError(problem('rate-limited', `More than ${allowed} look-ups in a minute found nothing this caller sees in full.`), { 'retry-after': String(Math.max(1, Math.ceil(used.msBeforeNext / 1000))) })
      }
    },
    count: async (claims) => {
      if (limited(claims)) await limiter.consume(claims.sub)
    },
  }
}
