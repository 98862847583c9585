import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import type { Runtime } from '../commands/runtime.ts'
import { reveal } from '../domain/decider.ts'
import { streamName } from '../domain/employee/employee.ts'
import { domainEvent } from '../domain/events.ts'
import { faults } from '../domain/record-report/record-report.ts'
import { Id } from '../domain/values.ts'
import { countHoldings } from '../projections/ownership-history/portfolio.ts'
import { ownershipHistory } from '../projections/ownership-history/project.ts'
import { recordReports } from '../projections/record-reports/project.ts'
import { reportsOfEmployee } from '../projections/record-reports/queries.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { ProblemError } from './errors.ts'
import { After, afterOf, asOfAnswer } from './parameters.ts'
import { AsOfBody, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'
import { isOver } from './visibility.ts'

const Money = z.object({ amount: z.number().int(), currency: z.string() })
const Counts = z.object({ open: z.number().int(), overdue: z.number().int(), upheld: z.number().int(), dismissed: z.number().int() })
const MOST_PENALTIES = 200
const RecordBody = z.object({
  employeeId: z.string(), name: z.string().nullable(), departmentId: z.string().nullable().describe('Where they belong, or belonged last'), registeredAt: z.string().nullable(), departedAt: z.string().nullable(), authorityLimit: Money.nullable(),
  departments: z.array(z.object({ departmentId: z.string(), from: z.string(), to: z.string().nullable() })).describe('Where the employee belonged, from when to when'),
  authorityLimits: z.array(z.object({ authorityLimit: Money.nullable(), from: z.string() })),
  reports: z.object({ made: Counts, against: Counts }).describe('How many record reports the employee made, and is answerable for'),
  penalties: z.array(z.object({ reportId: z.string(), round: z.number().int(), kind: z.enum(faults), penalty: Money, at: z.string(), by: z.string().nullable(), policyVersion: z.number().int().nullable() })).describe(`Latest first, ${MOST_PENALTIES} at most`),
  penaltySums: z.array(Money).describe('Of all penalties, by currency'),
  portfolio: z.object({ count: z.number().int() }).describe('How many customers the employee holds now'),
  asOf: AsOfBody,
}).meta({ id: 'EmployeeRecord' })

/** An employee's record 员工档案: where they belonged, what they may settle, what was reported, what it cost them, whom they hold. */
export const employeeRecordRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services

  typed.get('/employees/:employeeId/record', {
    schema: {
      tags: ['reports'], operationId: 'get-employee-record', summary: 'An employee’s record 员工档案', params: z.object({ employeeId: Id }), querystring: z.strictObject(After),
      description: 'For the employee, managers over their department, auditors and the administrator. GET /record-reports?against= lists the reports themselves.',
      response: { 200: RecordBody, ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, ['clerk', 'manager', 'system', 'admin', 'auditor'])
    const { employeeId } = request.params
    const organisation = runtime.organisation.current()
    const employee = organisation.employees.get(employeeId)
    if (!employee) throw new ProblemError(problem('not-found', 'No employee has this id.'))
    if (claims.employeeId !== employeeId && claims.role !== 'admin' && !isOver(claims, employee.departmentId, organisation)) {
      throw new ProblemError(problem('read-not-permitted', 'A clerk reads their own record, a manager those of their departments.'))
    }
    const after = afterOf(runtime, request.query.after)
    const { result, asOf } = await readModels.query(recordReports, { after }, (db, schema) => reportsOfEmployee(db, schema, employeeId, MOST_PENALTIES))
    const { result: count } = await readModels.query(ownershipHistory, { after }, (db, schema) => countHoldings(db, schema, { owners: [employeeId], at: runtime.now().toISOString() }, undefined))
    return reply.send({
      employeeId, ...(await career(runtime, employeeId)), reports: { made: result.made, against: result.against },
      penalties: result.penalties.map(({ amount, currency, ...one }) => ({ ...one, penalty: { amount, currency } })), penaltySums: result.totals, portfolio: { count }, asOf: asOfAnswer(runtime, asOf),
    })
  })
}

/** What the employee's own events tell, in order; they are few. */
const career = async ({ store, codec }: Pick<Runtime, 'store' | 'codec'>, employeeId: string) => {
  const events = (await codec.decode(await Array.fromAsync(store.readStream(streamName(employeeId))))).map(domainEvent).flatMap((known) => (known?.kind === 'employee' ? [known.event] : []))
  const registered = events.find((event) => event.type === 'EmployeeRegistered')
  const departedAt = events.find((event) => event.type === 'EmployeeDeparted')?.effectiveAt ?? null
  const places = events.flatMap((event) =>
    event.type === 'EmployeeRegistered' ? [{ departmentId: event.data.departmentId, from: event.effectiveAt }] : event.type === 'EmployeeMoved' ? [{ departmentId: event.data.to, from: event.effectiveAt }] : [])
  const authorityLimits = events.flatMap((event) =>
    event.type === 'EmployeeRegistered' ? [{ authorityLimit: event.data.authorityLimit, from: event.effectiveAt }] : event.type === 'AuthorityLimitChanged' ? [{ authorityLimit: event.data.to, from: event.effectiveAt }] : [])
  return {
    name: reveal(registered?.data.name) ?? null, registeredAt: registered?.effectiveAt ?? null, departedAt, departmentId: places.at(-1)?.departmentId ?? null, authorityLimit: authorityLimits.at(-1)?.authorityLimit ?? null,
    departments: places.map((place, index) => ({ ...place, to: places[index + 1]?.from ?? departedAt })), authorityLimits,
  }
}
