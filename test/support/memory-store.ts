import * as uuid from 'uuid'
import { joined, lastOf, revisionBefore } from '../../src/event-store/joined.ts'
import {
  EventStoreUnavailable, kindOf,
  type Append, type AppendResult, type Batch, type EventStore, type Position, type ReadAllOptions, type RecordedEvent, type RefusedAttempt, type SealedEvent, type StoredReceipt,
} from '../../src/event-store/port.ts'

/** A log in memory that keeps the whole contract of the port, with what a test wants besides. */
export type MemoryStore = EventStore & {
  /** A store that goes on from here by itself: what is appended to one is not in the other. */
  fork: () => MemoryStore
  /** What has been appended after a position, without waiting. */
  since: (position: Position) => RecordedEvent[]
  /** The refused attempts on record. */
  refused: () => RefusedAttempt[]
}

/** Kept as text, as a real store would: nothing is shared with who wrote it or with who reads it. */
type Row = { stream: string; revision: number; id: string; hash: string; type: string; text: string }
type Content = { rows: Row[]; receipts: Map<string, StoredReceipt>; refused: RefusedAttempt[] }

const PAGE = 500

const toRow = (stream: string, revision: number, event: SealedEvent): Row => ({ stream, revision, id: event.id, hash: event.metadata.hash, type: event.type, text: JSON.stringify(event) })

/** Each call of `append` happens at once and as a whole; positions are 1, 2, 3 … */
export const makeMemoryStore = (content: Content = { rows: [], receipts: new Map(), refused: [] }): MemoryStore => {
  const { rows, receipts, refused } = content
  const streams = new Map<string, number[]>()
  rows.forEach((row, index) => streams.set(row.stream, [...(streams.get(row.stream) ?? []), index]))
  const sleepers = new Set<() => void>()
  let closed = false

  const recorded = (index: number): RecordedEvent | undefined => {
    const row = rows[index]
    if (!row) return undefined
    const event: SealedEvent = JSON.parse(row.text)
    return { ...event, stream: row.stream, revision: row.revision, position: BigInt(index + 1) }
  }
  const recordedAll = (indexes: readonly number[]): RecordedEvent[] => indexes.flatMap((index) => recorded(index) ?? [])
  const end = (): Position => BigInt(rows.length)

  const appendTogether = async (appends: readonly Append[]): Promise<AppendResult[]> => {
    const whole = joined(appends)
    const { stream, events } = whole
    if (closed) throw new EventStoreUnavailable('the store is closed')
    if (!events.every((event) => uuid.validate(event.id))) throw new TypeError('the id of an event is a uuid')
    const there = streams.get(stream) ?? []
    const conflict: AppendResult = { outcome: 'conflict', actualRevision: there.length === 0 ? 'no_stream' : there.length - 1 }
    const kept = appends.map(({ receipt }) => receipt && receipts.get(receipt.commandId))
    if (kept.some((receipt) => receipt)) return kept.map((receipt) => (receipt ? { outcome: 'answered', receipt: structuredClone(receipt) } : conflict))

    const first = revisionBefore(whole) + 1
    const head = rows[there.at(-1) ?? -1]
    const sent = events.every((event, index) => rows[there[first + index] ?? -1]?.id === event.id)
    const fits = there.length === first && (!head || head.hash === events[0]?.metadata.prevHash)
    if (!sent && !fits) return appends.map(() => conflict)
    const start = sent ? (there[first] ?? 0) : rows.length
    const results = lastOf(appends).map((last) => ({ outcome: 'appended' as const, revision: first + last, position: BigInt(start + last + 1) }))
    if (sent) return results
    streams.set(stream, [...there, ...events.map((_, index) => start + index)])
    events.forEach((event, index) => rows.push(toRow(stream, first + index, event)))
    appends.forEach(({ receipt }, index) => {
      if (receipt) receipts.set(receipt.commandId, structuredClone({ ...receipt, position: results[index]?.position ?? null }))
    })
    for (const wake of sleepers) wake()
    return results
  }

  const append = async (request: Append): Promise<AppendResult> => {
    const [result] = await appendTogether([request])
    if (!result) throw new Error('an append was not answered')
    return result
  }

  /** The whole stream as it is when the first event is asked for. */
  async function* readStream(stream: string, options: { fromRevision?: number } = {}): AsyncIterable<RecordedEvent> {
    yield* recordedAll((streams.get(stream) ?? []).slice(options.fromRevision ?? 0))
  }

  const readBatch = ({ after, kinds, types, batchSize = PAGE }: ReadAllOptions): Batch => {
    const matching: number[] = []
    for (let index = Number(after); index < rows.length && matching.length < batchSize; index += 1) {
      if ((!kinds || kinds.includes(kindOf(rows[index]?.stream ?? ''))) && (!types || types.includes(rows[index]?.type ?? ''))) matching.push(index)
    }
    const events = recordedAll(matching)
    const seen = events.length === batchSize ? (events.at(-1)?.position ?? end()) : end()
    const position = seen > after ? seen : after
    return { events, position, caughtUp: position >= end() }
  }

  async function* readAll(options: ReadAllOptions): AsyncIterable<Batch> {
    let { after } = options
    const until = end()
    for (;;) {
      const batch = readBatch({ ...options, after })
      yield batch
      after = batch.position
      if (batch.caughtUp || after >= until) return
    }
  }

  async function* subscribe(options: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Batch> {
    const { signal } = options
    let { after } = options
    for (let first = true; !signal.aborted && !closed; first = false) {
      const batch = readBatch({ ...options, after })
      if (first || batch.position > after) {
        after = batch.position
        yield batch
      }
      if (!batch.caughtUp || end() > after) continue
      await new Promise<void>((resolve) => {
        const wake = () => {
          sleepers.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        sleepers.add(wake)
        signal.addEventListener('abort', wake, { once: true })
        if (signal.aborted || closed) wake()
      })
    }
  }

  return {
    append,
    appendTogether,
    readStream,
    readAll,
    subscribe,
    eventAt: async (position) => recorded(Number(position) - 1),
    head: async () => end(),
    receipts: {
      find: async (commandId) => structuredClone(receipts.get(commandId)),
      record: async (receipt, attempt) => {
        const kept = receipts.get(receipt.commandId)
        if (kept) return structuredClone(kept)
        const stored = { ...structuredClone(receipt), position: null }
        receipts.set(receipt.commandId, stored)
        if (attempt) refused.push(structuredClone(attempt))
        return structuredClone(stored)
      },
      recordAttempt: async (attempt) => {
        refused.push(structuredClone(attempt))
      },
    },
    close: async () => {
      closed = true
      for (const wake of sleepers) wake()
    },
    // Rows and receipts are never changed once they are there: a copy of the lists is enough.
    fork: () => makeMemoryStore({ rows: [...rows], receipts: new Map(receipts), refused: [...refused] }),
    since: (position) => recordedAll(rows.keys().drop(Number(position)).toArray()),
    refused: () => structuredClone(refused),
  }
}
