import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import { toFieldProblems } from '../commands/registry.ts'
import { checkText } from '../commands/text.ts'
import { Identifier, normaliseIdentifier } from '../domain/customer/identifier.ts'
import { CreateCustomer } from '../domain/customer/profile.ts'
import { customerLookup } from '../projections/customer-lookup/project.ts'
import { customerById } from '../projections/customer-lookup/queries.ts'
import { duplicates } from '../projections/duplicates/project.ts'
import { holders } from '../projections/duplicates/queries.ts'
import { claimsOf, requireRole, viewerOf } from './authenticate.ts'
import { ProblemError } from './errors.ts'
import type { LookupLimit } from './lookup-limit.ts'
import { After, afterOf, asOfAnswer } from './parameters.ts'
import { AsOfBody, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'
import { compileValidator } from './validator.ts'

/** A would-be customer, as complete as it is by then: nothing is required. */
const WouldBe = CreateCustomer.partial().extend({ identifiers: z.array(Identifier).max(20).default([]) })

const CandidateBody = z.object({
  customerId: z.string(),
  match: z.literal('identifier').describe('identifier: the same identifier, normalised'),
  identifiers: z.array(z.number().int()).describe('Which of those sent, counted from 0'),
  ownerId: z.string().nullable().describe('null: in the public pool'),
  since: z.string().nullable(),
  name: z.string().nullable().describe('Masked where the caller may not see the customer'),
  full: z.boolean(),
}).meta({ id: 'Candidate' })

export const duplicatesRoutes = (services: Services, lookupLimit: LookupLimit) => async (app: FastifyInstance): Promise<void> => {
  const { runtime, readModels } = services
  app.withTypeProvider<ZodTypeProvider>().post('/duplicates/check', {
    schema: {
      tags: ['duplicates'], operationId: 'check-duplicates', summary: 'Is this customer already here? 查重', body: WouldBe, querystring: z.strictObject(After),
      response: { 200: z.object({ candidates: z.array(CandidateBody), asOf: AsOfBody }), ...problemResponses(400, 401, 403, 413, 415, 422, 429, 503) },
    },
    // Checked below, like a command's body: so that faults have the same form.
    validatorCompiler: (part) => (part.httpPart === 'body' ? (data: unknown) => ({ value: data }) : compileValidator(part)),
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, ['clerk', 'manager', 'system', 'auditor'])
    const organisation = runtime.organisation.current()
    const wouldBe = checkedBody(request.body)
    const identities = wouldBe.identifiers.map((identifier, index) => {
      const normal = normaliseIdentifier(identifier)
      if (!normal.ok) throw new ProblemError(problem('invalid-body', 'An identifier is not valid.', { errors: [{ path: `identifiers/${index}/value`, message: normal.message }] }))
      return runtime.keyedHash.identity(normal.kind, normal.value)
    })
    const after = afterOf(runtime, request.query.after)
    const giveBack = await lookupLimit.take(claims, organisation, identities.length)
    const { result: held, asOf } = await readModels.query(duplicates, { after }, (db, schema) => holders(db, schema, identities))
    const viewer = viewerOf(claims, organisation)
    const { nameCharacters } = organisation.policies.visibility.value
    const byCustomer = Map.groupBy(held, (one) => one.customerId)
    const candidates = await Promise.all([...byCustomer].map(async ([customerId, found]) => {
      const { result: customer } = await readModels.query(customerLookup, { after: asOf.position }, (db, schema) => customerById(db, schema, customerId, viewer, nameCharacters))
      const identifiers = identities.flatMap((identity, index) => (found.some((one) => one.identity === identity) ? [index] : []))
      return { customerId: customer?.customerId ?? customerId, match: 'identifier' as const, identifiers, ownerId: customer?.ownerId ?? null, since: customer?.ownerSince ?? null, name: customer?.name ?? null, full: customer?.full ?? false }
    }))
    await giveBack(new Set(candidates.flatMap((candidate) => (candidate.full ? candidate.identifiers : []))).size)
    return reply.send({ candidates, asOf: asOfAnswer(runtime, asOf) })
  })
}

const checkedBody = (body: unknown): z.infer<typeof WouldBe> => {
  const text = checkText(body)
  if (!text.ok) throw new ProblemError(problem('invalid-body', 'The body holds text that is not accepted.', { errors: text.problems }))
  const parsed = WouldBe.safeParse(text.value)
  if (!parsed.success) throw new ProblemError(problem('invalid-body', `${parsed.error.issues.length} field(s) do not fit.`, { errors: parsed.error.issues.flatMap(toFieldProblems) }))
  return parsed.data
}
