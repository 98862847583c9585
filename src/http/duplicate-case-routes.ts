import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import { inWords } from '../domain/matching/reasons.ts'
import { Id } from '../domain/values.ts'
import { customerLookup } from '../projections/customer-lookup/project.ts'
import { customerSummaries, type CustomerSummary } from '../projections/customer-lookup/queries.ts'
import { duplicateCases } from '../projections/duplicate-cases/project.ts'
import { findCases, type FoundCase } from '../projections/duplicate-cases/queries.ts'
import { claimsOf, requireRole, viewerOf } from './authenticate.ts'
import { sendProblem } from './errors.ts'
import { After, afterOf, asOfAnswer, nextLink, Page } from './parameters.ts'
import { AsOfBody, list, problemResponses } from './schemas.ts'
import { seenPage } from './seen-pages.ts'
import type { Services } from './services.ts'
import type { Claims } from './token.ts'

const readers = ['clerk', 'manager', 'system', 'auditor'] as const
const Side = z.object({
  customerId: z.string(), full: z.boolean().describe('false: masked'), name: z.string().nullable(), ownerId: z.string().nullable(), ownerSince: z.string().nullable(), departmentId: z.string().nullable(),
  mergedInto: z.string().nullable().describe('The customer that stands for it'),
})
const CaseBody = z.object({
  caseId: z.string(), status: z.enum(['open', 'confirmed', 'dismissed', 'merged']), customers: z.array(Side).describe('The two'), openedBy: z.enum(['detection', 'person']),
  score: z.number().nullable().describe('How much speaks for it, in bits'), reasons: z.array(z.object({ comparison: z.string(), level: z.string(), bits: z.number(), en: z.string(), zh: z.string() })).describe('Why; never a value'), weightsVersion: z.number().int().nullable(),
  openedAt: z.string(), judgedAt: z.string().nullable(), judgedBy: z.string().nullable(), said: z.string().nullable().describe('In words; only who sees one of the two in full'), mergeId: z.string().nullable(), revision: z.number().int(),
}).meta({ id: 'DuplicateCase' })

const Search = z.strictObject({
  status: z.enum(['open', 'confirmed', 'dismissed', 'merged']).optional(),
  customerId: Id.optional().describe('Cases of this customer, and of all that is part of it'),
  ownerId: Id.optional().describe('Cases of a customer of this owner'),
  departmentId: Id.optional().describe('Cases of a customer of this department'),
  minimumScore: z.coerce.number().optional().describe('In bits; leaves out what persons opened'),
  ...After,
  ...Page,
})

/** Duplicate cases 疑似重复: those of which the caller sees one of the two in full. */
export const duplicateCaseRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const tags = ['duplicates']

  /** What the caller sees of the customers of these cases, by the id the case names. */
  const customersOf = async (claims: Claims, found: readonly FoundCase[], after: bigint | undefined): Promise<Map<string, CustomerSummary>> => {
    const organisation = runtime.organisation.current()
    const ids = [...new Set(found.flatMap((one) => one.customerIds))]
    return (await readModels.query(customerLookup, { after }, (db, schema) => customerSummaries(db, schema, ids, viewerOf(claims, runtime), organisation.policies.visibility.value.nameCharacters))).result
  }
  const shown = (found: FoundCase, customers: ReadonlyMap<string, CustomerSummary>) => {
    const { caseId, status, openedBy, score, reasons, weightsVersion, openedAt, judgedAt, judgedBy, said, mergeId, revision } = found
    const sides = found.customerIds.map((customerId) => {
      const customer = customers.get(customerId)
      return {
        customerId, full: customer?.full ?? false, name: customer?.name ?? null, ownerId: customer?.ownerId ?? null, ownerSince: customer?.ownerSince ?? null, departmentId: customer?.departmentId ?? null,
        mergedInto: customer && customer.customerId !== customerId ? customer.customerId : null,
      }
    })
    return { caseId, status, customers: sides, openedBy, score, reasons: reasons.map((reason) => ({ ...reason, en: inWords(reason, 'en'), zh: inWords(reason, 'zh') })), weightsVersion, openedAt, judgedAt, judgedBy, said: sides.some((side) => side.full) ? said : null, mergeId, revision }
  }
  type Shown = ReturnType<typeof shown>
  const isSeen = ({ customers }: Shown): boolean => customers.some((side) => side.full)

  typed.get('/duplicate-cases', {
    schema: {
      tags, operationId: 'find-duplicate-cases', summary: 'Find duplicate cases 查询疑似重复', querystring: Search,
      description: 'The latest opened first. A page may hold fewer than limit, even none: follow Link to the end.',
      response: { 200: list(CaseBody), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const { status, customerId, ownerId, departmentId, minimumScore, after: token, limit, cursor } = request.query
    const after = afterOf(runtime, token)
    const customerIds = customerId === undefined ? undefined : await groupOf(customerId, after)
    const wanted = ({ customers, ...one }: Shown) => isSeen({ customers, ...one })
      && (ownerId === undefined || customers.some((side) => side.ownerId === ownerId)) && (departmentId === undefined || customers.some((side) => side.departmentId === departmentId))
    const read = (before: string | undefined, size: number) => readModels.query(duplicateCases, { after }, (db, schema) => findCases(db, schema, { status, customerIds, minimumScore }, { limit: size, before }))
    const { items, next, asOf } = await seenPage({ limit, cursor }, read, async (found) => {
      const customers = await customersOf(claims, found, after)
      return found.map((one) => shown(one, customers)).map((one) => (wanted(one) ? one : undefined))
    })
    if (next !== undefined) reply.header('link', nextLink(request.url, next))
    return reply.send({ items, asOf: asOfAnswer(runtime, asOf) })
  })

  const groupOf = async (customerId: string, after: bigint | undefined): Promise<string[]> => {
    const { result } = await readModels.query(customerLookup, { after }, (db, schema) => customerSummaries(db, schema, [customerId], { all: true }, 0))
    const survivorId = result.get(customerId)?.customerId ?? customerId
    return [survivorId, ...(result.get(customerId)?.absorbed ?? [])]
  }

  typed.get('/duplicate-cases/:caseId', {
    schema: {
      tags, operationId: 'get-duplicate-case', summary: 'One duplicate case 疑似重复详情', params: z.object({ caseId: Id }), querystring: z.strictObject(After),
      response: { 200: CaseBody.extend({ asOf: AsOfBody }), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const after = afterOf(runtime, request.query.after)
    const { result, asOf } = await readModels.query(duplicateCases, { after }, (db, schema) => findCases(db, schema, { caseId: request.params.caseId }, { limit: 1 }))
    const [found] = result
    if (!found) return sendProblem(reply, problem('not-found', 'No duplicate case has this id.'))
    const one = shown(found, await customersOf(claims, [found], after))
    if (!isSeen(one)) return sendProblem(reply, problem('read-not-permitted', 'Both customers belong to other departments.'))
    return reply.header('etag', `"${one.revision}"`).send({ ...one, asOf: asOfAnswer(runtime, asOf) })
  })
}
