import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { inDepartmentsOf } from '../commands/rights.ts'
import { problem } from '../commands/problem.ts'
import { HandoverRule } from '../domain/policy/kinds.ts'
import { Id } from '../domain/values.ts'
import { handovers } from '../projections/handovers/project.ts'
import { findHandovers, handoverLedger, outcomes } from '../projections/handovers/queries.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { ProblemError } from './errors.ts'
import { exportFormat, sendExport } from './export.ts'
import { After, afterOf, asOfAnswer, nextLink, Page } from './parameters.ts'
import { AsOfBody, exported, list, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'
import type { Claims } from './token.ts'

const readers = ['clerk', 'manager', 'system', 'admin', 'auditor'] as const
const count = (said: string) => z.number().int().describe(said)
const HandoverBody = z.object({
  handoverId: z.string(), from: z.string(), cause: z.enum(['departure', 'transfer']), rule: HandoverRule, ruleBy: z.enum(['command', 'policy']), policyVersion: z.number().int().nullable().describe('Of the ownership policy in force'),
  only: z.object({ customerIds: z.array(z.string()).optional(), tier: z.string().optional(), categories: z.array(z.string()).optional() }).nullable().describe('Of a transfer: only these'),
  startedBy: z.string(), reason: z.string().nullable(), startedAt: z.string(), completedAt: z.string().nullable().describe('null: under way'),
  held: count('Customers held when it began'), later: count('Holdings of a departed employee that came about afterwards'), moved: count('To a colleague'), pooled: count('To the pool'),
  otherwise: count('Gone by another decision before their turn'), remaining: count('held + later − moved − pooled − otherwise'), revision: z.number().int(),
}).meta({ id: 'Handover' })
const LedgerBody = z.object({
  customerId: z.string(), outcome: z.enum(outcomes), from: z.string(), to: z.string().nullable().describe('Who holds it next; null: pending, the pool, or part of another customer'),
  recordedAt: z.string().nullable(), revision: z.number().int().nullable().describe('Of the event in the stream of the customer'), eventId: z.string().nullable(),
}).meta({ id: 'HandedOver' })

const LedgerQuery = z.strictObject({
  outcome: z.enum(outcomes).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50).describe('Most items on a page'),
  cursor: z.string().regex(/^\d{1,18}-\d{1,18}$/, 'must be the cursor of a Link header').optional().describe('Where the next page begins, as the Link header says'),
  ...After,
})

/** Handovers 交接: of departures and of portfolios, how far they are, and the ledger of each. */
export const handoverRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const tags = ['audit']
  const who = 'Auditors, administrators and systems; managers for employees of their departments; employees for their own.'
  const find = (after: bigint | undefined, filters: Parameters<typeof findHandovers>[2], page: Parameters<typeof findHandovers>[3]) =>
    readModels.query(handovers, { after }, (db, schema) => findHandovers(db, schema, filters, page))

  typed.get('/handovers', {
    schema: {
      tags, operationId: 'find-handovers', summary: 'Handovers 交接', description: `The latest started first. ${who}`,
      querystring: z.strictObject({ from: Id.optional().describe('Whose customers'), cause: z.enum(['departure', 'transfer']).optional(), status: z.enum(['running', 'completed']).optional(), ...After, ...Page }),
      response: { 200: list(HandoverBody), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const { from, cause, status, after, limit, cursor } = request.query
    const mine = ofWhom(services, claims)
    const whose = from === undefined ? mine : mine === undefined || mine.includes(from) ? [from] : []
    const { result, asOf } = await find(afterOf(runtime, after), { from: whose, cause, status }, { limit: limit + 1, before: cursor })
    const items = result.slice(0, limit)
    const last = items.at(-1)
    if (result.length > limit && last) reply.header('link', nextLink(request.url, last.place))
    return reply.send({ items: items.map(({ handover }) => handover), asOf: asOfAnswer(runtime, asOf) })
  })

  const one = async (claims: Claims, handoverId: string, after: bigint | undefined) => {
    requireRole(claims, readers)
    const { result: [found], asOf } = await find(after, { handoverId }, { limit: 1 })
    if (!found) throw new ProblemError(problem('not-found', 'No handover has this id.'))
    if (ofWhom(services, claims)?.includes(found.handover.from) === false) throw new ProblemError(problem('read-not-permitted', 'The handover is of an employee of another department.'))
    return { found: found.handover, asOf }
  }

  typed.get('/handovers/:handoverId', {
    schema: {
      tags, operationId: 'get-handover', summary: 'One handover 交接详情', description: who, params: z.object({ handoverId: Id }), querystring: z.strictObject(After),
      response: { 200: HandoverBody.extend({ asOf: AsOfBody }), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const { found, asOf } = await one(claimsOf(request), request.params.handoverId, afterOf(runtime, request.query.after))
    return reply.header('etag', `"${found.revision}"`).send({ ...found, asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/handovers/:handoverId/ledger', {
    schema: {
      tags, operationId: 'get-handover-ledger', summary: 'Who went where 交接清单', params: z.object({ handoverId: Id }), querystring: LedgerQuery,
      description: `A row for each holding the handover is about, in the order of the customers’ entry. ${who} Accept: text/csv or application/x-ndjson exports all pages.`,
      response: { 200: exported(list(LedgerBody)), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const { outcome, limit, cursor, after: token } = request.query
    const after = afterOf(runtime, token)
    const { found: { handoverId, from } } = await one(claimsOf(request), request.params.handoverId, after)
    const page = (at: string | undefined, size: number) => readModels.query(handovers, { after }, (db, schema) => handoverLedger(db, schema, { handoverId, outcome }, { limit: size, after: at }))
    type Row = Awaited<ReturnType<typeof page>>['result'][number]
    const row = ({ entry }: Row) => ({ ...entry, from })
    const format = exportFormat(request)
    if (format) return sendExport(reply, format, allRows(page, row), ['customerId', 'outcome', 'from', 'to', 'recordedAt', 'revision', 'eventId'])
    const { result, asOf } = await page(cursor, limit + 1)
    const items = result.slice(0, limit)
    const last = items.at(-1)
    if (result.length > limit && last) reply.header('link', nextLink(request.url, last.place))
    return reply.send({ items: items.map(row), asOf: asOfAnswer(runtime, asOf) })
  })
}

/** Whose handovers the caller sees; undefined: everybody's. */
const ofWhom = ({ runtime }: Services, { role, employeeId }: Claims): string[] | undefined => {
  if (role === 'system' || role === 'auditor' || role === 'admin') return undefined
  if (employeeId === undefined) return []
  const organisation = runtime.organisation.current()
  return [...organisation.employees.keys()].filter((id) => id === employeeId || (role === 'manager' && inDepartmentsOf(employeeId, id, organisation)))
}

const EXPORTED_AT_ONCE = 500

async function* allRows<Item extends { place: string }, Row>(page: (after: string | undefined, limit: number) => Promise<{ result: Item[] }>, row: (item: Item) => Row): AsyncIterable<Row> {
  for (let after: string | undefined; ;) {
    const { result } = await page(after, EXPORTED_AT_ONCE)
    for (const item of result) yield row(item)
    after = result.at(-1)?.place
    if (result.length < EXPORTED_AT_ONCE || after === undefined) return
  }
}
