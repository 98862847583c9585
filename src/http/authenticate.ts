import type { FastifyRequest } from 'fastify'
import { problem } from '../commands/problem.ts'
import type { Runtime } from '../commands/runtime.ts'
import type { Caller, Role } from '../domain/decider.ts'
import { departmentsBelow, type Organisation } from '../domain/organisation/organisation.ts'
import { Id } from '../domain/values.ts'
import type { Viewer } from '../projections/customer-lookup/queries.ts'
import { ProblemError } from './errors.ts'
import type { Services } from './services.ts'
import type { Claims } from './token.ts'

declare module 'fastify' {
  // eslint-disable-next-line @typescript-eslint/consistent-type-definitions -- fastify is told by merging
  interface FastifyRequest {
    claims: Claims | null
  }
}

const unauthenticated = (detail: string) => new ProblemError(problem('unauthenticated', detail), { 'www-authenticate': 'Bearer' })

/**
 * Who sends this request. A human's token names an employee who must be here still: that is asked of the log, so
 * that a departure ends a token at once. A system's name must not be an employee's id: their keys would mix.
 */
export const authenticate = async (services: Services, authorization: string | undefined): Promise<Claims> => {
  const [, token] = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? '') ?? []
  if (token === undefined) throw unauthenticated('The request has no bearer token.')
  const claims = await services.verifyToken(token)
  if (!claims) throw unauthenticated('The token is not valid, or has expired.')
  const { organisation } = services.runtime
  if (claims.role === 'system') {
    if (organisation.current().employees.has(claims.sub)) throw unauthenticated('The name of this system is the id of an employee.')
    return claims
  }
  const { employeeId } = claims
  if (employeeId === undefined || employeeId !== claims.sub) throw unauthenticated('The token of a person names their employeeId, and the same as sub.')
  if (!organisation.current().employees.has(employeeId)) await organisation.refresh()
  requirePresent(claims, organisation.current())
  return claims
}

/** The employee a token names is here still; asked again for each line of a batch, which may take long. */
export const requirePresent = ({ role, sub }: Claims, organisation: Organisation): void => {
  if (role === 'system') return
  const employee = organisation.employees.get(sub)
  if (!employee) throw unauthenticated('The employee this token names does not exist.')
  if (employee.departed) throw unauthenticated('The employee this token names has departed.')
}

export const claimsOf = (request: FastifyRequest): Claims => {
  if (!request.claims) throw unauthenticated('The request has no bearer token.')
  return request.claims
}

/** The caller of a command. That only a system acts for somebody else, the command path sees to. */
export const callerOf = ({ sub, role, employeeId }: Claims, onBehalfOf: string | undefined): Caller => {
  if (onBehalfOf !== undefined && !Id.safeParse(onBehalfOf).success) throw new ProblemError(problem('invalid-parameters', 'A header is not valid.', { errors: [{ path: 'On-Behalf-Of', message: 'must be the id of an employee' }] }))
  return { actor: sub, role, employeeId: (role === 'system' ? onBehalfOf : employeeId) ?? null, onBehalfOf: onBehalfOf ?? null }
}

export const requireRole = (claims: Claims, roles: readonly Role[]): void => {
  if (!roles.includes(claims.role)) throw new ProblemError(problem('read-not-permitted', `The role ${claims.role} may not read this; ${roles.join(', ')} may.`))
}

/** What the caller sees of customers in full, at that time. */
export const viewerOf = (claims: Claims, { organisation: live, now: clock }: Pick<Runtime, 'organisation' | 'now'>): Viewer => {
  if (claims.role === 'system' || claims.role === 'auditor') return { all: true }
  const organisation = live.current()
  const now = clock().toISOString()
  const employeeId = claims.employeeId ?? ''
  const own = organisation.employees.get(employeeId)?.departmentId
  if (own === undefined) return { all: false, employeeId, memberOf: [], departments: [], now }
  const memberOf: string[] = []
  for (let at: string | null = own; at !== null && !memberOf.includes(at); at = organisation.departments.get(at)?.parentId ?? null) memberOf.push(at)
  return { all: false, employeeId, memberOf, departments: claims.role === 'manager' ? departmentsBelow(organisation, own) : [own], now }
}
