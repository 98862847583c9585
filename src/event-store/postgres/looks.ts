import { makeGroup } from '../group.ts'
import { kindOf, type Batch, type ReadAllOptions, type RecordedEvent } from '../port.ts'
import { pause } from '../waiting.ts'
import { PAGE, type Filter, type ReadBatch } from './read.ts'

/** Told again and again, a reader looks this often: what comes in between it takes together, for the price of one. */
const LOOK_MS = 20
/** And this often while the process has more to do than it can: commands go first, readers take more at a time. */
const BUSY_LOOK_MS = 40
const BUSY = 0.95

/**
 * How those who have read the log to its end look for more: all of a process at the same moment, in one query. Each
 * is answered what it asked for, up to one and the same place; where there is much, that may lie behind where some stand.
 */
export const makeLooks = (readBatch: ReadBatch) => {
  const isBusy = makeBusyness()
  let looked = -Infinity
  let next: Promise<void> | undefined

  /** The moment to look next, the same for all who wait for it. */
  const moment = (): Promise<void> =>
    (next ??= pause(Math.max(0, looked + (isBusy() ? BUSY_LOOK_MS : LOOK_MS) - performance.now())).then(() => {
      next = undefined
      looked = performance.now()
    }))

  const together = makeGroup(async (asked: readonly ReadAllOptions[]): Promise<Batch[]> => {
    const after = asked.reduce((least, one) => (one.after < least ? one.after : least), asked[0]?.after ?? 0n)
    const { events, position, caughtUp } = await readBatch(after, asked, Math.min(...asked.map(({ batchSize = PAGE }) => batchSize)))
    return asked.map((one) => ({ events: events.filter((event) => event.position > one.after && isAskedFor(event, one)), position, caughtUp }))
  })

  return { moment, look: together.ask }
}

const isAskedFor = ({ stream, type }: RecordedEvent, { kinds, types }: Filter): boolean => (kinds?.includes(kindOf(stream)) ?? true) && (types?.includes(type) ?? true)

/** Whether the event loop has been at its limit lately: measured over a fifth of a second or more. */
const makeBusyness = (): (() => boolean) => {
  let measured = performance.eventLoopUtilization()
  let since = performance.now()
  let busy = false
  return () => {
    const now = performance.now()
    if (now - since < 200) return busy
    const next = performance.eventLoopUtilization()
    busy = performance.eventLoopUtilization(next, measured).utilization > BUSY
    measured = next
    since = now
    return busy
  }
}
