import { convertToCommandError, StreamNotFoundError } from '@eventstore/db-client'
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import { EventStoreUnavailable, type Batch, type Position, type ReadAllOptions, type RecordedEvent } from '../port.ts'
import { StoredData, StoredMetadata } from '../stored-event.ts'
import { backoff, orAborted, pause } from '../waiting.ts'
import { isPassing, noAnswer, unavailable, type Connection } from './connection.ts'
import { makeGate } from './gate.ts'
import type { Names } from './names.ts'
import { readAllFrom, readAt, readLast, readStreamFrom } from './requests.ts'

const PAGE = 500
/** A read that is silent for this long has lost its server. */
const SILENCE_MS = 3000
/** How long a read is tried again, from where it stands, before its caller is told. */
const PATIENCE_MS = 5000
const FIRST_PAUSE_MS = 100
/** Messages held for a reader before the server is asked to wait. */
const HELD = 2000

type Record = NonNullable<ReturnType<NonNullable<ReturnType<ReadResp['getEvent']>>['getEvent']>>

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')

/** Messages of a call as they come, many at a time. `silenceMs`: how long it may say nothing; a subscription may for ever. */
export async function* messages(connection: Connection, request: ReadReq, options: { silenceMs?: number; signal?: AbortSignal } = {}): AsyncIterable<ReadResp[]> {
  const { silenceMs, signal } = options
  const call = await orAborted(signal, connection.open())
  if (!call) return
  const stream = call.client.read(request, call.metadata, call.options)
  let held: ReadResp[] = []
  let failure: Error | undefined
  let ended = false
  let heard = performance.now()
  let wake: () => void = () => undefined
  const watch = silenceMs === undefined ? undefined : setInterval(() => {
    if (held.length > 0 || ended || performance.now() - heard < silenceMs) return
    failure = noAnswer(silenceMs)
    wake()
  }, Math.min(250, silenceMs))
  const stop = () => {
    ended = true
    wake()
  }
  stream.on('data', (message: ReadResp) => {
    heard = performance.now()
    held.push(message)
    if (held.length >= HELD) stream.pause()
    wake()
  })
  stream.on('error', (error: Error) => {
    failure ??= error
    wake()
  })
  stream.on('end', stop)
  signal?.addEventListener('abort', stop, { once: true })
  try {
    while (!signal?.aborted) {
      if (held.length > 0) {
        const chunk = held
        held = []
        heard = performance.now()
        if (stream.isPaused()) stream.resume()
        yield chunk
      } else if (failure) {
        throw failure
      } else if (ended) {
        return
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    clearInterval(watch)
    signal?.removeEventListener('abort', stop)
    // A reader that leaves early, or a call that is silent: nobody waits for the rest.
    stream.cancel()
    if (failure) await connection.failed(call, failure)
  }
}

/** Reads until `closing` aborts; what is under way then is unavailable. */
export const makeReader = (connection: Connection, names: Names, closing: AbortSignal) => {
  const gate = makeGate()

  /** Undefined for what is not an event of this log. @throws for an event of it that cannot be read */
  const toRecordedEvent = (record: Record, strict: boolean): RecordedEvent | undefined => {
    const stream = names.fromServer(text(record.getStreamIdentifier()?.getStreamName_asU8() ?? new Uint8Array()))
    if (stream === undefined) return undefined
    const revision = Number(record.getStreamRevision())
    try {
      return {
        id: record.getId()?.getString() ?? '',
        type: record.getMetadataMap().get('type') ?? '',
        stream,
        revision,
        position: BigInt(record.getCommitPosition()),
        data: StoredData.parse(JSON.parse(text(record.getData_asU8()))),
        metadata: StoredMetadata.parse(JSON.parse(text(record.getCustomMetadata_asU8()))),
      }
    } catch (error) {
      // In the whole log: an event of another program beside Kehu's.
      if (!strict) return undefined
      throw new Error(`the event at position ${record.getCommitPosition()} (${stream}, revision ${revision}) cannot be read`, { cause: error })
    }
  }

  const eventsOf = (chunk: readonly ReadResp[], strict = false): RecordedEvent[] =>
    chunk.flatMap((message) => {
      const record = message.getEvent()?.getEvent()
      const event = record && toRecordedEvent(record, strict)
      return event ? [event] : []
    })

  /** Reads on from where it stands when the server goes away, until it has been silent for PATIENCE_MS. */
  async function* patiently(request: () => ReadReq): AsyncIterable<ReadResp[]> {
    let since = performance.now()
    for (let attempt = 0; ; attempt += 1) {
      await gate.enter()
      try {
        for await (const chunk of messages(connection, request(), { silenceMs: SILENCE_MS, signal: closing })) {
          yield chunk
          since = performance.now()
          attempt = 0
        }
        if (closing.aborted) throw new EventStoreUnavailable('the store is closed')
        return
      } catch (error) {
        if (!(isPassing(error) || error instanceof EventStoreUnavailable)) throw error
        if (closing.aborted || performance.now() - since > PATIENCE_MS) throw unavailable(error)
      } finally {
        gate.leave()
      }
      await pause(backoff(attempt, FIRST_PAUSE_MS), closing)
    }
  }

  async function* readStream(stream: string, options: { fromRevision?: number; count?: number } = {}): AsyncIterable<RecordedEvent> {
    const name = names.toServer(stream)
    let next = options.fromRevision ?? 0
    const end = options.count === undefined ? Number.MAX_SAFE_INTEGER : next + options.count
    try {
      for await (const chunk of patiently(() => readStreamFrom(name, next, end - next))) {
        if (chunk.some((message) => message.hasStreamNotFound())) return
        for (const event of eventsOf(chunk, true)) {
          next = event.revision + 1
          yield event
          if (next >= end) return
        }
      }
    } catch (error) {
      throw failureOf(error)
    }
  }

  /**
   * The log after a position, in batches, up to `end`: a place read before, so that nothing up to there can still
   * appear. The last batch says so.
   */
  async function* readUpTo(end: Position, { after, kinds, types, batchSize = PAGE }: ReadAllOptions): AsyncIterable<Batch> {
    const filter = names.filter(kinds)
    let last = after
    let held: RecordedEvent[] = []
    try {
      if (end > after) {
        reading: for await (const chunk of patiently(() => readAllFrom(last, filter))) {
          for (const event of eventsOf(chunk)) {
            if (event.position <= last) continue
            last = event.position
            if (!types || types.includes(event.type)) held.push(event)
            // One more than a batch is held, so that the last batch is known to be the last.
            if (held.length > batchSize) {
              const batch = held.slice(0, batchSize)
              held = held.slice(batchSize)
              yield { events: batch, position: batch.at(-1)?.position ?? last, caughtUp: false }
            }
            if (last >= end) break reading
          }
        }
      }
    } catch (error) {
      throw failureOf(error)
    }
    yield { events: held, position: last > end ? last : end, caughtUp: true }
  }

  const only = async (request: () => ReadReq): Promise<ReadResp | undefined> => {
    for await (const chunk of patiently(request)) {
      const found = chunk.find((message) => message.hasEvent())
      if (found) return found
    }
    return undefined
  }

  /** Position of this log's last event; 0 when it has none. */
  const head = async (): Promise<Position> => {
    try {
      const found = await only(() => readLast(names.filter()))
      return BigInt(found?.getEvent()?.getEvent()?.getCommitPosition() ?? 0)
    } catch (error) {
      throw failureOf(error)
    }
  }

  const eventAt = async (position: Position): Promise<RecordedEvent | undefined> => {
    try {
      const found = await only(() => readAt(position))
      const [event] = found ? eventsOf([found]) : []
      return event?.position === position ? event : undefined
    } catch (error) {
      // The server knows no record there: another log stands at this place.
      if (error instanceof Error && 'code' in error && (error.code === 2 || error.code === 3)) return undefined
      throw failureOf(error)
    }
  }

  return { readStream, readUpTo, head, eventAt, eventsOf }
}

/** A read that fails has not found the log, whatever the server's reason. */
const failureOf = (error: unknown): unknown => {
  if (!(error instanceof Error) || error instanceof EventStoreUnavailable) return error
  const converted = convertToCommandError(error)
  if (converted instanceof StreamNotFoundError) return converted
  return 'code' in error ? unavailable(error) : error
}
