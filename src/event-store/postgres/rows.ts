import type { RecordedEvent, StoredReceipt } from '../port.ts'
import { streamDigest } from '../stream-digest.ts'
import { checkKinds, storedData, storedMetadata } from '../stored-event.ts'

/** The stream's key in the table: the first 128 bits of the SHA-256 of its name, as a uuid. */
export const streamKey = (stream: string): string => {
  const hex = streamDigest(stream)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

/**
 * A row as a list, in the order of `eventColumns`: it costs the driver less than an object, and there is one for each
 * event read. `of`: which of several streams that are read together it belongs to.
 */
export type EventRow = [position: string, revision: number, id: string, stream: string, type: string, data: string, metadata: string, of?: number]
export const eventColumns = 'position, revision, event_id, stream, type, data, metadata'

/** A row that is not what this program wrote (a hand in the table) is an error that names its place. */
export const toRecordedEvent = ([position, revision, id, stream, type, data, metadata]: EventRow): RecordedEvent => {
  try {
    return { id, type, stream, revision, position: BigInt(position), data: storedData(JSON.parse(data)), metadata: storedMetadata(JSON.parse(metadata)) }
  } catch (error) {
    throw new Error(`the event at position ${position} (${stream}, revision ${revision}) cannot be read`, { cause: error })
  }
}

export type ReceiptRow = {
  command_id: string; command_hash: string; command: string; streams: string[]
  status: number; answer: string; position: string | null; recorded_at: Date
}
export const receiptColumns = 'command_id, command_hash, command, streams, status, answer, position, recorded_at'

export const toStoredReceipt = (row: ReceiptRow): StoredReceipt => ({
  commandId: row.command_id,
  commandHash: row.command_hash,
  command: row.command,
  streams: row.streams,
  status: row.status,
  answer: storedData(JSON.parse(row.answer)),
  position: row.position === null ? null : BigInt(row.position),
  recordedAt: row.recorded_at.toISOString(),
})

/** As SQL literals, so that the planner can match a partial index. */
export const kindFilter = (kinds: readonly string[] | undefined): string => {
  if (!kinds) return 'true'
  checkKinds(kinds)
  return `split_part(stream, '-', 1) in (${[...kinds].sort().map((kind) => `'${kind}'`).join(', ')})`
}
