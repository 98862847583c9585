import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import { kindOf, type Batch, type Position, type ReadAllOptions, type RecordedEvent } from '../port.ts'
import { backoff, pause } from '../waiting.ts'
import type { Connection } from './connection.ts'
import type { Names } from './names.ts'
import { messages, type makeReader } from './read.ts'
import { subscribeAfter } from './requests.ts'

/** How often the end of the log is looked at, besides being told: a subscription that died unnoticed delays, it never loses. */
const POLL_MS = 1000
const FIRST_PAUSE_MS = 100
/** Events kept for those who follow closely; who is further behind reads. */
const TAIL = 2000
const BATCH = 500

/** The newest part of the log, whole and in order: every event after `from`, up to `to`. */
type Tail = { from: Position; to: Position; events: RecordedEvent[] }

/**
 * One live subscription to the server feeds the subscribers of a process: its events are kept for a while, so that
 * each is sent and read once however many follow. The server drops live subscriptions freely (at every restart, and
 * whenever its small buffer overflows); this one takes up after the last event it has, and whoever finds the tail
 * too short, or none, reads the log itself.
 */
export const makeSubscriptions = (connection: Connection, names: Names, reader: ReturnType<typeof makeReader>) => {
  const followers = new Set<() => void>()
  const stop = new AbortController()
  let tail: Tail | undefined
  let feeding: Promise<void> | undefined
  let polling: NodeJS.Timeout | undefined

  const wakeAll = (): void => {
    for (const wake of followers) wake()
  }

  const keep = (events: readonly RecordedEvent[], seen: Position): void => {
    if (!tail) return
    for (const event of events) if (event.position > tail.to) tail.events.push(event)
    // Past another program's events as well: the end of the log may be one of them.
    if (seen > tail.to) tail.to = seen
    const excess = tail.events.length - TAIL
    if (excess > TAIL) {
      tail.from = tail.events[excess - 1]?.position ?? tail.from
      tail.events = tail.events.slice(excess)
    }
    wakeAll()
  }

  const feed = async (): Promise<void> => {
    for (let attempt = 0; !stop.signal.aborted; attempt += 1) {
      if (attempt > 0) await pause(backoff(attempt - 1, FIRST_PAUSE_MS), stop.signal)
      const dropped = new AbortController()
      let behind: Position | undefined
      // A subscription that says nothing while the log grows is dead, whatever its connection says.
      const poll = async (): Promise<void> => {
        const end = await reader.head()
        if (!tail || end === tail.to) behind = undefined
        else if (end < tail.to) {
          // What was read is no longer there: those who read it find out by themselves, and say so.
          tail = undefined
          dropped.abort()
        } else if (behind === tail.to) dropped.abort()
        else behind = tail.to
        if (behind !== undefined) wakeAll()
      }
      let looking: Promise<void> | undefined
      polling = setInterval(() => {
        looking ??= poll().catch(() => undefined).finally(() => {
          looking = undefined
        })
      }, POLL_MS)
      try {
        const end = await reader.head()
        tail ??= { from: end, to: end, events: [] }
        for await (const chunk of messages(connection, subscribeAfter(tail.to, names.filter()), { signal: AbortSignal.any([stop.signal, dropped.signal]) })) {
          attempt = 0
          keep(reader.eventsOf(chunk), lastPosition(chunk))
        }
      } catch {
        // Dropped or out of reach: taken up again from the last event. Readers say by themselves what they find.
      } finally {
        clearInterval(polling)
      }
      wakeAll()
    }
  }

  /** What the tail holds after a position; undefined when it does not reach back so far. */
  const fromTail = ({ after, kinds, types, batchSize = BATCH }: ReadAllOptions): Batch | undefined => {
    if (!tail || after < tail.from || after > tail.to) return undefined
    const events: RecordedEvent[] = []
    for (let index = firstAfter(tail.events, after); index < tail.events.length; index += 1) {
      const event = tail.events[index]
      if (!event || (kinds && !kinds.includes(kindOf(event.stream))) || (types && !types.includes(event.type))) continue
      if (events.length === batchSize) return { events, position: events.at(-1)?.position ?? after, caughtUp: false }
      events.push(event)
    }
    return { events, position: tail.to, caughtUp: true }
  }

  async function* readOn(options: ReadAllOptions): AsyncIterable<Batch> {
    const batch = fromTail(options)
    if (batch) return yield batch
    const end = await reader.head()
    if (end < options.after) throw new Error(`the log ends at ${end}, and had been read up to ${options.after}: was an older copy restored, or is this another server?`)
    yield* reader.readUpTo(end, options)
  }

  async function* subscribe(options: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Batch> {
    const { signal } = options
    const ended = () => signal.aborted || stop.signal.aborted
    if (ended()) return
    feeding ??= feed()
    let { after } = options
    let told = true
    let first = true
    let behind = true
    let failures = 0
    let wake: () => void = () => undefined
    const onNotice = () => {
      told = true
      wake()
    }
    followers.add(onNotice)
    signal.addEventListener('abort', onNotice, { once: true })
    try {
      while (!ended()) {
        // Cleared before reading: a notice that comes while reading is looked into afterwards.
        told = false
        try {
          for await (const batch of readOn({ ...options, after })) {
            if (ended()) return
            failures = 0
            behind = !batch.caughtUp
            if (!first && batch.position <= after) continue
            first = false
            after = batch.position
            yield batch
            if (ended()) return
          }
        } catch (error) {
          if (!(error instanceof Error && error.name === 'EventStoreUnavailable')) throw error
          failures += 1
          await pause(backoff(failures, FIRST_PAUSE_MS), signal)
          continue
        }
        if (told || behind || ended()) continue
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    } finally {
      followers.delete(onNotice)
      signal.removeEventListener('abort', onNotice)
    }
  }

  /** Ends every subscription at once; resolves when nothing is under way any more. */
  const close = async (): Promise<void> => {
    stop.abort()
    wakeAll()
    await feeding
  }

  return { subscribe, close }
}

/** Where the last record among messages stands, whoever's it is; 0 when there is none. */
const lastPosition = (chunk: readonly ReadResp[]): Position =>
  BigInt(chunk.findLast((message) => message.hasEvent())?.getEvent()?.getEvent()?.getCommitPosition() ?? 0)

/** Index of the first event after a position, in events in order. */
const firstAfter = (events: readonly RecordedEvent[], after: Position): number => {
  let low = 0
  let high = events.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((events[middle]?.position ?? 0n) <= after) low = middle + 1
    else high = middle
  }
  return low
}
