import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { sql } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { positionToken } from '../commands/position.ts'
import { problem } from '../commands/problem.ts'
import { streamName } from '../domain/customer/events.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { sendProblem } from './errors.ts'
import { After, afterOf, CustomerParams, nextLink } from './parameters.ts'
import { problemResponses } from './schemas.ts'
import type { Services } from './services.ts'

const EventBody = z.object({
  id: z.string(), stream: z.string(), revision: z.number().int(), position: z.string(), type: z.string(),
  data: z.looseObject({}).describe('Personal values opened: { personal, value }, or { erased: true }'),
  metadata: z.looseObject({}),
}).meta({ id: 'Event' })
const AttemptBody = z.object({
  attemptId: z.string(), at: z.string(), actor: z.string(), onBehalfOf: z.string().nullable(), role: z.string(), command: z.string(), commandId: z.string(), problem: z.string(), stream: z.string().nullable(), ranInto: z.looseObject({}),
}).meta({ id: 'RefusedAttempt' })
const ReadBody = z.object({ readId: z.string(), at: z.string(), actor: z.string(), role: z.string(), route: z.string(), parameters: z.looseObject({}) }).meta({ id: 'RecordedRead' })

const limit = z.coerce.number().int().min(1).max(500).default(50)
const TimePage = z.strictObject({ limit, cursor: z.uuid().optional(), ...After })

/** What may stand as it is in the record of reads: ids, times, positions, words. Search terms, and whatever else was sent, are personal. */
const isPlain = (name: string, value: string): boolean => name !== 'q' && name !== 'identifier' && /^[\w.:+-]{0,100}$/.test(value)

/** Records a read by an auditor or analyst, before it is answered. (Their commands are refused, and on record as that.) */
export const recordRead = async ({ db, runtime }: Services, request: FastifyRequest): Promise<void> => {
  const { sub, role } = claimsOf(request)
  if ((role !== 'auditor' && role !== 'analyst') || (request.method === 'POST' && request.routeOptions.url?.startsWith('/commands'))) return
  const given = { ...Object(request.params), ...Object(request.query) }
  const parameters = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, isPlain(name, String(value)) ? String(value) : `hash:${runtime.keyedHash.term(String(value))}`]))
  await sql`insert into kehu.read_audit (read_id, at, actor, role, route, parameters)
    values (${uuidv7()}, ${runtime.now().toISOString()}, ${sub}, ${role}, ${`${request.method} ${request.routeOptions.url ?? ''}`}, ${JSON.stringify(parameters)})`.execute(db)
}

export const auditRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, db } = services
  const tags = ['audit']

  typed.get('/customers/:customerId/events', {
    schema: {
      tags, operationId: 'get-events', summary: 'The events of one customer, as recorded 事件', params: CustomerParams,
      querystring: z.strictObject({ limit, cursor: z.coerce.number().int().min(0).max(2_147_483_647).default(0), ...After }),
      response: { 200: z.object({ customerId: z.string(), items: z.array(EventBody) }), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), ['auditor'])
    const { customerId } = request.params
    const { cursor, after } = request.query
    // Read from the log itself: whatever a command answered is there.
    afterOf(runtime, after)
    const events = []
    for await (const event of runtime.store.readStream(streamName(customerId), { fromRevision: cursor })) {
      events.push(event)
      if (events.length > request.query.limit) break
    }
    if (events.length === 0 && cursor === 0) return sendProblem(reply, problem('not-found', 'No customer has this id.'))
    const page = events.slice(0, request.query.limit)
    const next = events[request.query.limit]
    if (next) reply.header('link', nextLink(request.url, String(next.revision)))
    const items = (await runtime.codec.decode(page)).map((event) => ({ id: event.id, stream: event.stream, revision: event.revision, position: positionToken(runtime, event.position), type: event.type, data: event.data, metadata: event.metadata }))
    return reply.send({ customerId, items })
  })

  typed.get('/audit/attempts', {
    schema: { tags, operationId: 'list-attempts', summary: 'Refused attempts 被拒绝的操作', description: 'Newest first. Identifiers stand as keyed hashes.', querystring: TimePage, response: { 200: z.object({ items: z.array(AttemptBody) }), ...problemResponses(400, 401, 403, 503) } },
  }, async (request, reply) => {
    requireRole(claimsOf(request), ['auditor'])
    const { cursor, after } = request.query
    afterOf(runtime, after)
    const { rows } = await sql<{ attempt_id: string; at: Date; actor: string; on_behalf_of: string | null; role: string; command: string; command_id: string; problem: string; stream: string | null; ran_into: Record<string, unknown> }>`
      select attempt_id, at, actor, on_behalf_of, role, command, command_id, problem, stream, ran_into from kehu.refused_attempt
      where ${cursor ?? null}::uuid is null or attempt_id < ${cursor ?? null}::uuid order by attempt_id desc limit ${request.query.limit}`.execute(db)
    const last = rows.at(-1)
    if (last && rows.length === request.query.limit) reply.header('link', nextLink(request.url, last.attempt_id))
    return reply.send({ items: rows.map((row) => ({ attemptId: row.attempt_id, at: row.at.toISOString(), actor: row.actor, onBehalfOf: row.on_behalf_of, role: row.role, command: row.command, commandId: row.command_id, problem: row.problem, stream: row.stream, ranInto: row.ran_into })) })
  })

  typed.get('/audit/reads', {
    schema: { tags, operationId: 'list-reads', summary: 'Reads by auditors and analysts 查阅记录', description: 'Newest first. Search terms stand as keyed hashes.', querystring: TimePage, response: { 200: z.object({ items: z.array(ReadBody) }), ...problemResponses(400, 401, 403, 503) } },
  }, async (request, reply) => {
    requireRole(claimsOf(request), ['auditor'])
    const { cursor, after } = request.query
    afterOf(runtime, after)
    const { rows } = await sql<{ read_id: string; at: Date; actor: string; role: string; route: string; parameters: Record<string, unknown> }>`
      select read_id, at, actor, role, route, parameters from kehu.read_audit
      where ${cursor ?? null}::uuid is null or read_id < ${cursor ?? null}::uuid order by read_id desc limit ${request.query.limit}`.execute(db)
    const last = rows.at(-1)
    if (last && rows.length === request.query.limit) reply.header('link', nextLink(request.url, last.read_id))
    return reply.send({ items: rows.map((row) => ({ readId: row.read_id, at: row.at.toISOString(), actor: row.actor, role: row.role, route: row.route, parameters: row.parameters })) })
  })
}
