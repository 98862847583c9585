import type { Codec } from '../event-store/codec.ts'
import type { Batch, EventStore, Position, ReadAllOptions, RecordedEvent } from '../event-store/port.ts'
import { orAborted, pause } from '../event-store/waiting.ts'
import { openEvents } from './opened.ts'

/** Most events kept for readers that are behind others. */
const KEPT_EVENTS = 6000
/** How long the others wait for a reader that does not get on; then it goes on by itself. */
const PATIENCE_MS = 5000

type Reader = { at: Position }
/** A stretch of the log that is at hand: from where its first batch begins to where its last one ends. */
type Stretch = {
  batches: { from: Position; batch: Batch }[]
  end: Position
  caughtUp: boolean
  /** The store was closed. */
  ended: boolean
  /** Reads one batch more; one at a time, whoever asks. */
  readOn: () => Promise<void>
  stop: () => void
}

/**
 * The log as the read models of a process subscribe to it: what several read at about the same place is fetched,
 * opened and checked once. One subscription goes where the furthest of them is; who is behind what is kept reads by itself
 * until it has caught up with that. Whoever reads faster waits a little for the others, and never for one that hangs.
 */
export const shareLog = (store: EventStore, codec: Codec, kinds: readonly string[], patienceMs = PATIENCE_MS): EventStore => {
  const readers = new Set<Reader>()
  let stretch: Stretch | undefined
  let moved = Promise.withResolvers<void>()

  const takes = (reader: Reader, position: Position) => {
    reader.at = position
    moved.resolve()
    moved = Promise.withResolvers()
  }

  /** What is kept makes room for more, once everybody has taken it. */
  const makeRoom = async ({ batches }: Stretch, signal: AbortSignal): Promise<void> => {
    const until = performance.now() + patienceMs
    while (batches.reduce((sum, { batch }) => sum + batch.events.length, 0) > KEPT_EVENTS) {
      const [oldest] = batches
      const waitedFor = oldest && [...readers].some((reader) => reader.at >= oldest.from && reader.at < oldest.batch.position)
      const left = until - performance.now()
      if (waitedFor && left > 0) {
        const stop = new AbortController()
        await Promise.race([moved.promise, pause(left, AbortSignal.any([signal, stop.signal]))])
        stop.abort()
        if (signal.aborted) return
      } else batches.shift()
    }
  }

  const begin = (after: Position, batchSize: number | undefined): Stretch => {
    const stop = new AbortController()
    const batches = store.subscribe({ after, ...(batchSize === undefined ? {} : { batchSize }), signal: stop.signal })[Symbol.asyncIterator]()
    let reading: Promise<void> | undefined
    const read = async (): Promise<void> => {
      await makeRoom(begun, stop.signal)
      const { value: batch, done } = await batches.next()
      begun.ended = done === true
      if (done) return
      // One that cannot be opened is for the read model to name, when it comes to it.
      await openEvents(codec, batch.events, kinds).catch(() => undefined)
      if (batch.position > begun.end) begun.batches.push({ from: begun.end, batch })
      begun.end = batch.position
      begun.caughtUp = batch.caughtUp
    }
    const begun: Stretch = {
      batches: [], end: after, caughtUp: false, ended: false, stop: () => stop.abort(),
      readOn: () => (reading ??= read().catch((error: unknown) => {
        leave(begun)
        throw error
      }).finally(() => {
        reading = undefined
      })),
    }
    return begun
  }

  const leave = (left: Stretch | undefined) => {
    left?.stop()
    if (stretch === left) stretch = undefined
  }

  async function* subscribe(options: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Batch> {
    const { after, batchSize, signal } = options
    const reader: Reader = { at: after }
    // The first batch comes at once, empty when there is nothing new.
    let first = true
    readers.add(reader)
    try {
      while (!signal.aborted) {
        if (stretch && stretch.end < reader.at) leave(stretch)
        const here = (stretch ??= begin(reader.at, batchSize))
        if (reader.at < startOf(here)) {
          first = false
          yield* catchUp(reader, options)
          continue
        }
        const next = batchAfter(here, reader.at, batchSize) ?? (first && here.caughtUp ? { events: [], position: reader.at, caughtUp: true } : undefined)
        if (!next) {
          if (here.ended) return
          await orAborted(signal, here.readOn())
          continue
        }
        first = false
        takes(reader, next.position)
        // The next is read while this one is written.
        here.readOn().catch(() => undefined)
        yield next
      }
    } finally {
      readers.delete(reader)
      takes(reader, reader.at)
      if (readers.size === 0) leave(stretch)
    }
  }

  /** By itself, up to what is kept; not beyond it, or it would lead the others away from there. */
  async function* catchUp(reader: Reader, { batchSize, signal }: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Batch> {
    for await (const read of store.readAll({ after: reader.at, ...(batchSize === undefined ? {} : { batchSize }) })) {
      if (signal.aborted) return
      const end = stretch && stretch.end > reader.at ? stretch.end : read.position
      const batch = read.position > end ? { events: read.events.filter((event) => event.position <= end), position: end, caughtUp: false } : read
      takes(reader, batch.position)
      yield batch
      if (!stretch || reader.at >= startOf(stretch)) return
    }
  }

  return { ...store, subscribe: (options) => (options.kinds ?? options.types ? store.subscribe(options) : subscribe(options)) }
}

const startOf = ({ batches, end }: Stretch): Position => batches[0]?.from ?? end

/** What is at hand after a position: whole batches, as many as fit the size; of one that does not fit, as much as does. */
const batchAfter = ({ batches, caughtUp }: Stretch, at: Position, batchSize = 500): Batch | undefined => {
  const events: RecordedEvent[] = []
  let position = at
  for (const { from, batch } of batches) {
    if (batch.position <= at) continue
    const rest = from < at ? batch.events.filter((event) => event.position > at) : batch.events
    if (events.length + rest.length > batchSize) {
      if (position > at) break
      const fit = rest.slice(0, batchSize)
      return { events: fit, position: fit.at(-1)?.position ?? at, caughtUp: false }
    }
    events.push(...rest)
    position = batch.position
  }
  return position > at ? { events, position, caughtUp: caughtUp && position === batches.at(-1)?.batch.position } : undefined
}
