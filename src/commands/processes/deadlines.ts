import type { Instant } from '../../domain/decider.ts'
import type { ProcessLog } from '../../event-store/process-log.ts'
import type { Runtime } from '../runtime.ts'
import { sendIntent, type Intent } from './dispatch.ts'

/** Something due at a time: what to send then. What is `of` one thing is sent in order; different things at once. */
export type Due = { at: Instant; of: string; intent: Intent }
/** What is due by `now`, earliest first, and when the next thing after that is. Answered from a read model, in order of time. */
export type FindDue = (now: Instant, limit: number) => Promise<{ due: Due[]; next: Instant | null }>

const MOST_AT_ONCE = 500
const CONCURRENT = 32
const IDLE_MS = 900
/** How long the read model has to see what came of a command, before it is asked anew; then ever longer. */
const FIRST_PAUSE_MS = 2000
const LONGEST_PAUSE_MS = 60_000

/**
 * What sends what has fallen due, a round at a call, in order of time. A command that was accepted may leave its cause
 * listed: the read model is late, or the decision was that nothing is to be done. It is not sent again at once, and then
 * under another key, for the first answer stands: doing it twice does nothing, so that is safe, and a decision that was
 * right when it was taken does not stand for ever. Answers how long nothing will be due, in ms, a second at most.
 */
export const makeDueRounds = (runtime: Runtime, log: ProcessLog, process: string, findDue: FindDue): (() => Promise<number>) => {
  const sent = new Map<string, { times: number; pausedUntil: number }>()
  const keyNow = ({ key }: Intent): string => {
    const times = sent.get(key)?.times ?? 0
    return times === 0 ? key : `${key}/again/${times}`
  }
  const send = async (intent: Intent): Promise<void> => {
    const times = sent.get(intent.key)?.times ?? 0
    const came = await sendIntent(runtime, log, process, { ...intent, key: keyNow(intent) })
    if (came === 'done') sent.set(intent.key, { times: times + 1, pausedUntil: runtime.elapsed() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(times, 10)) })
  }

  return async () => {
    const now = runtime.now().toISOString()
    // What was refused is parked, and sent again from there.
    const first = await findDue(now, MOST_AT_ONCE)
    const parked = new Set(first.due.length === 0 ? [] : (await log.parked(process)).map((entry) => entry.key))
    const { due, next } = parked.size + sent.size > 0 && first.due.length === MOST_AT_ONCE ? await findDue(now, MOST_AT_ONCE + parked.size + sent.size) : first
    const listed = new Set(due.map(({ intent }) => intent.key))
    for (const key of sent.keys()) if (!listed.has(key)) sent.delete(key)
    const ready = due.filter(({ intent }) => !parked.has(keyNow(intent)) && (sent.get(intent.key)?.pausedUntil ?? 0) <= runtime.elapsed()).slice(0, MOST_AT_ONCE)
    await inOrderOfEach([...Map.groupBy(ready, (one) => one.of).values()], ({ intent }) => send(intent))
    if (ready.length === MOST_AT_ONCE) return 0
    if (ready.length > 0) return 50
    return next === null ? IDLE_MS : Math.max(0, Math.min(IDLE_MS, Date.parse(next) - runtime.now().getTime()))
  }
}

/** Each list one after the other, several lists at once. What failed is thrown when all that was begun has ended. */
const inOrderOfEach = async <T>(lists: readonly (readonly T[])[], act: (item: T) => Promise<void>): Promise<void> => {
  const waiting = lists.values()
  const failures: unknown[] = []
  const work = async (): Promise<void> => {
    for (const list of waiting) {
      if (failures.length > 0) return
      try {
        for (const item of list) await act(item)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: CONCURRENT }, work))
  if (failures.length > 0) throw failures[0]
}
