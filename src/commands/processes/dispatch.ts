import type { Caller } from '../../domain/decider.ts'
import type { ProcessLog } from '../../event-store/process-log.ts'
import { problemName } from '../problem.ts'
import type { Runtime } from '../runtime.ts'
import { handleNamed } from '../send.ts'

/** A command a process wants sent. `key` follows from what caused it, so that sending it twice does nothing. */
export type Intent = { command: string; key: string; body: Record<string, unknown>; causationId?: string; correlationId?: string }

const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 3_600_000

/**
 * Sends a process's command, which may have been parked. What passes by itself (contention, the log or a read model out of
 * reach) is thrown to be tried again at once; a refusal is parked, tried again ever more slowly, and does not hold up the
 * commands behind it.
 */
export const dispatch = async (runtime: Runtime, log: ProcessLog, process: string, intent: Intent): Promise<'done' | 'parked'> => {
  const came = await sendIntent(runtime, log, process, intent)
  if (came === 'done') await log.settle(process, intent.key)
  return came
}

/** The same for a command that is known not to be parked. */
export const sendIntent = async (runtime: Runtime, log: ProcessLog, process: string, intent: Intent): Promise<'done' | 'parked'> => {
  const caller: Caller = { actor: process, role: 'system', employeeId: null, onBehalfOf: null }
  const answer = await handleNamed(runtime, intent.command, intent.body, { caller, key: intent.key, causationId: intent.causationId, correlationId: intent.correlationId })
  if (answer.status < 400) return 'done'
  const problem = problemName({ type: String(answer.body['type']) })
  if (problem === 'contention' || answer.status === 503) throw new Error(`${intent.command} met ${problem}`)
  const before = (await log.parked(process)).find((entry) => entry.key === intent.key)
  const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(before?.tries ?? 0, 12))
  const now = runtime.now()
  await log.park({ process, key: intent.key, command: intent.command, body: intent.body, problem, detail: String(answer.body['detail']), nextAt: new Date(now.getTime() + pause).toISOString() }, now.toISOString())
  return 'parked'
}

/** Sends again what was parked and is due. Answers how long to wait until looking again, in ms. */
export const retryParked = async (runtime: Runtime, log: ProcessLog): Promise<number> => {
  const now = runtime.now().toISOString()
  for (const { process, key, command, body, nextAt } of await log.parked()) {
    if (nextAt <= now) await dispatch(runtime, log, process, { command, key, body })
  }
  return 1000
}
