import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { organisationAsOf } from '../commands/organisation-as-of.ts'
import { problem } from '../commands/problem.ts'
import { departmentsBelow, type Organisation } from '../domain/organisation/organisation.ts'
import { Id } from '../domain/values.ts'
import { countChanges, countHoldings, holdings, portfolioChanges } from '../projections/ownership-history/portfolio.ts'
import { ownershipHistory } from '../projections/ownership-history/project.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { ProblemError } from './errors.ts'
import { exportFormat, sendExport } from './export.ts'
import { After, afterOf, asOfAnswer, instantOf, knownAtOf, laterOf, nextLink, PointInTime } from './parameters.ts'
import { AsOfBody, exported, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'
import type { Claims } from './token.ts'
import { isOver } from './visibility.ts'

const HoldingBody = z.object({ customerId: z.string(), ownerId: z.string(), since: z.string(), basis: z.string() }).meta({ id: 'Holding' })
const ChangeBody = z.object({ customerId: z.string(), change: z.enum(['gained', 'lost', 'kept']), from: z.string().nullable().describe('Who of these held it then; null: none'), to: z.string().nullable() }).meta({ id: 'PortfolioChange' })
const PortfolioBody = z.union([
  z.object({ at: z.string(), owners: z.array(z.string()), count: z.number().int(), items: z.array(HoldingBody), asOf: AsOfBody }),
  z.object({ from: z.string(), to: z.string(), owners: z.object({ from: z.array(z.string()), to: z.array(z.string()) }), counts: z.object({ gained: z.number().int(), lost: z.number().int(), kept: z.number().int() }), items: z.array(ChangeBody), asOf: AsOfBody }),
])

const Query = z.strictObject({
  asOf: PointInTime.optional().describe('Whom they held then; now, unless told'),
  from: PointInTime.optional().describe('With to: what they gained, lost and kept from then'),
  to: PointInTime.optional().describe('With from: until then'),
  change: z.enum(['gained', 'lost', 'kept']).optional().describe('With from and to: only these'),
  knownAt: z.string().max(100).optional().describe('As the log knew it then: a time, a day, or a position'),
  limit: z.coerce.number().int().min(1).max(500).default(50).describe('Most items on a page'),
  cursor: Id.optional().describe('Where the next page begins, as the Link header says'),
  ...After,
})
type Query = z.infer<typeof Query>

/** Portfolios 客户组合: whom an employee, or a department with those below it, held at any time, and what changed between two. */
export const portfolioRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const description = 'Ids only, by customer. With from and to: the differences. Accept: text/csv or application/x-ndjson exports all pages.'
  const response = { 200: exported(PortfolioBody), ...problemResponses(400, 401, 403, 404, 503) }

  /** The answer, or its export. `ownersAt`: whose customers are meant, at an instant. */
  const answer = async (request: FastifyRequest, query: Query, reply: FastifyReply, ownersAt: (at: string) => Promise<string[]>): Promise<FastifyReply> => {
    const { url } = request
    const format = exportFormat(request)
    const knownAt = knownAtOf(runtime, query.knownAt)
    const after = laterOf(afterOf(runtime, query.after), knownAt)
    const { from, to } = between(query)
    const ask = <T>(work: Parameters<typeof readModels.query<T>>[2]) => readModels.query(ownershipHistory, { after }, work)
    const at = async (text: string | undefined, name: string) => {
      const instant = text === undefined ? runtime.now().toISOString() : instantOf(runtime, text, name)
      return { at: instant, owners: await ownersAt(instant) }
    }
    if (from === undefined || to === undefined) {
      const held = await at(query.asOf, 'asOf')
      const page = (cursor: string | undefined, limit: number) => ask((db, schema) => holdings(db, schema, held, knownAt, { limit, after: cursor }))
      if (format) return sendExport(reply, format, allPages(page), ['customerId', 'ownerId', 'since', 'basis'])
      const { result, asOf } = await ask(async (db, schema) => ({ count: await countHoldings(db, schema, held, knownAt), found: await holdings(db, schema, held, knownAt, { limit: query.limit + 1, after: query.cursor }) }))
      return reply.send({ at: held.at, owners: held.owners, count: result.count, items: pageOf(reply, result.found, query.limit, url), asOf: asOfAnswer(runtime, asOf) })
    }
    const [one, other] = [await at(from, 'from'), await at(to, 'to')]
    const page = (cursor: string | undefined, limit: number) => ask((db, schema) => portfolioChanges(db, schema, one, other, knownAt, query.change, { limit, after: cursor }))
    if (format) return sendExport(reply, format, allPages(page), ['customerId', 'change', 'from', 'to'])
    const { result, asOf } = await ask(async (db, schema) => ({ counts: await countChanges(db, schema, one, other, knownAt), found: await portfolioChanges(db, schema, one, other, knownAt, query.change, { limit: query.limit + 1, after: query.cursor }) }))
    return reply.send({ from: one.at, to: other.at, owners: { from: one.owners, to: other.owners }, counts: result.counts, items: pageOf(reply, result.found, query.limit, url), asOf: asOfAnswer(runtime, asOf) })
  }

  typed.get('/employees/:employeeId/portfolio', {
    schema: { tags: ['audit'], operationId: 'get-employee-portfolio', summary: 'Whom an employee held 员工客户组合', description, params: z.object({ employeeId: Id }), querystring: Query, response },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, ['clerk', 'manager', 'system', 'auditor'])
    const { employeeId } = request.params
    const employee = runtime.organisation.current().employees.get(employeeId)
    if (!employee) throw new ProblemError(problem('not-found', 'No employee has this id.'))
    if (claims.employeeId !== employeeId) requireDepartment(claims, employee.departmentId, runtime.organisation.current())
    return answer(request, request.query, reply, async () => [employeeId])
  })

  typed.get('/departments/:departmentId/portfolio', {
    schema: {
      tags: ['audit'], operationId: 'get-department-portfolio', summary: 'Whom a department held, with those below it 部门客户组合', params: z.object({ departmentId: Id }), querystring: Query, response,
      description: `Of the employees who belonged to it then, or to one below it: moves of employees and of departments count from when they were recorded; who has departed counts where they were last. ${description}`,
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, ['manager', 'system', 'auditor'])
    const { departmentId } = request.params
    const { knownAt } = request.query
    if (!runtime.organisation.current().departments.has(departmentId)) throw new ProblemError(problem('not-found', 'No department has this id.'))
    requireDepartment(claims, departmentId, runtime.organisation.current())
    return answer(request, request.query, reply, async (at) => {
      const then = await organisationAsOf(runtime, at, knownAtOf(runtime, knownAt))
      const below = new Set(departmentsBelow(then, departmentId))
      return [...then.employees.values()].filter((employee) => below.has(employee.departmentId)).map(({ employeeId }) => employeeId).sort()
    })
  })
}

/** A manager asks about their own departments, a clerk about nobody else. */
export const requireDepartment = (claims: Claims, departmentId: string, organisation: Organisation): void => {
  if (isOver(claims, departmentId, organisation)) return
  throw new ProblemError(problem('read-not-permitted', 'A clerk reads their own portfolio, a manager those of their departments.'))
}

const between = ({ asOf, from, to, change }: Query): { from?: string | undefined; to?: string | undefined } => {
  const wrong = (path: string, message: string) => new ProblemError(problem('invalid-parameters', 'The times do not go together.', { errors: [{ path, message }] }))
  if ((from === undefined) !== (to === undefined)) throw wrong(from === undefined ? 'from' : 'to', 'is required: differences are between two times')
  if (from !== undefined && asOf !== undefined) throw wrong('asOf', 'goes without from and to')
  if (from === undefined && change !== undefined) throw wrong('change', 'goes with from and to')
  return { from, to }
}

const pageOf = <Item extends { customerId: string }>(reply: FastifyReply, found: readonly Item[], limit: number, url: string): Item[] => {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  if (found.length > limit && last) reply.header('link', nextLink(url, last.customerId))
  return items
}

async function* allPages<Item extends { customerId: string }>(page: (cursor: string | undefined, limit: number) => Promise<{ result: Item[] }>): AsyncIterable<Item> {
  for (let cursor: string | undefined; ;) {
    const { result } = await page(cursor, 500)
    yield* result
    cursor = result.at(-1)?.customerId
    if (result.length < 500 || cursor === undefined) return
  }
}
