import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { lifecycle } from '../projections/lifecycle/project.ts'
import { standing, transitionMatrix } from '../projections/lifecycle/queries.ts'
import { claimsOf, requireRole } from './authenticate.ts'
import { After, afterOf, asOfAnswer, instantOf, PointInTime } from './parameters.ts'
import { AsOfBody, problemResponses } from './schemas.ts'
import type { Services } from './services.ts'

const roles = ['analyst', 'auditor', 'system'] as const
const Matrix = z.array(z.object({ from: z.string().nullable().describe('null: the customer was entered'), to: z.string(), customers: z.number().int(), transitions: z.number().int() }))

/** Figures without personal data. */
export const analyticsRoutes = (services: Services) => async (app: FastifyInstance): Promise<void> => {
  const typed = app.withTypeProvider<ZodTypeProvider>()
  const { runtime, readModels } = services
  const tags = ['analytics']

  typed.get('/analytics/lifecycle/transitions', {
    schema: {
      tags, operationId: 'lifecycle-transitions', summary: 'How often customers moved between stages and tiers 阶段与等级变迁',
      querystring: z.strictObject({ from: PointInTime.optional(), to: PointInTime.optional(), ...After }),
      response: { 200: z.object({ stages: Matrix, tiers: Matrix, asOf: AsOfBody }), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), roles)
    const period = {
      from: request.query.from === undefined ? undefined : instantOf(runtime, request.query.from, 'from'),
      to: request.query.to === undefined ? undefined : instantOf(runtime, request.query.to, 'to'),
    }
    const { result, asOf } = await readModels.query(lifecycle, { after: afterOf(runtime, request.query.after) }, async (db, schema) => ({
      stages: await transitionMatrix(db, schema, 'stage', period),
      tiers: await transitionMatrix(db, schema, 'tier', period),
    }))
    return reply.send({ ...result, asOf: asOfAnswer(runtime, asOf) })
  })

  typed.get('/analytics/lifecycle/standing', {
    schema: {
      tags, operationId: 'lifecycle-standing', summary: 'How many customers stand at each stage and tier now 客户分布', querystring: z.strictObject(After),
      response: { 200: z.object({ items: z.array(z.object({ category: z.string(), stage: z.string(), tier: z.string(), customers: z.number().int() })), asOf: AsOfBody }), ...problemResponses(400, 401, 403, 503) },
    },
  }, async (request, reply) => {
    requireRole(claimsOf(request), roles)
    const { result, asOf } = await readModels.query(lifecycle, { after: afterOf(runtime, request.query.after) }, standing)
    return reply.send({ items: result, asOf: asOfAnswer(runtime, asOf) })
  })
}
