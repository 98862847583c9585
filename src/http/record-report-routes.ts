import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import { faults } from '../domain/record-report/record-report.ts'
import { Id } from '../domain/values.ts'
import { customerLookup } from '../projections/customer-lookup/project.ts'
import { customerSummaries, type CustomerSummary } from '../projections/customer-lookup/queries.ts'
import { recordReports } from '../projections/record-reports/project.ts'
import { findReports, type FoundReport } from '../projections/record-reports/queries.ts'
import { claimsOf, requireRole, viewerOf } from './authenticate.ts'
import { sendProblem } from './errors.ts'
import { exportFormat, sendExport } from './export.ts'
import { After, afterOf, asOfAnswer, nextLink, Page } from './parameters.ts'
import { AsOfBody, exported, list, problemResponses } from './schemas.ts'
import { seenPage, seenPages } from './seen-pages.ts'
import type { Services } from './services.ts'
import type { Claims } from './token.ts'
import { isOver } from './visibility.ts'

const readers = ['clerk', 'manager', 'system', 'auditor'] as const
const statuses = ['open', 'overdue', 'upheld', 'dismissed'] as const
const Side = z.object({
  customerId: z.string(), full: z.boolean().describe('false: masked'), name: z.string().nullable(), ownerId: z.string().nullable(), departmentId: z.string().nullable(),
  mergedInto: z.string().nullable().describe('The customer that stands for it'),
})
const Money = z.object({ amount: z.number().int(), currency: z.string() })
const ReportBody = z.object({
  reportId: z.string(), round: z.number().int().describe('How often this has been reported'), kind: z.enum(faults), status: z.enum(statuses),
  customer: Side.describe('The record reported; of duplicates the one entered later'), duplicateOf: Side.nullable().describe('The one entered earlier'),
  category: z.object({ in: z.string(), right: z.string() }).nullable().describe('Of a wrong category: the one it was in, and the right one'), resolvedAt: z.string().nullable().describe('Since when it is in the right category'),
  missing: z.array(z.string()).nullable().describe('Of an incomplete record: which fields it lacked'),
  match: z.object({ score: z.number(), reasons: z.array(z.object({ comparison: z.string(), level: z.string(), bits: z.number() })), weightsVersion: z.number().int() }).nullable().describe('Of duplicates: how alike they are, in bits'),
  attempts: z.array(z.object({ attemptId: z.string(), at: z.string(), actor: z.string(), onBehalfOf: z.string().nullable(), problem: z.string() })).nullable().describe('Refused attempts that were cited'),
  reporterId: z.string().nullable(), reportedBy: z.string(), reportedAt: z.string(), deadlineAt: z.string(), overdue: z.boolean().describe('Not judged in time'), overdueAt: z.string().nullable(),
  judgedAt: z.string().nullable(), judgedBy: z.string().nullable(),
  personnel: z.boolean().describe('false: who is answerable, and what it cost, are not told'),
  against: z.string().nullable().describe('Who is answerable; null: nobody, a system entered it'), penalty: Money.nullable(), noPenalty: z.enum(['nobody-answerable', 'policy']).nullable(), policyVersion: z.number().int().nullable(),
  movedTo: z.string().nullable().describe('To whom ownership of the later record goes by the judgement'), unmoved: z.string().nullable().describe('Why it stays although asked for'),
  note: z.string().nullable(), newEvidence: z.string().nullable(), said: z.string().nullable().describe('The judgement, in words; only for who sees one of the customers in full, or judged'), revision: z.number().int(),
}).meta({ id: 'RecordReport' })
type Report = z.infer<typeof ReportBody>

const Search = z.strictObject({
  status: z.enum(statuses).optional(),
  kind: z.enum(faults).optional(),
  customerId: Id.optional().describe('Reports of this customer, and of all that is part of it'),
  against: Id.optional().describe('Reports this employee is answerable for'),
  departmentId: Id.optional().describe('Reports of records of this department'),
  overdue: z.enum(['true', 'false']).optional().describe('true: not judged in time'),
  ...After,
  ...Page,
})

const csvColumns = ['reportId', 'round', 'kind', 'status', 'customerId', 'duplicateOf', 'categoryIn', 'categoryRight', 'resolvedAt', 'missing', 'reporterId', 'reportedAt', 'deadlineAt', 'overdue', 'judgedAt', 'judgedBy', 'against', 'penalty', 'penaltyCurrency', 'noPenalty', 'movedTo', 'unmoved']
const flat = ({ customer, duplicateOf, category, missing, penalty, ...rest }: Report): Record<string, unknown> => ({
  ...rest, customerId: customer.customerId, duplicateOf: duplicateOf?.customerId ?? null, categoryIn: category?.in ?? null, categoryRight: category?.right ?? null, missing: missing?.join(' ') ?? null,
  penalty: penalty?.amount ?? null, penaltyCurrency: penalty?.currency ?? null,
})
async function* flatEach(reports: AsyncIterable<Report>): AsyncIterable<Record<string, unknown>> {
  for await (const one of reports) yield flat(one)
}

/** Record reports 客户举报: of records the caller sees in full, those they made, those against them, and as a manager those against employees of their departments. */
export const recordReportRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const tags = ['reports']

  /** These reports as the caller sees them; undefined for those they may not see. */
  const shownTo = async (claims: Claims, found: readonly FoundReport[], after: bigint | undefined, now: string): Promise<(Report | undefined)[]> => {
    const organisation = runtime.organisation.current()
    const ids = [...new Set(found.flatMap((one) => [one.customerId, ...(one.duplicateOf === null ? [] : [one.duplicateOf])]))]
    const { result: customers } = await readModels.query(customerLookup, { after }, (db, schema) => customerSummaries(db, schema, ids, viewerOf(claims, runtime), organisation.policies.visibility.value.nameCharacters))
    return found.map((one) => shown(one, customers, claims, now))
  }

  const shown = (found: FoundReport, customers: ReadonlyMap<string, CustomerSummary>, claims: Claims, now: string): Report | undefined => {
    const { employees, ...rest } = runtime.organisation.current()
    const isMine = (employeeId: string | null) => claims.employeeId !== undefined && claims.employeeId === employeeId
    const customer = sideOf(found.customerId, customers)
    const duplicateOf = found.duplicateOf === null ? null : sideOf(found.duplicateOf, customers)
    // Who judged it goes on seeing what they judged, wherever the customer has gone since.
    const full = customer.full || duplicateOf?.full === true || isMine(found.judgedBy)
    const isOwn = isMine(found.against)
    const leads = isOver(claims, employees.get(found.against ?? '')?.departmentId, { employees, ...rest })
    if (!full && !isOwn && !leads && !isMine(found.reporterId)) return undefined
    const personnel = isOwn || leads || (claims.role === 'manager' && full)
    const { reportId, round, kind, status, category, resolvedAt, missing, match, attempts, reporterId, reportedBy, reportedAt, deadlineAt, overdueAt, judgedAt, judgedBy, noPenalty, policyVersion, movedTo, unmoved, revision } = found
    return {
      reportId, round, kind, status, customer, duplicateOf, category, resolvedAt, missing: full ? missing : null, match: full ? match : null, attempts: full ? attempts : null,
      reporterId, reportedBy, reportedAt, deadlineAt, overdue: overdueAt !== null || (judgedAt ?? now) > deadlineAt, overdueAt, judgedAt, judgedBy,
      personnel, against: personnel ? found.against : null, penalty: personnel ? found.penalty : null, noPenalty: personnel ? noPenalty : null, policyVersion, movedTo, unmoved,
      note: full ? found.note : null, newEvidence: full ? found.newEvidence : null, said: full ? found.said : null, revision,
    }
  }

  typed.get('/record-reports', {
    schema: {
      tags, operationId: 'find-record-reports', summary: 'Find record reports 查询客户举报', querystring: Search,
      description: 'The latest reported first, each time a record was reported by itself. A page may hold fewer than limit, even none: follow Link to the end. Accept: text/csv or application/x-ndjson exports all pages.',
      response: { 200: exported(list(ReportBody)), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const { status, kind, customerId, against, departmentId, overdue, after: token, limit, cursor } = request.query
    const after = afterOf(runtime, token)
    const now = runtime.now().toISOString()
    const customerIds = customerId === undefined ? undefined : await groupOf(customerId, after)
    const filters = { status, kind, against, customerIds, overdue: overdue === undefined ? undefined : overdue === 'true' }
    // Who is not told whom a report is against does not find it by that.
    const wanted = (one: Report | undefined) => (one && (against === undefined || one.personnel) && (departmentId === undefined || one.customer.departmentId === departmentId) ? one : undefined)
    const read = (before: string | undefined, size: number) => readModels.query(recordReports, { after }, (db, schema) => findReports(db, schema, filters, { limit: size, before, now }))
    const pageAt = (from: string | undefined, size: number) => seenPage({ limit: size, cursor: from }, read, async (found) => (await shownTo(claims, found, after, now)).map(wanted))
    const format = exportFormat(request)
    if (format) return sendExport(reply, format, flatEach(seenPages((from) => pageAt(from, 500))), csvColumns)
    const { items, next, asOf } = await pageAt(cursor, limit)
    if (next !== undefined) reply.header('link', nextLink(request.url, next))
    return reply.send({ items, asOf: asOfAnswer(runtime, asOf) })
  })

  const groupOf = async (customerId: string, after: bigint | undefined): Promise<string[]> => {
    const { result } = await readModels.query(customerLookup, { after }, (db, schema) => customerSummaries(db, schema, [customerId], { all: true }, 0))
    return [result.get(customerId)?.customerId ?? customerId, ...(result.get(customerId)?.absorbed ?? [])]
  }

  typed.get('/record-reports/:reportId', {
    schema: {
      tags, operationId: 'get-record-report', summary: 'One record report, as it was last reported, and the times before 客户举报详情', params: z.object({ reportId: Id }), querystring: z.strictObject(After),
      response: { 200: ReportBody.extend({ earlier: z.array(ReportBody), asOf: AsOfBody }), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const after = afterOf(runtime, request.query.after)
    const now = runtime.now().toISOString()
    const { result, asOf } = await readModels.query(recordReports, { after }, (db, schema) => findReports(db, schema, { reportId: request.params.reportId }, { limit: 500, now }))
    if (result.length === 0) return sendProblem(reply, problem('not-found', 'No record report has this id.'))
    const [latest, ...earlier] = await shownTo(claims, result, after, now)
    if (!latest) return sendProblem(reply, problem('read-not-permitted', 'The record belongs to another department, and the report is neither yours nor against you.'))
    return reply.header('etag', `"${latest.revision}"`).send({ ...latest, earlier: earlier.flatMap((one) => one ?? []), asOf: asOfAnswer(runtime, asOf) })
  })
}

const sideOf = (customerId: string, customers: ReadonlyMap<string, CustomerSummary>): z.infer<typeof Side> => {
  const customer = customers.get(customerId)
  return {
    customerId, full: customer?.full ?? false, name: customer?.name ?? null, ownerId: customer?.ownerId ?? null, departmentId: customer?.departmentId ?? null,
    mergedInto: customer && customer.customerId !== customerId ? customer.customerId : null,
  }
}
