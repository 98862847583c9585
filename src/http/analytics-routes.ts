import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { lifecycle } from '../projections/lifecycle/project.ts'
import { funnel, lostStages, standing, tierStanding, timeInStage, transitionMatrix } from '../projections/lifecycle/queries.ts'
import { analysisOf, AnalysisQuery, AsOfParameter, figures, inOrderOf, PeriodAnswer, PeriodParameters, PopulationParameters, sendRows } from './analytics-parameters.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { exportFormat } from './export.ts'
import { After, afterOf, asOfAnswer } from './parameters.ts'
import { AsOfBody, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'

const roles = ['analyst', 'auditor', 'system'] as const
const count = z.number().int()
const days = z.number().nullable().describe('Days; null: the curve does not come so low, too many are still there')

const FunnelStage = z.object({
  stage: z.string(),
  entered: count.describe('Entries into the stage during the period; a customer counts once for each'),
  customers: count.describe('Different customers among them'),
  movedOn: count.describe('Of the entries: left by the end of the period by progress, or won back'),
  lost: count.describe('Of the entries: left by a setback into a stage that is only left by being won back'),
  backward: count.describe('Of the entries: left by another setback, or by a correction'),
  stillThere: count.describe('Of the entries: still there at the end of the period'),
  conversion: z.number().nullable().describe('movedOn / entered; null: nobody entered'),
  standing: count.describe('All who are at the stage at the end of the period, whenever they entered'),
  next: z.array(z.object({ to: z.string(), move: z.string(), entries: count })).describe('Where those who left went'),
})
const StageTime = z.object({ stage: z.string(), n: count.describe('Stays that began in the period'), events: count.describe('Ended by its end'), censored: count.describe('Still lasting at its end'), medianDays: days, p75Days: days, p90Days: days })
const Matrix = z.array(z.object({ from: z.string().nullable().describe('null: the customer was entered'), to: z.string(), move: z.string(), backward: z.boolean().describe('A setback, a correction, a downgrade'), customers: count, transitions: count }))
const Tier = z.object({ tier: z.string(), customers: count.describe('At the end'), entered: count, upInto: count, downInto: count, upFrom: count, downFrom: count })
const Standing = z.object({ category: z.string(), stage: z.string(), tier: z.string(), customers: count })

/** Figures without personal data. */
export const analyticsRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const tags = ['analytics']
  const policies = () => runtime.organisation.current().policies
  const stageNames = () => policies().stages.value.stages.map((stage) => stage.name)
  const tierNames = () => policies().tiers.value.tiers.map((tier) => tier.name)

  typed.get('/analytics/lifecycle/funnel', {
    schema: {
      tags, operationId: 'lifecycle-funnel', summary: 'What became of those who entered each stage 漏斗', description: 'Of each entry into a stage during the period: moved on, lost, went backward, or still there at its end.', querystring: AnalysisQuery,
      response: { 200: figures(z.object({ period: PeriodAnswer, items: z.array(FunnelStage), asOf: AsOfBody })), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), roles)
    const { period, population } = await analysisOf(runtime, request.query)
    const { result, asOf } = await readModels.query(lifecycle, { after: afterOf(runtime, request.query.after) }, (db, schema) => funnel(db, schema, period, population, lostStages(policies().stages.value)))
    const items = inOrderOf(stageNames(), result, (item) => item.stage, (stage) => ({ stage, entered: 0, customers: 0, movedOn: 0, lost: 0, backward: 0, stillThere: 0, conversion: null, standing: 0, next: [] }))
    const format = exportFormat(request)
    if (!format) return reply.send({ period, items, asOf: asOfAnswer(runtime, asOf) })
    if (format !== 'text/csv') return sendRows(reply, format, items, [])
    const targets = items.map((item) => item.stage)
    const rows = items.map(({ next, ...figuresOfStage }) => ({ ...figuresOfStage, ...Object.fromEntries(targets.map((to) => [`to:${to}`, next.reduce((sum, exit) => sum + (exit.to === to ? exit.entries : 0), 0)])) }))
    return sendRows(reply, format, rows, ['stage', 'entered', 'customers', 'movedOn', 'lost', 'backward', 'stillThere', 'conversion', 'standing', ...targets.map((to) => `to:${to}`)])
  })

  typed.get('/analytics/lifecycle/time-in-stage', {
    schema: {
      tags, operationId: 'lifecycle-time-in-stage', summary: 'How long customers stay at each stage 阶段停留时间', description: 'Kaplan–Meier over the stays that began in the period; a stay that lasts at its end is censored there.', querystring: AnalysisQuery,
      response: { 200: figures(z.object({ period: PeriodAnswer, items: z.array(StageTime), asOf: AsOfBody })), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), roles)
    const { period: asked, population } = await analysisOf(runtime, request.query)
    // What lasts has lasted until now: here the period needs an end, which the present moment is still before.
    const period = { from: asked.from, to: asked.to ?? new Date(runtime.now().getTime() + 1).toISOString() }
    const { result, asOf } = await readModels.query(lifecycle, { after: afterOf(runtime, request.query.after) }, (db, schema) => timeInStage(db, schema, period, population))
    const items = inOrderOf(stageNames(), result, (item) => item.stage, (stage) => ({ stage, n: 0, events: 0, censored: 0, medianDays: null, p75Days: null, p90Days: null }))
    const format = exportFormat(request)
    return format ? sendRows(reply, format, items, Object.keys(StageTime.shape)) : reply.send({ period, items, asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/analytics/lifecycle/transitions', {
    schema: {
      tags, operationId: 'lifecycle-transitions', summary: 'How often customers moved between stages and tiers 阶段与等级变迁', querystring: AnalysisQuery,
      response: { 200: figures(z.object({ period: PeriodAnswer, stages: Matrix, tiers: Matrix, asOf: AsOfBody })), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), roles)
    const { period, population } = await analysisOf(runtime, request.query)
    const { result, asOf } = await readModels.query(lifecycle, { after: afterOf(runtime, request.query.after) }, async (db, schema) => ({
      stages: await transitionMatrix(db, schema, 'stage', period, population),
      tiers: await transitionMatrix(db, schema, 'tier', period, population),
    }))
    const format = exportFormat(request)
    if (!format) return reply.send({ period, ...result, asOf: asOfAnswer(runtime, asOf) })
    const rows = [...result.stages.map((cell) => ({ axis: 'stage', ...cell })), ...result.tiers.map((cell) => ({ axis: 'tier', ...cell }))]
    return sendRows(reply, format, rows, ['axis', ...Object.keys(Matrix.element.shape)])
  })

  typed.get('/analytics/lifecycle/tiers', {
    schema: {
      tags, operationId: 'lifecycle-tiers', summary: 'Customers per tier, and moves up and down 客户等级分布', description: 'As of a date; the moves are those from `from` on up to then.',
      querystring: z.strictObject({ ...AsOfParameter, from: PeriodParameters.from, ...PopulationParameters, ...After }),
      response: { 200: figures(z.object({ period: PeriodAnswer, items: z.array(Tier), asOf: AsOfBody })), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), roles)
    const { period, population } = await analysisOf(runtime, request.query)
    const { result, asOf } = await readModels.query(lifecycle, { after: afterOf(runtime, request.query.after) }, (db, schema) => tierStanding(db, schema, period, population))
    const items = inOrderOf(tierNames(), result, (item) => item.tier, (tier) => ({ tier, customers: 0, entered: 0, upInto: 0, downInto: 0, upFrom: 0, downFrom: 0 }))
    const format = exportFormat(request)
    return format ? sendRows(reply, format, items, Object.keys(Tier.shape)) : reply.send({ period, items, asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/analytics/lifecycle/standing', {
    schema: {
      tags, operationId: 'lifecycle-standing', summary: 'How many customers stand at each stage and tier now 客户分布', querystring: z.strictObject(After),
      response: { 200: figures(z.object({ items: z.array(Standing), asOf: AsOfBody })), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), roles)
    const { result, asOf } = await readModels.query(lifecycle, { after: afterOf(runtime, request.query.after) }, standing)
    const format = exportFormat(request)
    return format ? sendRows(reply, format, result, Object.keys(Standing.shape)) : reply.send({ items: result, asOf: asOfAnswer(runtime, asOf) })
  })
}
