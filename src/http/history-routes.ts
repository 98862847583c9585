import '@fastify/accepts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { groupAt } from '../commands/group.ts'
import { positionToken } from '../commands/position.ts'
import { streamName as complaintStream } from '../domain/complaint/complaint.ts'
import { streamName as customerStream } from '../domain/customer/events.ts'
import { everyone } from '../domain/customer/group.ts'
import { domainEvent, type DomainEvent } from '../domain/events.ts'
import { streamName as engagementStream } from '../domain/engagement/engagement.ts'
import { streamName as purchasesStream } from '../domain/purchases/purchases.ts'
import { streamName as reportStream } from '../domain/record-report/record-report.ts'
import type { RecordedEvent } from '../event-store/port.ts'
import { complaints } from '../projections/complaints/project.ts'
import { complaintsOf } from '../projections/complaints/queries.ts'
import { recordReports } from '../projections/record-reports/project.ts'
import { reportsOf } from '../projections/record-reports/queries.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { exportFormat, sendExport } from './export.ts'
import { inWords, languages, type Language } from './history-words.ts'
import { After, afterOf, CustomerParams, nextLink, Page } from './parameters.ts'
import { exported, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'
import { requireFull } from './visibility.ts'

const Erased = z.object({ erased: z.literal(true) })
const EntryBody = z.object({
  id: z.string().describe('The event: what a correction names'),
  position: z.string(), stream: z.string(), revision: z.number().int(), type: z.string(),
  what: z.string().describe('In words, in the language asked for'),
  actor: z.string(), onBehalfOf: z.string().nullable(), recordedAt: z.string(), effectiveAt: z.string(),
  why: z.union([z.string(), Erased]).nullable().describe('The reason in the words of who decided; erased: the customer was'),
  policies: z.array(z.object({ name: z.string(), version: z.number().int() })).describe('The versions it was decided under'),
  evidence: z.unknown().describe('What the decision rests on, where it names any; null where not'),
  correctedBy: z.string().nullable().describe('The id of the event that stands in its place; null: it was not corrected'),
}).meta({ id: 'HistoryEntry' })
type Entry = z.infer<typeof EntryBody>

/** Where events keep the reason, and the evidence, as values under the key of the customer. */
const Reasons = z.looseObject({ reason: z.unknown(), note: z.unknown(), evidence: z.unknown() }).partial()
const Text = z.union([z.object({ value: z.string() }).transform(({ value }) => value), Erased])
const Value = z.union([z.object({ value: z.json() }).transform(({ value }) => value), Erased])

/** Everything that happened with a customer, told in words and in log order. */
export const historyRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services

  /** The events of the customer and of what lies beside it. Streams of one customer are short. */
  const eventsOf = async (customerId: string, waitFor: bigint | undefined): Promise<RecordedEvent[]> => {
    // What was bought, said and complained of stays with the record it was entered for, and is the survivor's to show.
    const ids = everyone(await groupAt(runtime, customerId)).map((one) => one.customerId)
    const { result: lodged } = await readModels.query(complaints, { after: waitFor }, (db, schema) => complaintsOf(db, schema, ids))
    const { result: reportIds } = await readModels.query(recordReports, { after: waitFor }, (db, schema) => reportsOf(db, schema, customerId))
    const streams = [customerStream(customerId), ...ids.map(purchasesStream), ...ids.map(engagementStream), ...lodged.map(({ complaintId }) => complaintStream(complaintId)), ...reportIds.map(reportStream)]
    const events = (await Promise.all(streams.map((stream) => Array.fromAsync(runtime.store.readStream(stream))))).flat()
    return events.sort((one, other) => (one.position < other.position ? -1 : 1))
  }

  typed.get('/customers/:customerId/history', {
    schema: {
      tags: ['audit'], operationId: 'get-history', summary: 'What happened with this customer, in words 客户历程', params: CustomerParams,
      description: 'Every event of the customer, its complaints, reports, purchases and contacts (also of all that was merged into it), in log order: what, who, when, why, under which policy, on what evidence. Accept: text/csv or application/x-ndjson exports all of it.',
      querystring: z.strictObject({ language: z.enum(languages).optional().describe('Else as Accept-Language says; en unless told'), ...After, ...Page }),
      response: { 200: exported(z.object({ customerId: z.string(), items: z.array(EntryBody) })), ...problemResponses(400, 401, 403, 404, 503) },
    },
  }, async (request, reply) => {
    const claims = claimsOf(request)
    requireRole(claims, ['clerk', 'manager', 'system', 'auditor'])
    const { customerId } = request.params
    const { after, cursor, limit } = request.query
    const language = languageOf(request, request.query.language)
    const waitFor = afterOf(runtime, after)
    await requireFull(services, claims, customerId, waitFor)
    const all = await eventsOf(customerId, waitFor)
    const corrections = correctionsAmong(all)
    const events = all.filter(({ position }) => position > BigInt(cursor ?? 0))
    const told = async (some: readonly RecordedEvent[]): Promise<Entry[]> =>
      (await runtime.codec.decode(some)).flatMap((stored) => entryOf(stored, domainEvent(stored), language, positionToken(runtime, stored.position), corrections.get(stored.id) ?? null))
    reply.header('content-language', language).header('vary', 'accept-language')
    const format = exportFormat(request)
    if (format) return sendExport(reply, format, inTurn(await told(events), format === 'text/csv'), csvColumns)
    const page = events.slice(0, limit)
    const last = page.at(-1)
    if (events.length > limit && last) reply.header('link', nextLink(request.url, String(last.position)))
    return reply.send({ customerId, items: await told(page) })
  })
}

const csvColumns = ['recordedAt', 'effectiveAt', 'what', 'actor', 'onBehalfOf', 'why', 'policies', 'evidence', 'type', 'stream', 'revision', 'position', 'id', 'correctedBy']

const languageOf = (request: FastifyRequest, asked: Language | undefined): Language => {
  const accepted = request.accepts().language([...languages])
  return asked ?? languages.find((language) => language === accepted) ?? 'en'
}

const entryOf = (stored: RecordedEvent, known: DomainEvent | undefined, language: Language, position: string, correctedBy: string | null): Entry[] => {
  if (!known || (known.kind !== 'customer' && known.kind !== 'complaint' && known.kind !== 'purchases' && known.kind !== 'engagement' && known.kind !== 'recordReport')) return []
  const { event } = known
  const { reason, note, evidence } = Reasons.parse(event.data)
  return [{
    id: stored.id, position, stream: stored.stream, revision: event.revision, type: event.type, what: inWords(event, language), actor: event.actor, onBehalfOf: event.onBehalfOf, recordedAt: event.recordedAt, effectiveAt: event.effectiveAt,
    why: Text.safeParse(reason ?? note).data ?? null, policies: event.policies.map(({ name, version }) => ({ name, version })), evidence: Value.safeParse(evidence).data ?? null, correctedBy,
  }]
}

const Corrects = z.object({ corrects: z.string() })

/** Which event corrects which, by their ids. */
const correctionsAmong = (events: readonly RecordedEvent[]): Map<string, string> =>
  new Map(events.flatMap(({ id, data }) => {
    const { data: correction } = Corrects.safeParse(data)
    return correction ? [[correction.corrects, id] as const] : []
  }))

/** In a cell what is no text is JSON. */
async function* inTurn(entries: readonly Entry[], inCells: boolean): AsyncIterable<Record<string, unknown>> {
  const cell = (value: unknown) => (typeof value === 'object' && value !== null ? JSON.stringify(value) : value)
  for (const entry of entries) yield inCells ? Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, cell(value)])) : entry
}
