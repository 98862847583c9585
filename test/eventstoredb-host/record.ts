/** Events as a client proposes them, and as they travel: in the ReadResp of Streams.Read.cs (ConvertToRecordedEvent). */
import shared from '@eventstore/db-client/generated/shared_pb.js'
import { layDown } from './encode.ts'

/** An event as a client proposes it. */
export type Proposed = { id: string; type: string; isJson: boolean; data: Uint8Array; metadata: Uint8Array }

/** One record of the log. `transaction` is the position of the first event of its append, `next` where the next record starts. */
export type LogRecord = {
  position: number
  transaction: number
  next: number
  stream: string
  revision: bigint
  id: string
  type: string
  /** The whole serialised ReadResp, made once when the record is written: what every read sends. */
  bytes: Uint8Array
}

const TICKS_PER_MILLISECOND = 10_000n

export const streamIdentifier = (name: string): InstanceType<typeof shared.StreamIdentifier> => {
  const identifier = new shared.StreamIdentifier()
  identifier.setStreamName(Buffer.from(name))
  return identifier
}

export const streamName = (identifier: InstanceType<typeof shared.StreamIdentifier> | undefined): string =>
  identifier ? Buffer.from(identifier.getStreamName_asU8()).toString('utf8') : ''

/** Ids are sent as strings, as the Node client asks for them; other clients ask for two halves. */
export const makeRecord = (event: Proposed, place: { stream: string; revision: bigint; position: number; transaction: number; next: number }): LogRecord => ({
  ...place,
  id: event.id,
  type: event.type,
  bytes: layDown({
    ...event,
    stream: place.stream,
    revision: place.revision,
    commit: place.position,
    prepare: place.transaction,
    created: BigInt(Date.now()) * TICKS_PER_MILLISECOND,
    contentType: event.isJson ? 'application/json' : 'application/octet-stream',
  }),
})
