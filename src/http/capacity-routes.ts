import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { load } from '../commands/load.ts'
import { problem } from '../commands/problem.ts'
import { isBelow } from '../domain/organisation/organisation.ts'
import { claimsOn, dayOf, openGains, totalOf } from '../domain/portfolio/limits.ts'
import { portfolio, streamName } from '../domain/portfolio/portfolio.ts'
import { Id } from '../domain/values.ts'
import { holdingsOf } from '../projections/customer-lookup/holdings.ts'
import { customerLookup } from '../projections/customer-lookup/project.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { ProblemError } from './errors.ts'
import { After, afterOf, asOfAnswer } from './parameters.ts'
import { AsOfBody, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'

const count = z.number().int()
const CapacityBody = z.object({
  employeeId: z.string(),
  limits: z.object({ total: count.nullable(), byTier: z.record(z.string(), count), claimsADay: count.nullable(), uncountedStages: z.array(z.string()) }).describe('As the ownership policy says; null: none'),
  holdings: z.object({ total: count, byTier: z.record(z.string(), count) }).describe('Customers owned now, without those at stages that do not count'),
  openReservations: count.describe('Customers that commands under way, or broken off, may still bring'),
  claims: z.object({ day: z.string(), count, nextDayAt: z.string() }).describe('Claims today under a limit'),
  room: z.object({ total: count.nullable(), byTier: z.record(z.string(), count), claimsToday: count.nullable() }).describe('How many more; null: no limit'),
  asOf: AsOfBody,
}).meta({ id: 'Capacity' })

/** How many customers an employee may still gain 客户数上限与每日领取额. */
export const capacityRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services

  typed.get('/employees/:employeeId/capacity', {
    schema: {
      tags: ['organisation'], operationId: 'get-employee-capacity', summary: 'How many customers an employee may still gain 领取额度', params: z.object({ employeeId: Id }), querystring: z.strictObject(After),
      description: 'For the employee, managers of their department and above, systems and auditors.', response: { 200: CapacityBody, ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, ['clerk', 'manager', 'system', 'auditor'])
    const { employeeId } = request.params
    const { employees, policies, log } = runtime.organisation.current()
    const employee = employees.get(employeeId)
    if (!employee) throw new ProblemError(problem('not-found', 'No employee has this id.'))
    const own = employees.get(claims.employeeId ?? '')?.departmentId
    const leads = claims.role === 'manager' && own !== undefined && isBelow(runtime.organisation.current(), employee.departmentId, own)
    if (claims.employeeId !== employeeId && !leads && claims.role !== 'system' && claims.role !== 'auditor') throw new ProblemError(problem('read-not-permitted', 'A clerk reads their own limits, a manager those of their departments.'))

    const { pool } = policies.ownership.value
    const read = await load(runtime, portfolio, streamName(employeeId))
    const asked = afterOf(runtime, request.query.after) ?? 0n
    const among = read.state.open.map((slot) => slot.customerId)
    const { result: holdings, asOf } = await readModels.query(customerLookup, { after: read.position > asked ? read.position : asked }, (db, schema) => holdingsOf(db, schema, employeeId, { uncountedStages: pool.uncountedStages, among }))

    const coming = openGains(read.state, holdings, pool.uncountedStages)
    const comingOf = (tier?: string) => new Set(coming.flatMap((slot) => (tier === undefined || slot.tier === tier ? [slot.customerId] : []))).size
    const { day, nextDayAt } = dayOf(runtime.now().toISOString(), log?.timeZone ?? 'UTC')
    const today = claimsOn(read.state, day)
    const left = (limit: number, used: number) => Math.max(0, limit - used)
    const total = pool.capacity?.total ?? null
    const byTier = pool.capacity?.byTier ?? {}
    return reply.send({
      employeeId,
      limits: { total, byTier, claimsADay: pool.dailyQuota, uncountedStages: pool.uncountedStages },
      holdings: { total: totalOf(holdings), byTier: holdings.byTier },
      openReservations: comingOf(),
      claims: { day, count: today.settled, nextDayAt },
      room: {
        total: total === null ? null : left(total, totalOf(holdings) + comingOf()),
        byTier: Object.fromEntries(Object.entries(byTier).map(([tier, limit]) => [tier, left(limit, (holdings.byTier[tier] ?? 0) + comingOf(tier))])),
        claimsToday: pool.dailyQuota === null ? null : left(pool.dailyQuota, today.settled + today.open.length),
      },
      asOf: asOfAnswer(runtime, asOf),
    })
  })
}
