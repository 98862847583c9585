import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import { departmentsBelow } from '../domain/organisation/organisation.ts'
import { milliseconds } from '../domain/customer/protection.ts'
import { Id } from '../domain/values.ts'
import { protection } from '../projections/protection/project.ts'
import { protectionOfCustomer, protections, type ProtectionCursor, type ProtectionFilters, type ProtectionStanding } from '../projections/protection/queries.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { ProblemError } from './errors.ts'
import { exportFormat, sendExport } from './export.ts'
import { After, afterOf, asOfAnswer, CustomerParams, instantOf, nextLink, PointInTime } from './parameters.ts'
import { requireDepartment } from './portfolio-routes.ts'
import { AsOfBody, exported, list, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'
import type { Claims } from './token.ts'
import { requireFull } from './visibility.ts'

const readers = ['clerk', 'manager', 'system', 'auditor'] as const

const ProtectionBody = z.object({
  customerId: z.string(), ownerId: z.string(),
  protectedSince: z.string().describe('When the period began: with the holding, a renewal, or the last follow-up'),
  protectedUntil: z.string().nullable().describe('When the period ends by the policy in force; null: it has no end'),
  exemptions: z.array(z.enum(['locked', 'open-complaint', 'recent-purchase'])).describe('What keeps it from lapsing now'),
  lapsesAt: z.string().nullable().describe('When it goes to the pool as things stand; null: no such time is known'),
  warned: z.boolean().describe('Whether the owner was warned of the end of this period'),
  lock: z.object({ until: z.string().nullable() }).nullable(),
}).meta({ id: 'Protection' })

const Query = z.strictObject({
  ownerId: Id.optional().describe('What this employee holds'),
  departmentId: Id.optional().describe('What the employees of this department hold, and of those below it'),
  within: z.string().regex(/^\d{1,5}(\.\d{1,3})?d$/, 'days, such as 7d or 0.5d').optional().describe('Only what lapses within so many days: 7d'),
  lapsesBefore: PointInTime.optional().describe('Only what lapses before'),
  limit: z.coerce.number().int().min(1).max(500).default(50).describe('Most items on a page'),
  cursor: z.string().regex(/^(infinity|\d{4}-\d\d-\d\dT[\d:.]{12}Z)~[\w.-]{1,64}$/, 'must be the cursor of a Link header').optional().describe('Where the next page begins, as the Link header says'),
  ...After,
})

/** Protection 保护期: what is about to lapse, and how one customer stands. */
export const protectionRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const organisation = () => runtime.organisation.current()

  /** Whose customers are meant: of nobody whose portfolio the caller may not see. */
  const ownersOf = (claims: Claims, { ownerId, departmentId }: z.infer<typeof Query>): string[] | undefined => {
    const { employees } = organisation()
    const all = claims.role === 'system' || claims.role === 'auditor'
    const own = employees.get(claims.employeeId ?? '')?.departmentId
    if (ownerId !== undefined && ownerId !== claims.employeeId && !all) requireDepartment(claims, employees.get(ownerId)?.departmentId ?? '', organisation())
    const department = departmentId ?? (ownerId === undefined && claims.role === 'manager' ? own : undefined)
    if (department === undefined) return ownerId !== undefined ? [ownerId] : all ? undefined : [claims.employeeId ?? '']
    if (!organisation().departments.has(department)) throw new ProblemError(problem('not-found', 'No department has this id.'))
    requireDepartment(claims, department, organisation())
    const below = departmentsBelow(organisation(), department)
    return [...employees.values()].flatMap((one) => (below.includes(one.departmentId) && (ownerId ?? one.employeeId) === one.employeeId ? [one.employeeId] : []))
  }

  typed.get('/protection', {
    schema: {
      tags: ['customers'], operationId: 'list-protection', summary: 'What is about to lapse 保护期将满', querystring: Query,
      description: 'The first to lapse first, by the policy in force; what does not lapse comes last. A clerk sees their own customers, a manager those of their departments. Accept: text/csv or application/x-ndjson exports all pages.',
      response: { 200: exported(list(ProtectionBody)), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const { within, lapsesBefore, limit, cursor, after } = request.query
    if (within !== undefined && lapsesBefore !== undefined) throw new ProblemError(problem('invalid-parameters', 'The times do not go together.', { errors: [{ path: 'within', message: 'goes without lapsesBefore' }] }))
    const now = runtime.now()
    const before = within !== undefined ? new Date(now.getTime() + milliseconds(Number(within.slice(0, -1)))).toISOString() : lapsesBefore === undefined ? undefined : instantOf(runtime, lapsesBefore, 'lapsesBefore')
    const filters: ProtectionFilters = { ownerIds: ownersOf(claims, request.query), before }
    const page = (from: ProtectionCursor | undefined, most: number) =>
      readModels.query(protection, { after: afterOf(runtime, after) }, (db, schema) => protections(db, schema, organisation(), filters, { now: now.toISOString(), limit: most, after: from }))
    const format = exportFormat(request)
    if (format) return sendExport(reply, format, allPages((from) => page(from, 500).then(({ result }) => result)), csvColumns)
    const [at = '', customerId = ''] = cursor?.split('~') ?? []
    const { result, asOf } = await page(cursor === undefined ? undefined : { at, customerId }, limit + 1)
    const items = result.slice(0, limit)
    const last = items.at(-1)
    if (result.length > limit && last) reply.header('link', nextLink(request.url, `${cursorOf(last).at}~${last.customerId}`))
    return reply.send({ items, asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/customers/:customerId/protection', {
    schema: {
      tags: ['customers'], operationId: 'get-protection', summary: 'Until when this customer is protected 保护期', params: CustomerParams, querystring: z.strictObject(After),
      response: { 200: z.object({ customerId: z.string(), protection: ProtectionBody.nullable().describe('null: it is in the public pool 公海'), asOf: AsOfBody }), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const after = afterOf(runtime, request.query.after)
    const [customerId = ''] = await requireFull(services, claims, request.params.customerId, after)
    const { result, asOf } = await readModels.query(protection, { after }, (db, schema) => protectionOfCustomer(db, schema, organisation(), customerId, runtime.now().toISOString()))
    return reply.send({ customerId, protection: result, asOf: asOfAnswer(runtime, asOf) })
  })
}

const cursorOf = (one: ProtectionStanding): ProtectionCursor => ({ at: one.lapsesAt ?? 'infinity', customerId: one.customerId })

async function* allPages(page: (after: ProtectionCursor | undefined) => Promise<ProtectionStanding[]>): AsyncIterable<Record<string, unknown>> {
  for (let after: ProtectionCursor | undefined; ;) {
    const found = await page(after)
    for (const { exemptions, lock, ...one } of found) yield { ...one, exemptions: exemptions.join(' '), lockedUntil: lock && (lock.until ?? 'unlocked') }
    const last = found.at(-1)
    if (found.length < 500 || !last) return
    after = cursorOf(last)
  }
}
const csvColumns = ['customerId', 'ownerId', 'protectedSince', 'protectedUntil', 'exemptions', 'lapsesAt', 'warned', 'lockedUntil']
