import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import { Template } from '../domain/category/template.ts'
import { templateOf } from '../domain/organisation/organisation.ts'
import { policyKindNames } from '../domain/policy/kinds.ts'
import { Id, Labels } from '../domain/values.ts'
import { customerLookup } from '../projections/customer-lookup/project.ts'
import { listDepartments, listEmployees } from '../projections/customer-lookup/queries.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { sendProblem } from './errors.ts'
import { After, afterOf, asOfAnswer } from './parameters.ts'
import { list, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'

const people = ['clerk', 'manager', 'system', 'admin', 'auditor'] as const
const everyone = [...people, 'analyst'] as const

const CategoryBody = z.object({
  categoryId: z.string(), version: z.number().int(), parentId: z.string().nullable(), labels: Labels, criterion: Labels, kind: z.enum(['individual', 'organisation']),
  template: Template.describe('In force: the fields of the categories above it, then its own'),
}).meta({ id: 'Category' })
const PolicyBody = z.object({ policy: z.enum(policyKindNames), version: z.number().int().describe('0: the default, before any was defined'), value: z.looseObject({}) }).meta({ id: 'Policy' })
const EmployeeBody = z.object({ employeeId: z.string(), name: z.string().nullable(), departmentId: z.string(), departed: z.boolean(), revision: z.number().int() }).meta({ id: 'Employee' })
const DepartmentBody = z.object({ departmentId: z.string(), name: z.string(), parentId: z.string().nullable(), revision: z.number().int() }).meta({ id: 'Department' })

/** The organisation's own setup: departments, employees, categories, policies. */
export const organisationRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const tags = ['organisation']
  const querystring = z.strictObject(After)

  typed.get('/employees', {
    schema: { tags, operationId: 'list-employees', summary: 'Employees 员工', querystring, response: { 200: list(EmployeeBody), ...problemResponses(400, 401, 403, 503) } },
  }, async (request, reply) => {
    requireRole(claimsOf(request), people)
    const { result, asOf } = await readModels.query(customerLookup, { after: afterOf(runtime, request.query.after) }, listEmployees)
    return reply.send({ items: result, asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/departments', {
    schema: { tags, operationId: 'list-departments', summary: 'Departments 部门', querystring, response: { 200: list(DepartmentBody), ...problemResponses(400, 401, 403, 503) } },
  }, async (request, reply) => {
    requireRole(claimsOf(request), everyone)
    const { result, asOf } = await readModels.query(customerLookup, { after: afterOf(runtime, request.query.after) }, listDepartments)
    return reply.send({ items: result, asOf: asOfAnswer(runtime, asOf) })
  })

  // Categories and policies are answered from what decisions themselves use, read to the end of the log: later than any position.
  const readToTheEnd = async (after: string | undefined) => {
    afterOf(runtime, after)
    await runtime.organisation.refresh()
  }
  const categories = () => {
    const organisation = runtime.organisation.current()
    return [...organisation.categories.values()].flatMap(({ categoryId, version, definition: { parentId, labels, criterion, kind } }) => {
      const inForce = templateOf(organisation, categoryId)
      return inForce ? [{ categoryId, version, parentId, labels, criterion, kind, template: inForce.template }] : []
    })
  }
  const policies = () => policyKindNames.map((policy) => ({ policy, ...runtime.organisation.current().policies[policy] }))

  typed.get('/categories', {
    schema: { tags, operationId: 'list-categories', summary: 'Categories and the templates in force 分类与字段模板', querystring, response: { 200: z.object({ items: z.array(CategoryBody) }), ...problemResponses(400, 401, 403, 503) } },
  }, async (request, reply) => {
    requireRole(claimsOf(request), everyone)
    await readToTheEnd(request.query.after)
    return reply.send({ items: categories() })
  })

  typed.get('/categories/:categoryId', {
    schema: { tags, operationId: 'get-category', summary: 'One category and its template in force 分类', params: z.object({ categoryId: Id }), querystring, response: { 200: CategoryBody, ...problemResponses(400, 401, 403, 404, 503) } },
  }, async (request, reply) => {
    requireRole(claimsOf(request), everyone)
    await readToTheEnd(request.query.after)
    const found = categories().find((category) => category.categoryId === request.params.categoryId)
    return found ? reply.header('etag', `"${found.version - 1}"`).send(found) : sendProblem(reply, problem('not-found', 'No category has this id.'))
  })

  typed.get('/policies', {
    schema: { tags, operationId: 'list-policies', summary: 'Policies in force 策略', querystring, response: { 200: z.object({ items: z.array(PolicyBody) }), ...problemResponses(400, 401, 403, 503) } },
  }, async (request, reply) => {
    requireRole(claimsOf(request), everyone)
    await readToTheEnd(request.query.after)
    return reply.send({ items: policies() })
  })

  typed.get('/policies/:policy', {
    schema: { tags, operationId: 'get-policy', summary: 'One policy in force 策略', params: z.object({ policy: z.string().max(64) }), querystring, response: { 200: PolicyBody, ...problemResponses(400, 401, 403, 404, 503) } },
  }, async (request, reply) => {
    requireRole(claimsOf(request), everyone)
    await readToTheEnd(request.query.after)
    const found = policies().find((one) => one.policy === request.params.policy)
    return found ? reply.header('etag', `"${found.version - 1}"`).send(found) : sendProblem(reply, problem('not-found', `There is no such kind of policy; there are ${policyKindNames.join(', ')}.`))
  })
}
