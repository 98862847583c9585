import { LRUCache } from 'lru-cache'
import { ordered } from './canonical.ts'
import { chain, textsOf, type Head } from './chain.ts'
import type { Keyring } from './keyring.ts'
import { drawId } from './random.ts'
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

/** Bytes of what was sealed here lately and is known open: each read model is told of it a moment later. */
const MOST_KNOWN = 32 * 1024 * 1024

type Known = { stream: string; sealed: string; open: JsonObject }

export const makeCodec = (keyring: Keyring): Codec => {
  const known = new LRUCache<string, Known>({ maxSize: MOST_KNOWN, ttl: 60_000, ttlResolution: 250 })

  /** The event as it was before it was sealed here, if it is that event to the letter and its keys are all there. */
  const recall = (event: RecordedEvent, keys: SubjectKeys): JsonObject | undefined => {
    const one = known.get(event.id)
    if (one?.stream !== event.stream || one.sealed !== JSON.stringify(event.data)) return undefined
    return subjectsOf(event.data).every((subject) => keys.has(subject) && keys.get(subject) !== 'destroyed') ? one.open : undefined
  }

  return {
    encode: async (stream, head, events, metadata, now) => {
      const subjects = events.flatMap((event) => subjectsOf(event.data))
      // Who begins a stream is most likely new as well.
      const keys: SubjectKeys = subjects.length > 0 ? await keyring.ensure(subjects, head.revision < 0 ? 'new' : 'known') : new Map()
      // Never earlier than the event before it in the stream, whatever the clocks of two processes say.
      const recordedAt = head.recordedAt !== null && head.recordedAt > now ? head.recordedAt : now
      const sealed: SealedEvent[] = []
      let { revision, hash } = head
      for (const event of events) {
        const id = drawId()
        revision += 1
        const chained = chain(stream, revision, {
          id,
          type: event.type,
          data: seal(stream, id, event.data, keys),
          metadata: { schemaVersion: event.schemaVersion, ...metadata, recordedAt, prevHash: hash },
        })
        hash = chained.metadata.hash
        sealed.push(chained)
        const { data: text } = textsOf(chained)
        // As it would be read: the same keys in the same order, however soon it is asked for.
        const open = chained.data === event.data ? undefined : ordered(event.data)
        if (open) known.set(id, { stream, sealed: text, open }, { size: text.length * 4 })
      }
      return sealed
    },
    decode: async (events) => {
      const needed = new Set(events.flatMap((event) => subjectsOf(event.data)))
      if (needed.size === 0) return [...events]
      const keys = await keyring.find([...needed])
      return events.map((event) => ({ ...event, data: recall(event, keys) ?? open(event.stream, event.id, event.data, keys) }))
    },
  }
}
