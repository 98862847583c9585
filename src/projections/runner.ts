import type { Kysely, Transaction } from 'kysely'
import type { Codec } from '../event-store/codec.ts'
import { lead } from '../event-store/leadership.ts'
import type { EventStore } from '../event-store/port.ts'
import { pause } from '../event-store/waiting.ts'
import { apply as applyAlone, applyOneByOne, BATCH, checkLog, explain, isPassing, PoisonEvent, prepare, WrongLog, type Application, type Progress } from './apply.ts'
import { AnotherRunner, readCheckpoint, recordStop, type Checkpoint } from './checkpoint.ts'
import { runnerName, schemaOf, type Projection } from './projection.ts'
import { neverPaused, type Pauses } from './pauses.ts'
import { discard } from './rebuild.ts'
import { completeTables } from './table.ts'
import { swapViews } from './views.ts'

export type RunnerState = 'starting' | 'standby' | 'catching-up' | 'live' | 'stopped' | 'paused'
export type RunnerStatus = { model: string; version: number; state: RunnerState; position: bigint; detail: string | null }

export type RunnerDependencies = {
  db: Kysely<unknown>
  connectionString: string
  store: EventStore
  codec: Codec
  placeId: string
  /** Where the log has been before: what was built from it there is built anew. */
  earlierPlaces?: readonly string[]
  analystRole: string | null
  pauses?: Pauses
  /** How a batch is applied: by itself, or together with those of other models. */
  apply?: typeof applyAlone
  report: (event: { model: string; level: 'info' | 'warn' | 'error'; message: string }) => void
  onProgress?: (model: string, checkpoint: Checkpoint) => void
}

const STANDBY_MS = 1000

/**
 * Runs one projection for as long as the signal lets it. One runner is active across all processes (an advisory
 * lock on a connection of its own; the checkpoint's `where position =` is what makes it safe), others stand by.
 * An event that cannot be projected stops this projection alone: it is reported and tried again, ever more slowly.
 */
export const runProjection = (dependencies: RunnerDependencies, projection: Projection, signal: AbortSignal): { status: () => RunnerStatus; done: Promise<void> } => {
  const { db, store, codec, placeId, earlierPlaces = [], pauses = neverPaused, apply = applyAlone, report } = dependencies
  const { model, version } = projection
  const application: Application = { db, codec, projection, build: 'live' }
  let status: RunnerStatus = { model, version, state: 'starting', position: 0n, detail: null }
  const reported = new Set<string>()
  let failures = 0

  const became = (state: RunnerState, detail: string | null = null, position = status.position) => {
    status = { ...status, state, detail, position }
  }
  const advanced = (progress: Progress) => {
    failures = 0
    status = { ...status, position: progress.checkpoint.position }
    dependencies.onProgress?.(model, progress.checkpoint)
    for (const type of progress.unknownTypes) {
      if (!reported.has(type)) report({ model, level: 'warn', message: `events of type ${type} are not known to this version and are passed over` })
      reported.add(type)
    }
  }

  /** Resolves when the model is paused, or is no more; or with the signal. */
  const whenPaused = (paused: boolean, until: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const look = () => {
        if (!until.aborted && pauses.isPaused(model) !== paused) return
        forget()
        until.removeEventListener('abort', look)
        resolve()
      }
      const forget = pauses.onChange(look)
      until.addEventListener('abort', look)
      look()
    })

  const showViews = (trx: Transaction<unknown>) => swapViews(trx, projection, schemaOf(projection), dependencies.analystRole)
  const makeReady = async (trx: Transaction<unknown>): Promise<void> => {
    await completeTables(trx, schemaOf(projection), projection.tables).catch((error: unknown) => {
      throw isPassing(error) ? error : new PoisonEvent(`the rows built do not fit the constraints of ${model}: ${explain(error)}`)
    })
    await showViews(trx)
  }

  const project = async (until: AbortSignal): Promise<void> => {
    let checkpoint = await prepare(db, projection, 'live', placeId)
    if (earlierPlaces.includes(checkpoint.placeId)) {
      report({ model, level: 'info', message: 'the log has been copied to another place since this was built: it is built anew' })
      await discard(db, projection, 'live')
      checkpoint = await prepare(db, projection, 'live', placeId)
    }
    await checkLog(store, checkpoint, placeId, model)
    if (checkpoint.ready) await db.transaction().execute((trx) => showViews(trx))
    became('catching-up', null, checkpoint.position)
    for await (const batch of store.subscribe({ after: checkpoint.position, batchSize: BATCH, signal: until })) {
      const ready = checkpoint.ready || batch.caughtUp
      const onCommit = ready && !checkpoint.ready ? makeReady : undefined
      if (batch.events.length === 0 && !onCommit) {
        if (batch.caughtUp) became('live')
        continue
      }
      try {
        const progress = await apply(application, checkpoint, batch, { ready, ...(onCommit ? { onCommit } : {}) })
        checkpoint = progress.checkpoint
        advanced(progress)
      } catch (error) {
        if (error instanceof AnotherRunner || error instanceof PoisonEvent || isPassing(error)) throw error
        await applyOneByOne(application, checkpoint, batch, (progress) => {
          checkpoint = progress.checkpoint
          advanced(progress)
        })
        // Alone each of them went through: the batch failed for a reason that has passed.
        if (checkpoint.ready !== ready) throw error
      }
      became(batch.caughtUp ? 'live' : 'catching-up')
    }
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      const leader = await lead(dependencies.connectionString, runnerName(projection))
      if (!leader) {
        const there = await readCheckpoint(db, projection).catch(() => undefined)
        became(pauses.isPaused(model) ? 'paused' : 'standby', null, there?.position ?? status.position)
        await pause(STANDBY_MS, signal)
        continue
      }
      const ended = new AbortController()
      const until = AbortSignal.any([signal, leader.lost, ended.signal])
      try {
        if (pauses.isPaused(model)) {
          became('paused', null, (await readCheckpoint(db, projection))?.position ?? 0n)
          // The lead is kept: a version that is paused is in use.
          await whenPaused(false, until)
        } else {
          void whenPaused(true, until).then(() => ended.abort())
          await project(until)
        }
      } catch (error) {
        failures += 1
        const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
        if (error instanceof PoisonEvent || error instanceof WrongLog) {
          became('stopped', error.message)
          report({ model, level: 'error', message: `stopped: ${error.message}` })
          await recordStop(db, projection, 'live', error.message).catch(() => undefined)
          await pause(Math.min(60_000, 1000 * 2 ** Math.min(failures, 6)), signal)
        } else {
          became('catching-up', message)
          if (!signal.aborted) report({ model, level: 'warn', message: `interrupted, goes on: ${message}` })
          await pause(Math.min(5000, 50 * 2 ** Math.min(failures, 7)), signal)
        }
      } finally {
        ended.abort()
        await leader.resign()
      }
    }
  }

  return { status: () => status, done: run() }
}

