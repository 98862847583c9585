import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { FieldProblem } from '../domain/rejection.ts'
import { Id } from '../domain/values.ts'
import { customerLookup } from '../projections/customer-lookup/project.ts'
import { customerById, findCustomers, findIncomplete, type CustomerSummary, type Filters } from '../projections/customer-lookup/queries.ts'
import { lifecycle } from '../projections/lifecycle/project.ts'
import { customerTransitions } from '../projections/lifecycle/queries.ts'
import { ownershipHistory } from '../projections/ownership-history/project.ts'
import { ownershipPeriods } from '../projections/ownership-history/queries.ts'
import { claimsOf, requireRole, viewerOf } from './authenticate.ts'
import { sendProblem } from './errors.ts'
import { exportFormat, sendExport, type ExportFormat } from './export.ts'
import type { LookupLimit } from './lookup-limit.ts'
import { After, afterOf, asOfAnswer, CustomerParams, identityOf, instantOf, knownAtOf, laterOf, nextLink, Page, PointInTime, WholeIdentifier } from './parameters.ts'
import { AsOfBody, CustomerBody, CustomerSummaryBody, exported, list, MovedBody, PeriodBody, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'
import { noSuchCustomer, requireFull } from './visibility.ts'

const readers = ['clerk', 'manager', 'system', 'auditor'] as const

const Search = z.strictObject({
  identifier: WholeIdentifier.optional(),
  q: z.string().trim().min(1).max(100).optional().describe('Part of a name, its pinyin or initials, a fragment of a phone number, a contact'),
  ownerId: z.union([Id, z.literal('')]).optional().describe('Owner; empty: the public pool 公海'),
  departmentId: Id.optional(),
  category: Id.optional(),
  stage: z.string().max(40).optional(),
  tier: z.string().max(40).optional(),
  incomplete: z.literal('true').optional().describe('Only customers whose record lacks what the template in force requires at their stage; each says what is missing. A page may hold fewer than limit, even none: follow Link to the end'),
  ...After,
  ...Page,
})

export const customerRoutes = (services: Services, lookupLimit: LookupLimit) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const organisation = () => runtime.organisation.current()
  const nameCharacters = () => organisation().policies.visibility.value.nameCharacters

  typed.get('/customers', {
    schema: {
      tags: ['customers'], operationId: 'find-customers', summary: 'Find customers 查询客户',
      description: 'Newest entry first. Shows what the caller sees in full; by a whole identifier also others, masked, at a limited rate. Accept: text/csv or application/x-ndjson exports all pages.',
      querystring: Search,
      response: { 200: exported(list(CustomerSummaryBody)), ...problemResponses(400, 401, 403, 429, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const { identifier, q, ownerId, departmentId, category, stage, tier, incomplete, after, limit, cursor } = request.query
    const viewer = viewerOf(claims, runtime)
    const filters: Filters = { q, ownerId, departmentId, category, stage, tier, identity: identifier === undefined ? undefined : identityOf(runtime, identifier) }
    const waitFor = afterOf(runtime, after)
    const giveBack = await lookupLimit.take(claims, organisation(), identifier === undefined ? 0 : 1)
    // Templates and stages as late as was asked for, too.
    if (incomplete && waitFor !== undefined) await runtime.organisation.refresh()
    const pageAfter = (before: string | undefined, size: number) =>
      readModels.query(customerLookup, { after: waitFor }, async (db, schema): Promise<Found> => {
        const page = { limit: size, before, nameCharacters: nameCharacters() }
        if (incomplete) return findIncomplete(db, schema, filters, viewer, page, organisation())
        const found = await findCustomers(db, schema, filters, viewer, { ...page, limit: size + 1 })
        const items = found.slice(0, size)
        return { items, next: found.length > size ? items.at(-1)?.ordinal : undefined }
      })
    const columns = incomplete ? [...csvColumns, 'missing'] : csvColumns

    const format = exportFormat(request)
    if (format && identifier === undefined) return sendExport(reply, format, allPages((before) => pageAfter(before, 500).then(({ result }) => result), rowIn(format)), columns)
    const { result: { items, next }, asOf } = await pageAfter(cursor, limit)
    // An identifier names one customer at most: a look-up is a page, in whatever format.
    if (identifier !== undefined && items.some((item) => item.full)) await giveBack(1)
    if (format) return sendExport(reply, format, Readable.from(items.map(rowIn(format))), columns)
    if (next !== undefined) reply.header('link', nextLink(request.url, next))
    return reply.send({ items: items.map(shown), asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/customers/:customerId', {
    schema: {
      tags: ['customers'], operationId: 'get-customer', summary: 'One customer 客户资料', params: CustomerParams,
      description: 'A customer that was merged into another answers 308 with its Location, for ever.',
      querystring: z.strictObject({ redirect: z.enum(['true', 'false']).default('true').describe('false: the record of a merged customer as it was left'), ...After }),
      response: { 200: CustomerBody, 308: MovedBody, ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const viewer = viewerOf(claims, runtime)
    const { customerId } = request.params
    const { after, redirect } = request.query
    const { result, asOf } = await readModels.query(customerLookup, { after: afterOf(runtime, after) }, (db, schema) => customerById(db, schema, customerId, viewer, nameCharacters(), { asRecorded: redirect === 'false' }))
    if (!result) return sendProblem(reply, noSuchCustomer)
    if (result.customerId !== customerId) {
      const query = after === undefined ? '' : `?after=${encodeURIComponent(after)}`
      return reply.status(308).header('location', `/customers/${result.customerId}${query}`).send({ customerId, mergedInto: result.customerId })
    }
    return reply.header('etag', `"${result.revision}"`).send({ ...shown(result), asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/customers/:customerId/ownership', {
    schema: {
      tags: ['customers'], operationId: 'get-ownership', summary: 'Who held this customer, since when, by whose decision 归属历史', params: CustomerParams,
      querystring: z.strictObject({
        asOf: PointInTime.optional().describe('Only the period that contains this time'),
        knownAt: z.string().max(100).optional().describe('As the log knew it then: a time, a day, or a position'),
        ...After,
      }),
      response: { 200: z.object({ customerId: z.string(), periods: z.array(PeriodBody), asOf: AsOfBody }), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const { customerId } = request.params
    const after = afterOf(runtime, request.query.after)
    const asOfInstant = request.query.asOf === undefined ? undefined : instantOf(runtime, request.query.asOf, 'asOf')
    const knownAt = knownAtOf(runtime, request.query.knownAt)
    const ids = await requireFull(services, claims, customerId, after)
    const { result, asOf } = await readModels.query(ownershipHistory, { after: laterOf(after, knownAt) }, (db, schema) =>
      ownershipPeriods(db, schema, ids, { asOf: asOfInstant, knownAt }))
    return reply.send({ customerId: ids[0] ?? customerId, periods: result, asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/customers/:customerId/lifecycle', {
    schema: {
      tags: ['customers'], operationId: 'get-lifecycle', summary: 'Every move between stages and tiers 生命周期', params: CustomerParams, querystring: z.strictObject(After),
      response: { 200: z.object({ customerId: z.string(), transitions: z.array(z.object({ customerId: z.string(), axis: z.enum(['stage', 'tier']), from: z.string().nullable(), to: z.string(), at: z.string(), kind: z.string(), basis: z.string().nullable(), actor: z.string(), policyVersion: z.number().int().nullable(), revision: z.number().int() })), asOf: AsOfBody }), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, readers)
    const { customerId } = request.params
    const after = afterOf(runtime, request.query.after)
    const ids = await requireFull(services, claims, customerId, after)
    const { result, asOf } = await readModels.query(lifecycle, { after }, (db, schema) => customerTransitions(db, schema, ids))
    return reply.send({ customerId: ids[0] ?? customerId, transitions: result, asOf: asOfAnswer(runtime, asOf) })
  })
}

/** Without the ordinal, which only pages by. */
const shown = <Item extends { ordinal: string }>(item: Item): Omit<Item, 'ordinal'> => {
  const rest: Partial<Item> & Omit<Item, 'ordinal'> = { ...item }
  delete rest.ordinal
  return rest
}

type FoundCustomer = CustomerSummary & { missing?: FieldProblem[] }
/** `next`: where the next page begins; undefined when this is the last. */
type Found = { items: FoundCustomer[]; next: string | undefined }

/** A customer in a line: a cell of CSV says in words what is missing. */
const rowIn = (format: ExportFormat) => (item: FoundCustomer): Record<string, unknown> =>
  format === 'text/csv' && item.missing ? { ...shown(item), missing: item.missing.map(({ path, message }) => `${path} ${message}`).join('; ') } : shown(item)

async function* allPages(pageBefore: (before: string | undefined) => Promise<Found>, toRow: (item: FoundCustomer) => Record<string, unknown>): AsyncIterable<Record<string, unknown>> {
  for (let before: string | undefined; ; ) {
    const { items, next } = await pageBefore(before)
    for (const item of items) yield toRow(item)
    if (next === undefined) return
    before = next
  }
}
const csvColumns = ['customerId', 'full', 'name', 'category', 'ownerId', 'ownerSince', 'lastOwnerId', 'departmentId', 'stage', 'tier', 'enteredAt', 'revision']

