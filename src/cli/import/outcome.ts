import { z } from 'zod'
import type { Answer } from '../../commands/handle.ts'
import { problemName } from '../../commands/problem.ts'

/**
 * What became of a command of a row. created: its events are new. already: nothing had to be done, or it was done by
 * an earlier run. duplicate: the log holds another of the kind. invalid: any other refusal.
 */
export const outcomes = ['created', 'already', 'duplicate', 'invalid'] as const
export type OutcomeName = (typeof outcomes)[number]

/** One thing wrong with a row: a field of the command (empty: the command as a whole), and why. Never a personal value. */
export type Reason = { field: string; problem: string; reason: string }
export type Outcome = { outcome: OutcomeName; reasons: readonly Reason[] }

const Accepted = z.looseObject({ events: z.array(z.unknown()) })
const Refused = z.looseObject({
  type: z.string(),
  detail: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).default([]),
  holder: z.looseObject({ customerId: z.string() }).optional(),
  candidates: z.array(z.looseObject({ customerId: z.string() })).default([]),
})

/** The receipt an earlier run left under a key. */
export type Earlier = { status: number }

export const outcomeOf = ({ status, body }: Answer, earlier: Earlier | undefined): Outcome => {
  if (status < 400) return { outcome: earlier || Accepted.parse(body).events.length === 0 ? 'already' : 'created', reasons: [] }
  const { type, detail, errors, holder, candidates } = Refused.parse(body)
  const problem = problemName({ type })
  if (problem === 'idempotency-key-reused') return { outcome: 'invalid', reasons: [{ field: '', problem, reason: earlier && earlier.status >= 400 ? wasRefused : wasImported }] }
  const outcome = problem === 'duplicate-customer' || problem === 'near-duplicate' || problem.endsWith('-exists') ? 'duplicate' : 'invalid'
  if (errors.length > 0) return { outcome, reasons: errors.map(({ path, message }) => ({ field: path, problem, reason: message })) }
  return { outcome, reasons: [{ field: problem === 'duplicate-customer' ? 'identifiers' : '', problem, reason: [detail, ...(holder ? [`It is held by ${holder.customerId}.`] : []), ...(candidates.length > 0 ? [`See ${candidates.map((one) => one.customerId).join(', ')}.`] : [])].join(' ') }] }
}

const wasImported = 'This row was imported before and reads otherwise now: the map has changed, or the row. What was imported stands; correct it by a command.'
const wasRefused = 'This row was refused before and reads otherwise now: --retry-refused tries it anew.'
