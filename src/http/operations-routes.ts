import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { positionToken } from '../commands/position.ts'
import { EventStoreUnavailable } from '../event-store/port.ts'
import { within } from '../event-store/waiting.ts'
import { listCheckpoints } from '../projections/read-models.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { RETRY_AFTER } from './errors.ts'
import { problemResponses } from './schemas.ts'
import type { Services } from './services.ts'

const Health = z.object({ status: z.enum(['ok', 'starting', 'draining', 'log-unavailable']), reason: z.string().nullable(), version: z.string(), models: z.array(z.object({ model: z.string(), state: z.string(), position: z.string(), detail: z.string().nullable() })) }).meta({ id: 'Health' })

/** A probe wants an answer soon: a log that takes longer is out of reach. */
const PROBE_MS = 2000

/** What a load balancer asks: open to all, and says nothing of customers. */
export const healthRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const tags = ['operations']

  /** What stands in the way of commands, in words. */
  const hindrance = async (): Promise<string | undefined> => {
    const answers = <T>(who: string, asked: Promise<T>) => within(PROBE_MS, () => new EventStoreUnavailable('no answer'), asked).then(() => undefined, () => `${who} does not answer`)
    const writes = services.writes.why()
    const [postgres, log] = await Promise.all([answers('PostgreSQL', writes), answers('the log', services.runtime.store.head())])
    return postgres ?? log ?? writes
  }
  const readiness = async (): Promise<Pick<z.infer<typeof Health>, 'status' | 'reason'>> => {
    if (services.draining()) return { status: 'draining', reason: 'the service was asked to stop' }
    const reason = await hindrance()
    if (reason !== undefined) return { status: 'log-unavailable', reason }
    if (services.readingOn()) return { status: 'starting', reason: 'reads what came before it started' }
    const elsewhere = await services.answeredElsewhere().catch(() => [])
    return elsewhere.length > 0 ? { status: 'starting', reason: `builds ${elsewhere.join(', ')}, which another process answers from an earlier version` } : { status: 'ok', reason: null }
  }

  typed.get('/health/live', { schema: { tags, operationId: 'health-live', security: [], summary: 'Is the process alive? Touches no database', response: { 200: z.object({ status: z.literal('ok') }) } } }, async (_request, reply) => reply.send({ status: 'ok' }))

  typed.get('/health/ready', {
    schema: { tags, operationId: 'health-ready', security: [], summary: 'Can it take requests? 503 only while draining, with a log that is out of reach or takes no events, for some seconds after the start while the read models take up what they lack, or while it builds what another process still answers from an earlier version, and says why; names what lags, has stopped or is paused', response: { 200: Health, 503: Health } },
  }, async (_request, reply) => {
    // Details of a stop name streams: those are for GET /projections, behind a token.
    const models = services.projections().map(({ model, state, position, detail }) => ({ model, state, position: String(position), detail: state === 'stopped' && detail !== null ? detail.replace(/ \(.*$/s, '') : null }))
    const { status, reason } = await readiness()
    return reply.status(status === 'ok' ? 200 : 503).headers(status === 'ok' ? {} : RETRY_AFTER).send({ status, reason, version: services.version, models })
  })
}

/** What operators ask. */
export const operationsRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, db } = services
  const tags = ['operations']

  typed.get('/projections', {
    schema: {
      tags, operationId: 'list-projections', summary: 'Read models: versions, positions, lag, state 投影',
      response: { 200: z.object({ head: z.string(), items: z.array(z.object({ model: z.string(), version: z.number().int(), build: z.string(), position: z.string(), lag: z.number().int().describe('How far behind the end of the log: events in Postgres, bytes of log in EventStoreDB'), ready: z.boolean(), state: z.string(), stopped: z.string().nullable(), time: z.string().nullable() })) }), ...problemResponses(401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), ['admin', 'auditor'])
    const head = await runtime.store.head()
    const states = services.projections()
    const items = (await listCheckpoints(db)).map((row) => ({
      model: row.model, version: row.version, build: row.build, position: positionToken(runtime, row.position), lag: Number(head > row.position ? head - row.position : 0n), ready: row.ready,
      state: states.find((one) => one.model === row.model && one.version === row.version)?.state ?? 'not in this process', stopped: row.stopped, time: row.time,
    }))
    return reply.send({ head: positionToken(runtime, head), items })
  })

  app.get('/metrics', {
    schema: { tags, operationId: 'metrics', summary: 'Metrics for Prometheus', response: { 200: { description: 'Prometheus text format', content: { 'text/plain': { schema: z.string() } } }, ...problemResponses(401, 403, 503) } },
  }, async (request, reply) => {
    requireRole(claimsOf(request), ['admin', 'auditor', 'system'])
    return reply.header('content-type', services.metrics.contentType).send(await services.metrics.metrics())
  })
}
