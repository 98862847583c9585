import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import { departmentsBelow } from '../domain/organisation/organisation.ts'
import { Id } from '../domain/values.ts'
import { complaints } from '../projections/complaints/project.ts'
import { complaintTrail, findComplaints, type ComplaintSummary, type ComplaintViewer } from '../projections/complaints/queries.ts'
import { customerLookup } from '../projections/customer-lookup/project.ts'
import { customerById } from '../projections/customer-lookup/queries.ts'
import { claimsOf, requireRole, viewerOf } from './authenticate.ts'
import { exportFormat, sendExport } from './export.ts'
import { sendProblem } from './errors.ts'
import { After, afterOf, asOfAnswer, nextLink, Page } from './parameters.ts'
import { AsOfBody, exported, list, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'
import type { Claims } from './token.ts'

const readers = ['clerk', 'manager', 'system', 'auditor'] as const
const Money = z.object({ amount: z.number().int(), currency: z.string() })
const summary = {
  complaintId: z.string(), customerId: z.string().nullable().describe('null: anonymous'), contactId: z.string().nullable(), class: z.string(), severity: z.string(), channel: z.string(), status: z.enum(['open', 'closed']),
  level: z.number().int(), role: z.string(), handlerId: z.string().nullable(), departments: z.array(z.string()), nextStep: z.string().nullable(), targetAt: z.string().nullable(), dueAt: z.string().nullable(),
  overdue: z.boolean(), lodgedAt: z.string(), closedAt: z.string().nullable(), escalations: z.number().int(), compensation: Money.nullable(), description: z.string().nullable(), wants: z.string().nullable(), revision: z.number().int(),
}
const ComplaintSummaryBody = z.object(summary).meta({ id: 'ComplaintSummary' })
const TrailBody = z.object({
  revision: z.number().int(), at: z.string(), recordedAt: z.string(), type: z.string(), actor: z.string(), onBehalfOf: z.string().nullable(), step: z.string().nullable(), fromLevel: z.number().int().nullable(),
  toLevel: z.number().int().nullable(), reason: z.string().nullable(), handlerId: z.string().nullable(), policyVersion: z.number().int().nullable(), text: z.string().nullable(),
}).meta({ id: 'ComplaintTrail' })
const ComplaintBody = z.object({ ...summary, trail: z.array(TrailBody), asOf: AsOfBody }).meta({ id: 'Complaint' })

const Search = z.strictObject({
  status: z.enum(['open', 'closed']).optional(),
  level: z.coerce.number().int().min(1).max(20).optional(),
  handlerId: z.union([Id, z.literal('')]).optional().describe('Handler; empty: nobody yet'),
  customerId: Id.optional().describe('All complaints of a customer the caller sees in full'),
  overdue: z.enum(['true', 'false']).optional().describe('true: the next step’s deadline has passed'),
  ...After,
  ...Page,
})

/** Without the ordinal, which only pages by. */
const shown = (summaryWithOrdinal: ComplaintSummary): Omit<ComplaintSummary, 'ordinal'> => {
  const rest: Partial<ComplaintSummary> & Omit<ComplaintSummary, 'ordinal'> = { ...summaryWithOrdinal }
  delete rest.ordinal
  return rest
}
const csvColumns = Object.keys(summary).filter((name) => name !== 'departments' && name !== 'compensation')

/** Complaints 投诉: what one handles, what stands at one's role, and as a manager what one's departments handle. */
export const complaintRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const tags = ['complaints']

  const complaintViewer = ({ role, employeeId }: Claims): ComplaintViewer => {
    if (role === 'system' || role === 'auditor') return { all: true }
    const { employees, ...organisation } = runtime.organisation.current()
    const own = employees.get(employeeId ?? '')?.departmentId
    const departments = role === 'manager' && own !== undefined ? departmentsBelow({ employees, ...organisation }, own) : []
    return { all: false, employeeId: employeeId ?? '', role, colleagues: [...employees.values()].flatMap((one) => (departments.includes(one.departmentId) ? [one.employeeId] : [])) }
  }
  const nameCharacters = () => runtime.organisation.current().policies.visibility.value.nameCharacters
  /** A customer the caller sees in full, and all it has absorbed; undefined for another. */
  const seenCustomer = async (claims: Claims, customerId: string, after: bigint | undefined): Promise<string[] | undefined> => {
    const { result } = await readModels.query(customerLookup, { after }, (db, schema) => customerById(db, schema, customerId, viewerOf(claims, runtime), nameCharacters()))
    return result?.full ? [result.customerId, ...result.absorbed] : undefined
  }

  typed.get('/complaints', {
    schema: {
      tags, operationId: 'find-complaints', summary: 'Find complaints 查询投诉', querystring: Search,
      description: 'The latest lodged first. Accept: text/csv or application/x-ndjson exports all pages.',
      response: { 200: exported(list(ComplaintSummaryBody)), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const { status, level, handlerId, customerId, overdue, after: token, limit, cursor } = request.query
    const after = afterOf(runtime, token)
    const customerIds = customerId === undefined ? undefined : await seenCustomer(claims, customerId, after)
    if (customerId !== undefined && !customerIds) return sendProblem(reply, problem('read-not-permitted', 'This customer does not exist, or belongs to another department.'))
    const filters = { status, level, handlerId, customerIds, overdue: overdue === undefined ? undefined : overdue === 'true' }
    const now = runtime.now().toISOString()
    const page = (before: string | undefined, size: number) => readModels.query(complaints, { after }, (db, schema) => findComplaints(db, schema, filters, complaintViewer(claims), { limit: size, before, now }))
    const format = exportFormat(request)
    if (format) return sendExport(reply, format, allPages((before) => page(before, 500).then(({ result }) => result)), csvColumns)
    const { result, asOf } = await page(cursor, limit + 1)
    const items = result.slice(0, limit)
    const last = items.at(-1)
    if (result.length > limit && last) reply.header('link', nextLink(request.url, last.ordinal))
    return reply.send({ items: items.map(shown), asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/complaints/:complaintId', {
    schema: {
      tags, operationId: 'get-complaint', summary: 'One complaint and its whole trail 投诉详情', params: z.object({ complaintId: Id }), querystring: z.strictObject(After),
      response: { 200: ComplaintBody, ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const { complaintId } = request.params
    const after = afterOf(runtime, request.query.after)
    const { result, asOf } = await readModels.query(complaints, { after }, async (db, schema) => {
      const find = async (viewer: ComplaintViewer) => (await findComplaints(db, schema, { complaintId }, viewer, { limit: 1, now: runtime.now().toISOString() }))[0]
      return { there: await find({ all: true }), seen: await find(complaintViewer(claims)), trail: await complaintTrail(db, schema, complaintId) }
    })
    if (!result.there) return sendProblem(reply, problem('not-found', 'No complaint has this id.'))
    const { customerId } = result.there
    if (!result.seen && !(customerId !== null && (await seenCustomer(claims, customerId, after)))) {
      return sendProblem(reply, problem('read-not-permitted', 'This complaint is handled elsewhere, of a customer of another department.'))
    }
    return reply.header('etag', `"${result.there.revision}"`).send({ ...shown(result.there), trail: result.trail, asOf: asOfAnswer(runtime, asOf) })
  })
}

async function* allPages(pageBefore: (before: string | undefined) => Promise<ComplaintSummary[]>): AsyncIterable<Record<string, unknown>> {
  for (let before: string | undefined; ; ) {
    const page = await pageBefore(before)
    for (const item of page) yield shown(item)
    before = page.at(-1)?.ordinal
    if (page.length < 500 || before === undefined) return
  }
}
