import { DateTime } from 'luxon'
import { z } from 'zod'
import { readPositionToken, positionToken } from '../commands/position.ts'
import { problem } from '../commands/problem.ts'
import type { Runtime } from '../commands/runtime.ts'
import { normaliseIdentifier, parseIdentifierQuery } from '../domain/customer/identifier.ts'
import { Id, InstantInput } from '../domain/values.ts'
import type { KnownAt } from '../projections/ownership-history/queries.ts'
import type { AsOf } from '../projections/read-models.ts'
import { ProblemError } from './errors.ts'

export const CustomerParams = z.object({ customerId: Id })
export const After = { after: z.string().max(100).optional().describe('A position a command answered: the answer is at least as late') }
export const Page = {
  limit: z.coerce.number().int().min(1).max(500).default(50).describe('Most items on a page'),
  cursor: z.string().regex(/^\d{1,18}$/, 'must be the cursor of a Link header').optional().describe('Where the next page begins, as the Link header says'),
}
export const PointInTime = z.string().max(40).describe('An instant (2026-03-03T09:30:00+08:00), or a day (2026-03-03): the end of it in the organisation’s time zone')
export const WholeIdentifier = z.string().max(300).describe('A whole identifier, e.g. mobile:13800138000, uscc:…, other:<issuer>:<number>')

/** The identity an identifier names, whichever way it is written. */
export const identityOf = ({ keyedHash }: Pick<Runtime, 'keyedHash'>, text: string): string => {
  // A plus sign that was not percent-encoded arrives as a space: no number begins with one.
  const parsed = parseIdentifierQuery(text.replace(/^mobile: /, 'mobile:+'))
  const normal = parsed.ok ? normaliseIdentifier(parsed.identifier) : parsed
  if (!normal.ok) throw new ProblemError(problem('invalid-parameters', 'The identifier is not valid.', { errors: [{ path: 'identifier', message: normal.message }] }))
  return keyedHash.identity(normal.kind, normal.value)
}

/** The position a query must have reached: undefined when any will do. */
export const afterOf = (runtime: Runtime, token: string | undefined, name = 'after'): bigint | undefined => {
  if (token === undefined) return undefined
  const read = readPositionToken(runtime, token)
  if (read.kind === 'elsewhere') throw new ProblemError(problem('invalid-position', `The parameter ${name} is not a position of this log.`, { errors: [{ path: name, message: 'must be a position as a command answered it' }] }))
  return read.kind === 'here' ? read.position : undefined
}

/** What `knownAt` asks: a position, or a time. A position of an earlier place says nothing of where its event is now. */
export const knownAtOf = (runtime: Runtime, text: string | undefined): KnownAt => {
  if (text === undefined) return undefined
  if (!/^[0-9a-f-]{36}\./.test(text)) return { time: instantOf(runtime, text, 'knownAt') }
  const position = afterOf(runtime, text, 'knownAt')
  if (position === undefined) throw new ProblemError(problem('invalid-position', 'The parameter knownAt is a position of the place where the log was before.', { errors: [{ path: 'knownAt', message: 'must be a position of the log where it is now, or a time' }] }))
  return { position }
}

/** How late a read model must be: what was known at a position, it must have read up to there. */
export const laterOf = (after: bigint | undefined, knownAt: KnownAt): bigint | undefined =>
  knownAt && 'position' in knownAt && knownAt.position > (after ?? 0n) ? knownAt.position : after

/** As callers see it: the position as a token they can send as `after`. */
export const asOfAnswer = (runtime: Runtime, asOf: AsOf) => ({ position: positionToken(runtime, asOf.position), time: asOf.time })

/** An instant; a day means the last moment of it: just before the next local midnight, to the millisecond. */
export const instantOf = (runtime: Runtime, text: string, name: string): string => {
  const zone = runtime.organisation.current().log?.timeZone ?? 'UTC'
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? DateTime.fromISO(text, { zone }) : undefined
  const instant = InstantInput.safeParse(day?.isValid ? day.plus({ days: 1 }).startOf('day').minus({ milliseconds: 1 }).toUTC().toISO() : text)
  if (instant.success) return instant.data
  throw new ProblemError(problem('invalid-parameters', `The parameter ${name} is not a time.`, { errors: [{ path: name, message: 'must be an instant such as 2026-03-03T09:30:00+08:00, or a day such as 2026-03-03' }] }))
}

/** The address of the next page, for the Link header (RFC 8288). */
export const nextLink = (url: string, cursor: string): string => {
  const next = new URL(url, 'http://localhost')
  next.searchParams.set('cursor', cursor)
  return `<${next.pathname}${next.search}>; rel="next"`
}
