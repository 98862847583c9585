import type { Instant } from '../../domain/decider.ts'
import type { ProcessLog } from '../../event-store/process-log.ts'
import type { Runtime } from '../runtime.ts'
import { dispatch, type Intent } from './dispatch.ts'

/** Something due at a time: what to send then. */
export type Due = { at: Instant; intent: Intent }
/** What is due by `now`, earliest first, and when the next thing after that is. Answered from a read model, in order of time. */
export type FindDue = (now: Instant, limit: number) => Promise<{ due: Due[]; next: Instant | null }>

const MOST_AT_ONCE = 100

/**
 * Sends what has fallen due, in order of time, once. Whatever the read model still lists after its command was
 * accepted is sent again and does nothing. Answers how long nothing will be due, in ms, half a second at most.
 */
export const runDue = async (runtime: Runtime, log: ProcessLog, process: string, findDue: FindDue): Promise<number> => {
  const now = runtime.now().toISOString()
  // What was refused is parked, and sent again from there.
  const parked = new Set((await log.parked(process)).map((entry) => entry.key))
  const { due, next } = await findDue(now, MOST_AT_ONCE + parked.size)
  let sent = 0
  for (const { intent } of due) {
    if (parked.has(intent.key)) continue
    if ((await dispatch(runtime, log, process, intent)) === 'done') sent += 1
  }
  if (sent > 0) return 50
  return next === null ? IDLE_MS : Math.max(0, Math.min(IDLE_MS, Date.parse(next) - runtime.now().getTime()))
}

const IDLE_MS = 500
