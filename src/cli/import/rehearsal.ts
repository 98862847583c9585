import { v7 as uuidv7 } from 'uuid'
import type { Runtime } from '../../commands/runtime.ts'
import type { Codec } from '../../event-store/codec.ts'
import type { AppendResult, EventStore, RecordedEvent } from '../../event-store/port.ts'

/** Stands where the hash of a real event would: what bears it was never sealed and never written. */
const REHEARSED = 'rehearsed'

/**
 * The same command side over a log that is read but not written: what would be appended is kept in memory and read
 * back after what is there, so that a row is decided on what the rows before it would have done. No key is made, no
 * receipt, no record of a refusal. Memory grows with what would be written, about a kilobyte for each event.
 */
export const rehearse = (runtime: Runtime): Runtime => {
  const { store, codec } = runtime
  const rehearsed = new Map<string, RecordedEvent[]>()

  async function* readStream(stream: string, options: { fromRevision?: number } = {}): AsyncIterable<RecordedEvent> {
    yield* store.readStream(stream, options)
    for (const event of rehearsed.get(stream) ?? []) if (event.revision >= (options.fromRevision ?? 0)) yield event
  }

  const append: EventStore['append'] = async ({ stream, expectedRevision, events }) => {
    const before = rehearsed.get(stream) ?? []
    const expected = expectedRevision === 'no_stream' ? -1 : expectedRevision
    const last = before.at(-1)?.revision ?? expected
    if (last !== expected) return { outcome: 'conflict', actualRevision: last }
    rehearsed.set(stream, [...before, ...events.map((event, index) => ({ ...event, stream, revision: expected + 1 + index, position: 0n }))])
    return { outcome: 'appended', revision: expected + events.length, position: 0n }
  }

  const encode: Codec['encode'] = async (_stream, head, events, metadata, now) => {
    const recordedAt = head.recordedAt !== null && head.recordedAt > now ? head.recordedAt : now
    return events.map(({ type, schemaVersion, data }) => ({ id: uuidv7(), type, data, metadata: { schemaVersion, ...metadata, recordedAt, prevHash: head.hash, hash: REHEARSED } }))
  }
  const decode: Codec['decode'] = async (events) => {
    const opened = await codec.decode(events.filter((event) => event.metadata.hash !== REHEARSED))
    // In a stream what is rehearsed comes after all that is there.
    return [...opened, ...events.filter((event) => event.metadata.hash === REHEARSED)]
  }

  return {
    ...runtime,
    codec: { encode, decode },
    store: {
      ...store,
      append,
      appendTogether: async (appends) => {
        const results: AppendResult[] = []
        for (const one of appends) results.push(await append(one))
        return results
      },
      readStream,
      receipts: { find: store.receipts.find, record: async (receipt) => ({ ...receipt, position: null }), recordAttempt: async () => undefined },
    },
  }
}
