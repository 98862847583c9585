import type { Kysely } from 'kysely'
import type { FastifyBaseLogger } from 'fastify'
import type { Registry } from 'prom-client'
import type { Runtime } from '../commands/runtime.ts'
import type { WriteWatch } from '../event-store/writes.ts'
import type { ReadModels } from '../projections/read-models.ts'
import type { RunnerStatus } from '../projections/runner.ts'
import type { VerifyToken } from './token.ts'

/** What the routes work with; main.ts hands it in. */
export type Services = {
  runtime: Runtime
  readModels: ReadModels
  db: Kysely<unknown>
  writes: WriteWatch
  verifyToken: VerifyToken
  projections: () => RunnerStatus[]
  /** Models that are being built here and that another process answers for meanwhile. */
  answeredElsewhere: () => Promise<string[]>
  metrics: Registry
  logger: FastifyBaseLogger
  /** True from the moment the service is asked to stop. */
  draining: () => boolean
  /** It has just started, and the read models take up what they lack of the log. */
  readingOn: () => boolean
  version: string
}
