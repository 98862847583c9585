import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { sql } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { positionToken } from '../commands/position.ts'
import { problem } from '../commands/problem.ts'
import { streamName } from '../domain/customer/events.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { sendProblem } from './errors.ts'
import { exportFormat, sendExport, type ExportFormat } from './export.ts'
import { After, afterOf, CustomerParams, instantOf, nextLink, PointInTime } from './parameters.ts'
import { exported, problemResponses } from './schemas.ts'
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
const TimePage = z.strictObject({
  actor: z.string().max(100).optional().describe('Who it was'), from: PointInTime.optional().describe('Not before this'), to: PointInTime.optional().describe('Not after this'),
  limit, cursor: z.uuid().optional(), ...After,
})
const exports = 'Accept: text/csv or application/x-ndjson exports all pages.'

/** What may stand as it is in the record of reads: ids, times, positions, words. Search terms, and whatever else was sent, are personal. */
const isPlain = (name: string, value: string): boolean => name === 'export' || (name !== 'q' && name !== 'identifier' && /^[\w.:+-]{0,100}$/.test(value))

/** Records a read by an auditor or analyst, before it is answered. (Their commands are refused, and on record as that.) */
export const recordRead = async ({ db, runtime }: Services, request: FastifyRequest): Promise<void> => {
  const { sub, role } = claimsOf(request)
  if ((role !== 'auditor' && role !== 'analyst') || (request.method === 'POST' && request.routeOptions.url?.startsWith('/commands'))) return
  const format = exportFormat(request)
  const given = { ...Object(request.params), ...Object(request.query), ...(format && { export: format }) }
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
    schema: {
      tags, operationId: 'list-attempts', summary: 'Refused attempts 被拒绝的操作', description: `Newest first. Identifiers stand as keyed hashes. ${exports}`,
      querystring: TimePage.extend({ command: z.string().max(64).optional(), problem: z.string().max(64).optional().describe('The name of the problem it was refused with') }),
      response: { 200: exported(z.object({ items: z.array(AttemptBody) })), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), ['auditor'])
    const { actor, command, problem: refused, ...times } = request.query
    const period = periodOf(runtime, times)
    return sendNewestFirst(request, reply, times, Object.keys(AttemptBody.shape), async (before, size) => {
      const { rows } = await sql<AttemptRow>`
        select attempt_id, at, actor, on_behalf_of, role, command, command_id, problem, stream, ran_into from kehu.refused_attempt
        where (${before ?? null}::uuid is null or attempt_id < ${before ?? null}::uuid) and ${within(period)} and ${matching({ actor, command, problem: refused })}
        order by attempt_id desc limit ${size}`.execute(db)
      return rows.map((row) => ({ id: row.attempt_id, item: { attemptId: row.attempt_id, at: row.at.toISOString(), actor: row.actor, onBehalfOf: row.on_behalf_of, role: row.role, command: row.command, commandId: row.command_id, problem: row.problem, stream: row.stream, ranInto: row.ran_into } }))
    })
  })

  typed.get('/audit/reads', {
    schema: {
      tags, operationId: 'list-reads', summary: 'Reads by auditors and analysts 查阅记录', description: `Newest first, exports among them. Search terms stand as keyed hashes. ${exports}`,
      querystring: TimePage.extend({ route: z.string().max(200).optional().describe('e.g. GET /customers/:customerId') }),
      response: { 200: exported(z.object({ items: z.array(ReadBody) })), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), ['auditor'])
    const { actor, route, ...times } = request.query
    const period = periodOf(runtime, times)
    return sendNewestFirst(request, reply, times, Object.keys(ReadBody.shape), async (before, size) => {
      const { rows } = await sql<{ read_id: string; at: Date; actor: string; role: string; route: string; parameters: Record<string, unknown> }>`
        select read_id, at, actor, role, route, parameters from kehu.read_audit
        where (${before ?? null}::uuid is null or read_id < ${before ?? null}::uuid) and ${within(period)} and ${matching({ actor, route })}
        order by read_id desc limit ${size}`.execute(db)
      return rows.map((row) => ({ id: row.read_id, item: { readId: row.read_id, at: row.at.toISOString(), actor: row.actor, role: row.role, route: row.route, parameters: row.parameters } }))
    })
  })
}

type AttemptRow = { attempt_id: string; at: Date; actor: string; on_behalf_of: string | null; role: string; command: string; command_id: string; problem: string; stream: string | null; ran_into: Record<string, unknown> }
type Period = { from: string | null; to: string | null }

const periodOf = (runtime: Services['runtime'], { from, to, after }: { from?: string | undefined; to?: string | undefined; after?: string | undefined }): Period => {
  // Written before the command was answered: whatever position is meant, it is there.
  afterOf(runtime, after)
  return { from: from === undefined ? null : instantOf(runtime, from, 'from'), to: to === undefined ? null : instantOf(runtime, to, 'to') }
}
const within = ({ from, to }: Period) => sql`(${from}::timestamptz is null or at >= ${from}::timestamptz) and (${to}::timestamptz is null or at <= ${to}::timestamptz)`
/** The columns asked about, each by its value. */
const matching = (asked: Record<string, string | undefined>) =>
  sql.join(Object.entries(asked).map(([column, value]) => (value === undefined ? sql`true` : sql`${sql.id(column)} = ${value}`)), sql` and `)

/** A page by id, newest first; as an export all of them. */
const sendNewestFirst = async (
  request: FastifyRequest, reply: FastifyReply, { cursor, limit }: { cursor?: string | undefined; limit: number }, columns: readonly string[],
  read: (before: string | undefined, size: number) => Promise<{ id: string; item: Record<string, unknown> }[]>,
): Promise<FastifyReply> => {
  const format = exportFormat(request)
  if (format) return sendExport(reply, format, allOf(read, format), columns)
  const rows = await read(cursor, limit)
  const last = rows.at(-1)
  if (last && rows.length === limit) reply.header('link', nextLink(request.url, last.id))
  return reply.send({ items: rows.map(({ item }) => item) })
}

async function* allOf(read: (before: string | undefined, size: number) => Promise<{ id: string; item: Record<string, unknown> }[]>, format: ExportFormat): AsyncIterable<Record<string, unknown>> {
  const cell = (value: unknown) => (format === 'text/csv' && typeof value === 'object' && value !== null ? JSON.stringify(value) : value)
  for (let before: string | undefined; ;) {
    const rows = await read(before, 500)
    for (const { item } of rows) yield Object.fromEntries(Object.entries(item).map(([name, value]) => [name, cell(value)]))
    before = rows.at(-1)?.id
    if (rows.length < 500 || before === undefined) return
  }
}
