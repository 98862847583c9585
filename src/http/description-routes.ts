import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { problem, problems } from '../commands/problem.ts'
import { eventSchemas } from '../domain/events.ts'
import { schemaVersionOf } from '../domain/upcasters.ts'
import { sendProblem } from './errors.ts'
import { problemResponses } from './schemas.ts'

const tags = ['description']

/** What the service says of itself: open to all. */
export const descriptionRoutes = async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()

  typed.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => reply.send(app.swagger()))

  typed.get('/schemas/events', {
    schema: { tags, operationId: 'event-schemas', security: [], summary: 'JSON Schemas of all events', response: { 200: z.object({ events: z.array(z.object({ kind: z.string(), type: z.string(), schemaVersion: z.number().int(), schema: z.looseObject({}) })) }) } },
  }, async (_request, reply) => reply.send({
    events: Object.entries(eventSchemas).flatMap(([kind, schemas]) => Object.entries(schemas).map(([type, schema]) => ({ kind, type, schemaVersion: schemaVersionOf(type), schema: { ...z.toJSONSchema(schema, { io: 'input' }) } }))),
  }))

  typed.get('/docs/problems/:name', {
    schema: { tags, operationId: 'explain-problem', security: [], summary: 'What a problem means and what to do', params: z.object({ name: z.string().max(64) }), response: { 200: z.object({ type: z.string(), status: z.number().int(), title: z.string(), retryable: z.boolean().describe('The same request may succeed later'), final: z.boolean().describe('It is the answer to its idempotency key from then on'), advice: z.string() }), ...problemResponses(400, 404) } },
  }, async (request, reply) => {
    const found = problems.get(request.params.name)
    if (!found) return sendProblem(reply, problem('not-found', 'There is no such problem.'))
    return reply.send({ type: `/docs/problems/${request.params.name}`, final: false, ...found })
  })
}
