/**
 * The log in a file: one frame for each append (its length, then each record's length, end and bytes), written in one
 * go before anybody is answered. A frame that is not whole when the file is opened was never acknowledged: it is cut off.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import { streamName, type LogRecord } from './record.ts'

export type LogFile = { write: (records: readonly LogRecord[]) => void; close: () => void }

const LENGTH = 4
/** A record's length, and where the next one starts in the log. */
const HEAD = LENGTH + 8

const decode = (bytes: Buffer, next: number): { record: LogRecord; data: Uint8Array } => {
  const event = streams.ReadResp.deserializeBinary(bytes).getEvent()?.getEvent()
  if (!event) throw new Error('the log file holds something that is not a record')
  const record: LogRecord = {
    position: Number(event.getCommitPosition()),
    transaction: Number(event.getPreparePosition()),
    next,
    stream: streamName(event.getStreamIdentifier()),
    revision: BigInt(event.getStreamRevision()),
    id: event.getId()?.getString() ?? '',
    type: event.getMetadataMap().get('type') ?? '',
    bytes,
  }
  return { record, data: event.getData_asU8() }
}

/** Opens the file, hands over every record in it, and appends from there. */
export const openLogFile = (path: string, each: (record: LogRecord, data: Uint8Array) => void): LogFile => {
  let descriptor: number | undefined = openSync(path, 'a')
  const content = readFileSync(path)
  let at = 0
  while (at + LENGTH <= content.length) {
    const whole = at + LENGTH + content.readUInt32LE(at)
    if (whole > content.length) break
    at += LENGTH
    while (at < whole) {
      const length = content.readUInt32LE(at)
      const next = content.readDoubleLE(at + LENGTH)
      const start = at + HEAD
      const { record, data } = decode(content.subarray(start, start + length), next)
      each(record, data)
      at = start + length
    }
  }
  if (at < content.length) ftruncateSync(descriptor, at)
  return {
    write: (records) => {
      const parts: Uint8Array[] = []
      let length = 0
      for (const record of records) {
        const head = Buffer.allocUnsafe(HEAD)
        head.writeUInt32LE(record.bytes.length)
        head.writeDoubleLE(record.next, LENGTH)
        parts.push(head, record.bytes)
        length += head.length + record.bytes.length
      }
      const frame = Buffer.allocUnsafe(LENGTH)
      frame.writeUInt32LE(length)
      descriptor ??= openSync(path, 'a')
      writeSync(descriptor, Buffer.concat([frame, ...parts]))
    },
    close: () => {
      if (descriptor !== undefined) closeSync(descriptor)
      descriptor = undefined
    },
  }
}
