import { lead, type Leadership } from '../../event-store/leadership.ts'
import type { ProcessLog } from '../../event-store/process-log.ts'
import { pause } from '../../event-store/waiting.ts'
import type { Runtime } from '../runtime.ts'
import { makeDueRounds, type FindDue } from './deadlines.ts'
import { retryParked } from './dispatch.ts'
import { followReactions, reactions } from './reactions.ts'

/**
 * The processes: what reacts to events or to time by sending ordinary commands. Of several Kehu processes one acts
 * for each of these; another takes over when it ends. They never run from a rebuild.
 */
export type ProcessDependencies = {
  runtime: Runtime
  log: ProcessLog
  connectionString: string
  /** What is due, by process. */
  due: Readonly<Record<string, FindDue>>
  /** What acts in a way of its own, by process, until the signal aborts. */
  others?: Readonly<Record<string, (until: AbortSignal) => Promise<void>>>
  report: (event: { process: string; message: string }) => void
}

const STANDBY_MS = 1000

export const runProcesses = (dependencies: ProcessDependencies, signal: AbortSignal): Promise<unknown> => {
  const { runtime, log, connectionString, due, others = {}, report } = dependencies
  const lasting = async (process: string, act: (until: AbortSignal) => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      const leader: Leadership | undefined = await lead(connectionString, `kehu process ${process}`)
      if (!leader) {
        await pause(STANDBY_MS, signal)
        continue
      }
      try {
        await act(AbortSignal.any([signal, leader.lost]))
      } catch (error) {
        if (!signal.aborted) report({ process, message: `interrupted, goes on: ${error instanceof Error ? error.name : 'error'}` })
        await pause(STANDBY_MS / 2, signal)
      } finally {
        await leader.resign()
      }
    }
  }
  return Promise.all([
    ...reactions.map((reaction) => lasting(reaction.process, (until) => followReactions(runtime, log, reaction, until))),
    ...Object.entries(due).map(([process, findDue]) => lasting(process, async (until) => {
      const round = makeDueRounds(runtime, log, process, findDue)
      while (!until.aborted) await pause(await round(), until)
    })),
    ...Object.entries(others).map(([process, act]) => lasting(process, act)),
    lasting('parked-commands', async (until) => {
      while (!until.aborted) await pause(await retryParked(runtime, log), until)
    }),
  ])
}
