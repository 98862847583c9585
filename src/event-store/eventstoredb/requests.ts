import shared from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import timestamps from 'google-protobuf/google/protobuf/timestamp_pb.js'
import empties from 'google-protobuf/google/protobuf/empty_pb.js'
import { canonical } from '../canonical.ts'
import type { Append, Position } from '../port.ts'
import type { Names } from './names.ts'

const { ReadReq, BatchAppendReq } = streams
const { Options } = ReadReq

/** Records the server looks at for one page of a filtered read: sparse kinds come in few pages. */
const SEARCH_WINDOW = 1000

const streamIdentifier = (name: string) => new shared.StreamIdentifier().setStreamName(Buffer.from(name, 'utf8'))

const readRequest = (options: InstanceType<typeof Options>) =>
  new ReadReq().setOptions(options.setResolveLinks(false).setUuidOption(new Options.UUIDOption().setString(new shared.Empty())))

const expression = (filter: ReturnType<Names['filter']>) => {
  const made = new Options.FilterOptions.Expression()
  return 'regex' in filter ? made.setRegex(filter.regex) : made.setPrefixList(filter.prefixes)
}

const filterOptions = (filter: ReturnType<Names['filter']>) =>
  new Options.FilterOptions().setStreamIdentifier(expression(filter)).setMax(SEARCH_WINDOW).setCheckpointintervalmultiplier(1)

/** Commit and prepare are the same: what a record is compared by. (Its own "prepare" names the first event appended with it.) */
const position = (at: Position) => new Options.Position().setCommitPosition(String(at)).setPreparePosition(String(at))

const from = (at: Position) => (at === 0n ? new Options.AllOptions().setStart(new shared.Empty()) : new Options.AllOptions().setPosition(position(at)))

export const readStreamFrom = (name: string, revision: number, count = Number.MAX_SAFE_INTEGER) =>
  readRequest(new Options()
    .setStream(new Options.StreamOptions().setStreamIdentifier(streamIdentifier(name)).setRevision(String(revision)))
    .setReadDirection(Options.ReadDirection.FORWARDS).setCount(String(count)).setNoFilter(new shared.Empty()))

/** From a position on, with what stands there. */
export const readAllFrom = (at: Position, filter: ReturnType<Names['filter']>) =>
  readRequest(new Options().setAll(from(at)).setReadDirection(Options.ReadDirection.FORWARDS).setCount(String(Number.MAX_SAFE_INTEGER)).setFilter(filterOptions(filter)))

/** What stands at a position, whatever it is. */
export const readAt = (at: Position) =>
  readRequest(new Options().setAll(from(at)).setReadDirection(Options.ReadDirection.FORWARDS).setCount('1').setNoFilter(new shared.Empty()))

/** The last record that the filter lets through. */
export const readLast = (filter: ReturnType<Names['filter']>) =>
  readRequest(new Options().setAll(new Options.AllOptions().setEnd(new shared.Empty())).setReadDirection(Options.ReadDirection.BACKWARDS).setCount('1').setFilter(filterOptions(filter)))

/** What comes after a position, for as long as the call lives. */
export const subscribeAfter = (at: Position, filter: ReturnType<Names['filter']>) =>
  readRequest(new Options().setAll(from(at)).setReadDirection(Options.ReadDirection.FORWARDS).setSubscription(new Options.SubscriptionOptions()).setFilter(filterOptions(filter)))

const proposed = (append: Append) => append.events.map((event) => {
  const message = new BatchAppendReq.ProposedMessage()
    .setId(new shared.UUID().setString(event.id))
    .setData(Buffer.from(canonical(event.data), 'utf8'))
    .setCustomMetadata(Buffer.from(canonical(event.metadata), 'utf8'))
  message.getMetadataMap().set('type', event.type).set('content-type', 'application/json')
  return message
})

/** An append as the server takes it, whole; sent again it has another correlation id and deadline, and the same events. */
export const batchAppend = (name: string, append: Append) => {
  const messages = proposed(append)
  return (correlationId: string, deadline: Date) => {
    const options = new BatchAppendReq.Options().setStreamIdentifier(streamIdentifier(name)).setDeadline(timestamps.Timestamp.fromDate(deadline))
    if (append.expectedRevision === 'no_stream') options.setNoStream(new empties.Empty())
    else options.setStreamPosition(String(append.expectedRevision))
    return new BatchAppendReq().setCorrelationId(new shared.UUID().setString(correlationId)).setOptions(options).setProposedMessagesList(messages).setIsFinal(true)
  }
}
