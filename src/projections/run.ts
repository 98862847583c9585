import type { Kysely } from 'kysely'
import type { Codec } from '../event-store/codec.ts'
import type { EventStore } from '../event-store/port.ts'
import { projections } from './all.ts'
import { watchPauses } from './pauses.ts'
import { makeApplyTogether } from './apply-together.ts'
import { runProjection, type RunnerDependencies, type RunnerStatus } from './runner.ts'
import { shareLog } from './shared-log.ts'

export type RunDependencies = Omit<RunnerDependencies, 'pauses' | 'apply' | 'onProgress'> & { db: Kysely<unknown>; store: EventStore; codec: Codec }

/** Runs every read model there is, all on one reading of the log, for as long as the signal lets them. */
export const runProjections = async (dependencies: RunDependencies, signal: AbortSignal): Promise<{ statuses: () => RunnerStatus[]; done: Promise<void> }> => {
  const pauses = await watchPauses(dependencies.db, dependencies.connectionString)
  const store = shareLog(dependencies.store, dependencies.codec, [...new Set(projections.flatMap((projection) => projection.kinds))])
  const apply = makeApplyTogether()
  const runners = projections.map((projection) => runProjection({ ...dependencies, store, pauses, apply }, projection, signal))
  return {
    statuses: () => runners.map((runner) => runner.status()),
    done: Promise.allSettled(runners.map((runner) => runner.done)).then(() => pauses.close()),
  }
}
