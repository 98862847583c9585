import { eventHash } from './chain.ts'
import type { EventStore, Position, RecordedEvent } from './port.ts'

/**
 * An event as an audit looks at it. `hash` is the one it claims; `fault` says what about the event alone is not as it
 * was written, whatever stands around it. An event that cannot be read is an entry, too.
 */
export type LogEntry = {
  position: Position
  stream: string
  revision: number
  id: string
  type: string
  /** As it is stored, read when it is asked for; undefined where it cannot be read. */
  data: () => unknown
  hash: string
  prevHash: string
  recordedAt: string
  fault: string | undefined
}

/** A log as an audit reads it. `dense`: positions are 1, 2, 3 …, so that a gap says that events are missing. */
export type AuditedLog = {
  dense: boolean
  head: () => Promise<Position>
  entries: () => AsyncIterable<readonly LogEntry[]>
  streamEntries: (stream: string) => AsyncIterable<readonly LogEntry[]>
}

const toEntry = ({ position, stream, revision, id, type, data, metadata: { hash, ...metadata } }: RecordedEvent): LogEntry => ({
  position, stream, revision, id, type, data: () => data, hash, prevHash: metadata.prevHash, recordedAt: metadata.recordedAt,
  fault: eventHash(stream, revision, { id, type, data, metadata }) === hash ? undefined : 'its hash does not fit its content',
})

/** Through the port, for a log whose rows cannot be looked at. */
export const auditedThrough = (store: EventStore): AuditedLog => ({
  dense: false,
  head: store.head,
  async *entries() {
    for await (const { events } of store.readAll({ after: 0n, batchSize: 1000 })) yield events.map(toEntry)
  },
  async *streamEntries(stream) {
    for await (const event of store.readStream(stream)) yield [toEntry(event)]
  },
})
