/**
 * Streams.Read: which of the server's nine ways of reading a request asks for (EventStore/EventStore,
 * src/EventStore.Core/Services/Transport/Grpc/Streams.Read.cs), and the six of them that come to an end
 * (Enumerator.ReadAllForwards.cs and its neighbours; AllReader.cs for what a position means).
 */
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { ServerWritableStream } from '@grpc/grpc-js'
import { unlessFrozen } from './faults.ts'
import type { HostLog, LogRecord } from './log.ts'
import { notHandled, unauthorised, type Node } from './node.ts'
import { streamIdentifier, streamName } from './record.ts'
import { invalidArgument, streamDeleted, unhandled, type Refusal } from './refusals.ts'
import { subscribe, type Source } from './subscribe.ts'

type ReadReq = InstanceType<typeof streams.ReadReq>
type Options = InstanceType<typeof streams.ReadReq.Options>
type Filter = InstanceType<typeof streams.ReadReq.Options.FilterOptions>
export type ReadCall = ServerWritableStream<ReadReq, Uint8Array>
export type Allowed = (record: LogRecord) => boolean
/** A position as a client gives it. */
export type Place = 'start' | 'end' | { commit: number; prepare: number }

const BACKWARDS = 1

/** Ends the call in error, or well. */
export const end = (node: Node, call: ReadCall, refusal?: Refusal): void => unlessFrozen(node.faults, () => {
  if (refusal) call.emit('error', refusal)
  else call.end()
})

/** Writes what `next` gives until it gives nothing more, no faster than the call takes it. */
export const pour = (node: Node, call: ReadCall, next: () => Uint8Array | undefined, done: () => void): void => {
  const run = (): void => {
    while (!call.cancelled && !call.writableEnded) {
      if (node.faults.frozen) return void node.faults.onThaw.add(run)
      if (call.writableNeedDrain) return void call.once('drain', run)
      const bytes = next()
      if (!bytes) return done()
      call.write(bytes)
    }
  }
  run()
}

/** EventFilter.cs: a regular expression when there is one, else any of the prefixes, compared letter by letter. */
const allowedBy = (filter: Filter): Allowed | undefined => {
  const expression = filter.getEventType() ?? filter.getStreamIdentifier()
  if (!expression) return undefined
  const text = filter.hasEventType() ? (record: LogRecord) => record.type : (record: LogRecord) => record.stream
  const prefixes = expression.getPrefixList()
  if (expression.getRegex() === '') return (record) => prefixes.some((prefix) => text(record).startsWith(prefix))
  const pattern = new RegExp(expression.getRegex())
  return (record) => pattern.test(text(record))
}

const placeOf = (options: Options): Place => {
  const all = options.getAll()
  const position = all?.getPosition()
  if (position) return { commit: Number(position.getCommitPosition()), prepare: Number(position.getPreparePosition()) }
  return all?.hasEnd() ? 'end' : 'start'
}

/** What is to be read: an array of records and how far, from which index, in which direction. */
type Span = { records: readonly LogRecord[]; from: number; until: number; step: 1 | -1 }

/**
 * The span of $all from a place. A place at which no record starts cannot be read, and backwards none beyond the end
 * either (TFChunkReader.cs: "greater than writer checkpoint"); forwards such a read is empty.
 */
const spanOfAll = (log: HostLog, place: Place, backwards: boolean): Span | Refusal => {
  const { records } = log
  const ends = { start: 0, end: records.length }
  if (typeof place === 'object') {
    const beyond = place.commit > (records.at(-1)?.next ?? 0)
    if (!log.isValid(place.commit) || (backwards && beyond)) return unhandled('Unexpected ReadAllResult: Error')
  }
  const at = typeof place === 'object' ? log.firstFrom(place.commit, place.prepare) : ends[place]
  return backwards ? { records, from: at - 1, until: -1, step: -1 } : { records, from: at, until: records.length, step: 1 }
}

const spanOfStream = (view: { records: readonly LogRecord[]; first: number; end: number }, options: Options, backwards: boolean): Span => {
  const wanted = options.getStream()
  const { records, first, end: until } = view
  const revision = wanted?.hasRevision() ? Number(wanted.getRevision()) : wanted?.hasEnd() ? until : backwards ? -1 : 0
  if (!backwards) return { records, from: Math.max(revision, first), until, step: 1 }
  return { records, from: Math.min(wanted?.hasStart() ? 0 : revision, until - 1), until: first - 1, step: -1 }
}

const send = (node: Node, call: ReadCall, span: Span, allowed: Allowed | undefined, count: number): void => {
  let { from } = span
  let left = count
  pour(node, call, () => {
    while (left > 0 && (span.step === 1 ? from < span.until : from > span.until)) {
      const record = span.records[from]
      from += span.step
      if (!record || (allowed && !allowed(record))) continue
      left -= 1
      return record.bytes
    }
    return undefined
  }, () => end(node, call))
}

const notFound = (stream: string): Uint8Array => {
  const missing = new streams.ReadResp.StreamNotFound()
  missing.setStreamIdentifier(streamIdentifier(stream))
  const response = new streams.ReadResp()
  response.setStreamNotFound(missing)
  return response.serializeBinary()
}

const isRefusal = (value: Span | Refusal): value is Refusal => 'code' in value

export const read = (node: Node) => (call: ReadCall): void => {
  const options = call.request.getOptions()
  const refusal = unauthorised(node, call) ?? notHandled(node, call)
  if (refusal) return end(node, call, refusal)
  if (!options?.hasUuidOption()) return end(node, call, invalidArgument("'uuidOption' is a required argument"))
  const backwards = options.getReadDirection() === BACKWARDS
  const filter = options.getFilter()
  const allowed = filter && allowedBy(filter)
  const stream = options.hasStream() ? streamName(options.getStream()?.getStreamIdentifier()) : undefined
  const invalid = (filter && (!allowed || stream !== undefined)) || (stream === undefined && !options.hasAll())
  if (invalid || (options.hasSubscription() && backwards)) return end(node, call, invalidArgument('The combination is invalid.'))
  if (options.hasSubscription()) {
    const wanted = options.getStream()
    const source: Source = stream === undefined
      ? { kind: 'all', from: placeOf(options), allowed, window: filter?.hasMax() ? filter.getMax() : node.readBatch, multiplier: filter?.getCheckpointintervalmultiplier() ?? 0 }
      : { kind: 'stream', stream, after: wanted?.hasRevision() ? Number(wanted.getRevision()) : wanted?.hasEnd() ? 'end' : -1 }
    return subscribe(node, call, source)
  }
  const count = Number(options.getCount())
  if (stream === undefined) {
    const span = spanOfAll(node.log, placeOf(options), backwards)
    return isRefusal(span) ? end(node, call, span) : send(node, call, span, allowed, count)
  }
  const view = node.log.view(stream)
  if (view.kind === 'tombstoned') return end(node, call, streamDeleted(stream))
  if (view.kind === 'stream') return send(node, call, spanOfStream(view, options, backwards), undefined, count)
  unlessFrozen(node.faults, () => call.write(notFound(stream)))
  end(node, call)
}
