import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problem } from '../commands/problem.ts'
import { holderAsOne } from '../commands/group.ts'
import { reservations, type Holder } from '../commands/reservation.ts'
import { wouldBeOf, type WouldBe as WouldBeCustomer } from '../commands/near-matches.ts'
import { toFieldProblems } from '../commands/register.ts'
import { checkText } from '../commands/text.ts'
import { checkFields } from '../domain/category/template.ts'
import { Identifier, normaliseIdentifier } from '../domain/customer/identifier.ts'
import { MOST_CANDIDATES, shownNearMatch, type NearMatch } from '../domain/customer/near-matches.ts'
import { CreateCustomer } from '../domain/customer/profile.ts'
import { templateOf, type Organisation } from '../domain/organisation/organisation.ts'
import type { FieldProblem } from '../domain/rejection.ts'
import { customerLookup } from '../projections/customer-lookup/project.ts'
import { customerSummaries, type CustomerSummary } from '../projections/customer-lookup/queries.ts'
import { duplicates } from '../projections/duplicates/project.ts'
import { claimsOf, requireRole, viewerOf } from './authenticate.ts'
import { ProblemError } from './errors.ts'
import type { LookupLimit } from './lookup-limit.ts'
import { After, afterOf, asOfAnswer } from './parameters.ts'
import { AsOfBody, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'
import type { Claims } from './token.ts'
import { compileValidator } from './validator.ts'

/** A would-be customer, as complete as it is by then: nothing is required. */
const WouldBe = CreateCustomer.partial().extend({ identifiers: z.array(Identifier).max(20).default([]) })

const CandidateBody = z.object({
  customerId: z.string(),
  match: z.enum(['identifier', 'near']).describe('identifier: the same identifier, normalised. near: much like it'),
  identifiers: z.array(z.number().int()).describe('Which of those sent, counted from 0'),
  score: z.number().nullable().describe('How much speaks for it, in bits; null for an identifier, which is certain'),
  probability: z.number().nullable(),
  reasons: z.array(z.object({ comparison: z.string(), level: z.string(), en: z.string(), zh: z.string() })).describe('Why, what weighs most first; never a value'),
  ownerId: z.string().nullable().describe('null: in the public pool'),
  departmentId: z.string().nullable().describe('The department responsible: whom to ask where there is no owner'),
  since: z.string().nullable(),
  name: z.string().nullable().describe('Masked where the caller may not see the customer'),
  full: z.boolean(),
}).meta({ id: 'Candidate' })

export const duplicatesRoutes = (services: Services, lookupLimit: LookupLimit) => async (app: FastifyInstance): Promise<void> => {
  const { runtime, readModels } = services
  app.withTypeProvider<ZodTypeProvider>().post('/duplicates/check', {
    schema: {
      tags: ['duplicates'], operationId: 'check-duplicates', summary: 'Is this customer already here? 查重', body: WouldBe, querystring: z.strictObject(After),
      description: 'By identifier, and by likeness as create-customer looks for it: for that a category is needed, which says what the fields mean.',
      response: { 200: z.object({ candidates: z.array(CandidateBody), compared: z.boolean().describe('Whether likeness was looked for: not without a category'), weightsVersion: z.number().int(), asOf: AsOfBody }), ...problemResponses(400, 401, 403, 413, 415, 422, 429, 503) },
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
    const described = wouldBeOf(wouldBe, runtime)
    const faults = faultsOf(wouldBe, organisation, described)
    if (faults.length > 0) throw new ProblemError(problem('invalid-body', 'What is asked cannot be looked for as it stands.', { errors: faults }))
    const after = afterOf(runtime, request.query.after)
    const giveBack = await lookupLimit.take(claims, organisation, identities.length + (described ? 1 : 0))

    // Who holds an identifier the log says, as it will when one is entered: a read model may be a moment behind.
    const held = await holdersOf(services, identities)
    const { asOf } = await readModels.query(duplicates, { after }, () => Promise.resolve(undefined))
    const near = described ? await findNear(services, described) : []
    const found = [
      ...[...Map.groupBy(held, ({ holder }) => holder.customerId)].map(([customerId, holding]) => ({
        customerId, match: 'identifier' as const, identifiers: holding.map(({ index }) => index), score: null, probability: null, reasons: [], holder: holding[0]?.holder,
      })),
      ...near.map((one) => ({ ...shownNearMatch(one), match: 'near' as const, identifiers: [], holder: undefined })),
    ]
    const seen = await seenBy(services, claims, found.map(({ customerId }) => customerId), asOf.position)
    const candidates = found.map(({ holder, ...one }) => {
      const customer = seen.get(one.customerId)
      // Of a holder the log has told whose it is; a read model may have read no further than the first event of its entry.
      const whom = holder ?? (customer && { ownerId: customer.ownerId, departmentId: customer.departmentId, since: customer.ownerSince })
      return { ...one, customerId: customer?.customerId ?? one.customerId, ownerId: whom?.ownerId ?? null, departmentId: whom?.departmentId ?? null, since: whom?.since ?? null, name: customer?.name ?? null, full: customer?.full ?? false }
    })
    const ownIdentifiers = new Set(candidates.flatMap((candidate) => (candidate.full ? candidate.identifiers : []))).size
    // Trying name after name would unmask one like trying numbers: only a look that shows nothing but what one sees is free.
    const ownNear = near.length > 0 && candidates.every((candidate) => candidate.match === 'identifier' || candidate.full) ? 1 : 0
    await giveBack(ownIdentifiers + ownNear)
    return reply.send({ candidates, compared: described !== undefined, weightsVersion: organisation.policies.matching.version, asOf: asOfAnswer(runtime, asOf) })
  })
}

/** Who holds these identifiers by the log, and of those sent which. */
const holdersOf = async ({ runtime }: Services, identities: readonly string[]): Promise<{ index: number; holder: Holder }[]> => {
  const { findHolder } = reservations(runtime)
  const found = await Promise.all(identities.map(async (identity, index) => {
    const holder = await findHolder(identity)
    return holder ? [{ index, holder: await holderAsOne(runtime, holder) }] : []
  }))
  return found.flat()
}

/** What would make an empty answer say less than it seems to: that nobody is here who is the one meant. */
const faultsOf = (wouldBe: z.infer<typeof WouldBe>, organisation: Organisation, described: Pick<WouldBeCustomer, 'profile' | 'identities'> | undefined): FieldProblem[] => {
  const { category, name, fields = {}, identifiers } = wouldBe
  if (category === undefined) {
    if (identifiers.length > 0) return []
    return [name === undefined && Object.keys(fields).length === 0 ? { path: 'identifiers', message: 'or a category with a name or fields is needed: there is nothing to look for' } : { path: 'category', message: 'is required to compare names and fields: it says what they mean' }]
  }
  const template = templateOf(organisation, category)?.template
  if (!template) return [{ path: 'category', message: 'no category has this id' }]
  const { problems } = checkFields(template.fields, fields, () => false)
  if (problems.length > 0 || identifiers.length > 0) return problems
  return described?.profile.name || (described?.profile.fields.length ?? 0) > 0 ? [] : [{ path: 'name', message: 'or a field or identifier is needed: there is nothing to look for' }]
}

/** By the same function as an entry. */
const findNear = async ({ runtime }: Services, described: Pick<WouldBeCustomer, 'profile' | 'identities'>): Promise<readonly NearMatch[]> => {
  const found = await runtime.nearMatches?.ofWouldBe(described, { weights: runtime.organisation.current().policies.matching, most: MOST_CANDIDATES })
  if (found === 'unavailable') throw new ProblemError(problem('model-building', 'Who is like this customer cannot be looked up yet.', { extensions: { model: duplicates.model } }))
  return found?.candidates ?? []
}

/** Who stands for these customers, as the caller sees it, by the id asked for. */
const seenBy = async ({ runtime, readModels }: Services, claims: Claims, customerIds: readonly string[], after: bigint): Promise<Map<string, CustomerSummary>> => {
  if (customerIds.length === 0) return new Map()
  const organisation = runtime.organisation.current()
  const { result } = await readModels.query(customerLookup, { after }, (db, schema) => customerSummaries(db, schema, customerIds, viewerOf(claims, runtime), organisation.policies.visibility.value.nameCharacters))
  return result
}

const checkedBody = (body: unknown): z.infer<typeof WouldBe> => {
  const text = checkText(body)
  if (!text.ok) throw new ProblemError(problem('invalid-body', 'The body holds text that is not accepted.', { errors: text.problems }))
  const parsed = WouldBe.safeParse(text.value)
  if (!parsed.success) throw new ProblemError(problem('invalid-body', `${parsed.error.issues.length} field(s) do not fit.`, { errors: parsed.error.issues.flatMap(toFieldProblems) }))
  return parsed.data
}
