import { z } from 'zod'
import { personal, Personal, type Context, type Warning } from '../decider.ts'
import { inWords } from '../matching/reasons.ts'
import type { Reason } from '../matching/compare.ts'
import { categoryChain, type Organisation } from '../organisation/organisation.ts'
import { reject, type Extension, type Rejection } from '../rejection.ts'
import { Id, Reason as ReasonInWords } from '../values.ts'

/** A customer that is like another: how sure, and why, in codes that hold no value of either. */
export type NearMatch = { customerId: string; /** The record that is like it, where that is one of those merged into this customer. */ recordId?: string; score: number; probability: number; reasons: readonly Reason[]; /** Whom to ask, where the entry is told of it: its owner (null: in the public pool) and the department responsible. */ ownerId?: string | null; departmentId?: string | null }

/** Who is like a would-be customer, best first, by one version of the weights; `unavailable` where nobody could look. */
export type FoundNearMatches = { weightsVersion: number; candidates: readonly NearMatch[] } | 'unavailable'

/** Most candidates anybody is shown. */
export const MOST_CANDIDATES = 20

/** What somebody says who enters a customer although others are like it. */
export const Acknowledgement = z.strictObject({
  candidates: z.array(Id).min(1).max(MOST_CANDIDATES).describe('Every near match that was shown, looked at and found to be another'),
  reason: ReasonInWords,
})

/** As the event keeps it: who was shown, by which weights and policy, and what came of it. */
export const NearMatchesRecord = z.object({
  weightsVersion: z.number().int().nullable(),
  policyVersion: z.number().int(),
  candidates: z.array(z.object({ customerId: z.string(), score: z.number(), reasons: z.array(z.object({ comparison: z.string(), level: z.string(), bits: z.number() })) })),
  /** switched-off: by the sender, a system. unavailable: nobody could look. */
  decision: z.enum(['warned', 'acknowledged', 'switched-off', 'unavailable']),
  reason: Personal(z.string()).optional(),
})
export type NearMatchesRecord = z.infer<typeof NearMatchesRecord>

/** What the policy says of near matches in a category: the rule nearest to it, upwards in the tree. */
export const nearMatchRule = (organisation: Organisation, category: string) => {
  const { default: general, categories } = organisation.policies.duplicates.value
  const nearest = categoryChain(organisation, category)?.findLast(({ categoryId }) => Object.hasOwn(categories, categoryId))
  return (nearest && categories[nearest.categoryId]) ?? general
}

/** A near match as callers see it: in words, and without a value. */
export const shownNearMatch = ({ customerId, score, probability, reasons, ownerId, departmentId }: NearMatch) => ({
  customerId, score, probability, ...(ownerId === undefined ? {} : { ownerId }), ...(departmentId === undefined ? {} : { departmentId }),
  reasons: reasons.map((reason) => ({ comparison: reason.comparison, level: reason.level, en: inWords(reason, 'en'), zh: inWords(reason, 'zh') })),
}) satisfies Extension

type Entry = { category: string; acknowledgement?: z.infer<typeof Acknowledgement> | undefined; nearMatchCheck: boolean }
type Judged = { nearMatches?: NearMatchesRecord; warnings: Warning[] }

const count = (candidates: readonly NearMatch[]): string => (candidates.length === 1 ? '1 customer is' : `${candidates.length} customers are`)

/**
 * What near matches mean for an entry: nothing, a warning, or its refusal until every one of them is acknowledged.
 * `of` is the subject of what the caller says of them.
 */
export const judgeNearMatches = (entry: Entry, of: string, { organisation, caller, nearMatches }: Context): Judged | Rejection => {
  const policyVersion = organisation.policies.duplicates.version
  if (!entry.nearMatchCheck) {
    if (caller.role !== 'system') return reject('not-permitted', 'Only a system may leave out the look for near matches.')
    return { nearMatches: { weightsVersion: null, policyVersion, candidates: [], decision: 'switched-off' }, warnings: [] }
  }
  const rule = nearMatchRule(organisation, entry.category)
  if (nearMatches === undefined || rule.nearMatch === 'off') return { warnings: [] }
  if (nearMatches === 'unavailable') {
    return {
      nearMatches: { weightsVersion: null, policyVersion, candidates: [], decision: 'unavailable' },
      warnings: [{ warning: 'near-matches-unknown', detail: 'Whether other customers are like this one could not be looked up: that read model is being built.' }],
    }
  }
  const candidates = nearMatches.candidates.filter((candidate) => candidate.probability >= rule.threshold)
  if (candidates.length === 0) return { warnings: [] }
  const acknowledged = candidates.every((candidate) => entry.acknowledgement?.candidates.includes(candidate.customerId))
  const shown = candidates.map(shownNearMatch)
  if (rule.nearMatch === 'block' && !acknowledged) return reject('near-duplicate', `${count(candidates)} much like this one.`, { extensions: { candidates: shown } })
  return {
    nearMatches: {
      weightsVersion: nearMatches.weightsVersion, policyVersion, candidates: candidates.map(({ customerId, score, reasons }) => ({ customerId, score, reasons: [...reasons] })),
      ...(acknowledged && entry.acknowledgement ? { decision: 'acknowledged', reason: personal(of, entry.acknowledgement.reason) } : { decision: 'warned' }),
    },
    warnings: acknowledged ? [] : [{ warning: 'near-match', detail: `${count(candidates)} much like this one.`, candidates: shown }],
  }
}
