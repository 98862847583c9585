import { v7 as uuidv7 } from 'uuid'
import { chain, type Head } from './chain.ts'
import type { Keyring } from './keyring.ts'
import { open, seal, subjectsOf, type SubjectKeys } from './sealing.ts'
import type { JsonObject, Metadata, RecordedEvent, SealedEvent } from './port.ts'

export type PlainEvent = { type: string; schemaVersion: number; data: JsonObject }
export type SharedMetadata = Omit<Metadata, 'schemaVersion' | 'recordedAt' | 'prevHash' | 'hash'>

/**
 * Turns decided events into what the log keeps: personal values sealed, ids drawn, chained to the head.
 * Draws new ids and nonces each time: call it once per attempt, and resend its result, never a second one.
 */
export type Codec = {
  encode: (stream: string, head: Head, events: readonly PlainEvent[], metadata: SharedMetadata, now: string) => Promise<SealedEvent[]>
  /** The same events with every personal value opened (or `{ erased: true }`). */
  decode: (events: readonly RecordedEvent[]) => Promise<RecordedEvent[]>
}

export const makeCodec = (keyring: Keyring): Codec => ({
  encode: async (stream, head, events, metadata, now) => {
    const subjects = events.flatMap((event) => subjectsOf(event.data))
    const keys: SubjectKeys = subjects.length > 0 ? await keyring.ensure(subjects) : new Map()
    // Never earlier than the event before it in the stream, whatever the clocks of two processes say.
    const recordedAt = head.recordedAt !== null && head.recordedAt > now ? head.recordedAt : now
    const sealed: SealedEvent[] = []
    let { revision, hash } = head
    for (const event of events) {
      const id = uuidv7()
      revision += 1
      const chained = chain(stream, revision, {
        id,
        type: event.type,
        data: seal(stream, id, event.data, keys),
        metadata: { schemaVersion: event.schemaVersion, ...metadata, recordedAt, prevHash: hash },
      })
      hash = chained.metadata.hash
      sealed.push(chained)
    }
    return sealed
  },
  decode: async (events) => {
    const needed = new Set<string>()
    for (const event of events) for (const subject of subjectsOf(event.data)) needed.add(subject)
    if (needed.size === 0) return [...events]
    const keys = await keyring.find([...needed])
    return events.map((event) => ({ ...event, data: open(event.stream, event.id, event.data, keys) }))
  },
})
