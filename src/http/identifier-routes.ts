import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { identifierHistory } from '../commands/identifier-history.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import type { LookupLimit } from './lookup-limit.ts'
import { After, identityOf, WholeIdentifier } from './parameters.ts'
import { problemResponses } from './schemas.ts'
import type { Services } from './services.ts'

const HoldingBody = z.object({
  customerId: z.string(), from: z.string(), actor: z.string(), to: z.string().nullable().describe('null: still'), releasedBy: z.string().nullable(),
}).meta({ id: 'IdentifierHolding' })

/** A number that goes from one customer to another keeps its history. */
export const identifierRoutes = ({ runtime }: Services, lookupLimit: LookupLimit) => async (app: FastifyInstance): Promise<void> => {
  app.withTypeProvider<ZodTypeProvider>().get('/identifiers/history', {
    schema: {
      tags: ['audit'], operationId: 'get-identifier-history', summary: 'Who has held an identifier, from when to when 唯一标识的历史', querystring: z.strictObject({ identifier: WholeIdentifier, ...After }),
      description: 'From the log itself: as late as the last command, whatever after says. For managers at a limited rate.',
      response: { 200: z.object({ items: z.array(HoldingBody) }), ...problemResponses(400, 401, 403, 429, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, ['manager', 'system', 'auditor'])
    const identity = identityOf(runtime, request.query.identifier)
    await lookupLimit.take(claims, runtime.organisation.current(), 1)
    return reply.send({ items: await identifierHistory(runtime, identity) })
  })
}
