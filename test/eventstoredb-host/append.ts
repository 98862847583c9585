/**
 * Append (one call for one append), Delete and Tombstone: EventStore/EventStore,
 * src/EventStore.Core/Services/Transport/Grpc/Streams.Append.cs and Streams.Delete.cs.
 */
import streams from '@eventstore/db-client/generated/streams_pb.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import type { sendUnaryData, ServerReadableStream, ServerUnaryCall } from '@grpc/grpc-js'
import { unlessFrozen } from './faults.ts'
import type { Expected, Outcome } from './log.ts'
import { notHandled, unauthorised, type Node } from './node.ts'
import { streamName, type Proposed } from './record.ts'
import {
  invalidArgument, maxAppendSizeExceeded, requiredMetadataMissing, streamDeleted, timedOut, unhandled, wrongExpectedVersion, type Refusal,
} from './refusals.ts'

type Message = InstanceType<typeof streams.AppendReq.ProposedMessage> | InstanceType<typeof streams.BatchAppendReq.ProposedMessage>
type Ask = { stream: string; expected: Expected; events: readonly Proposed[] }

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A proposed event, or why it is none. Ids are kept in lower case, as a Guid is printed. */
export const proposed = (message: Message): Proposed | string => {
  const metadata = message.getMetadataMap()
  const id = message.getId()?.getString().toLowerCase() ?? ''
  const type = metadata.get('type')
  const contentType = metadata.get('content-type')
  if (!UUID.test(id)) return 'Guid should contain 32 digits with 4 dashes (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx).'
  if (type === undefined || contentType === undefined) return "The given key was not present in the dictionary."
  if (type === '') return 'Empty eventType provided.'
  return { id, type, isJson: contentType === 'application/json', data: message.getData_asU8(), metadata: message.getCustomMetadata_asU8() }
}

/** What an event counts towards the largest append: Event.SizeOnDisk of src/EventStore.Core/Data/Event.cs. */
export const sizeOnDisk = (event: Proposed): number => event.data.length + event.metadata.length + event.type.length * 2

/**
 * Carries an append out, or meets the fault that is due. `answer` gets 'timeout' where the server gave up waiting for
 * the outcome: a copy that came while the first is in flight, or an append in flight for longer than the write timeout.
 */
export const carryOut = (node: Node, peer: string, ask: Ask, answer: (outcome: Outcome | { kind: 'timeout' }) => void): void => {
  const { faults, log } = node
  if (faults.frozen) return unlessFrozen(faults, () => carryOut(node, peer, ask, answer))
  if (faults.refusing > 0) {
    faults.refusing -= 1
    return node.drop(peer)
  }
  if (faults.goneMs !== undefined) {
    const ms = faults.goneMs
    faults.goneMs = undefined
    node.drop(peer)
    setTimeout(() => {
      if (!node.stopped) log.append(ask.stream, ask.expected, ask.events, faults.delayMs, () => undefined)
    }, ms)
    return
  }
  const lost = faults.losing > 0
  if (lost) faults.losing -= 1
  let waiting = true
  const tell = (outcome: Outcome | { kind: 'timeout' }): void => {
    if (!waiting) return
    waiting = false
    if (lost) node.drop(peer)
    else if (faults.lateMs > 0) setTimeout(() => unlessFrozen(faults, () => answer(outcome)), faults.lateMs)
    else if (faults.frozen) unlessFrozen(faults, () => answer(outcome))
    else answer(outcome)
  }
  const giveUp = (): void => {
    setTimeout(() => tell({ kind: 'timeout' }), node.writeTimeoutMs).unref()
  }
  if (faults.delayMs >= node.writeTimeoutMs) giveUp()
  log.append(ask.stream, ask.expected, ask.events, faults.delayMs, (outcome) => {
    if (outcome.kind === 'dropped') giveUp()
    else tell(outcome)
  })
}

const expectedOf = (options: InstanceType<typeof streams.AppendReq.Options> | InstanceType<typeof streams.DeleteReq.Options> | InstanceType<typeof streams.TombstoneReq.Options>): Expected | undefined => {
  if (options.hasRevision()) return Number(options.getRevision())
  if (options.hasNoStream()) return 'no_stream'
  if (options.hasStreamExists()) return 'stream_exists'
  return options.hasAny() ? 'any' : undefined
}

const success = (outcome: { revision: number; position: number | undefined }): Uint8Array => {
  const done = new streams.AppendResp.Success()
  if (outcome.revision < 0) done.setNoStream(new shared.Empty())
  else done.setCurrentRevision(String(outcome.revision))
  if (outcome.position === undefined) done.setNoPosition(new shared.Empty())
  else {
    const position = new streams.AppendResp.Position()
    position.setCommitPosition(String(outcome.position))
    position.setPreparePosition(String(outcome.position))
    done.setPosition(position)
  }
  const response = new streams.AppendResp()
  response.setSuccess(done)
  return response.serializeBinary()
}

const wrong = (expected: Expected, current: number): Uint8Array => {
  const details = new streams.AppendResp.WrongExpectedVersion()
  if (current < 0) details.setCurrentNoStream(new shared.Empty())
  else details.setCurrentRevision(String(current))
  if (expected === 'any') details.setExpectedAny(new shared.Empty())
  else if (expected === 'stream_exists') details.setExpectedStreamExists(new shared.Empty())
  else if (expected === 'no_stream') details.setExpectedNoStream(new shared.Empty())
  else details.setExpectedRevision(String(expected))
  const response = new streams.AppendResp()
  response.setWrongExpectedVersion(details)
  return response.serializeBinary()
}

export const append = (node: Node) => (call: ServerReadableStream<InstanceType<typeof streams.AppendReq>, Uint8Array>, callback: sendUnaryData<Uint8Array>): void => {
  let ask: { stream: string; expected: Expected; events: Proposed[] } | undefined
  let size = 0
  let over = false
  const refuse = (refusal: Refusal): void => {
    if (over) return
    over = true
    unlessFrozen(node.faults, () => callback(refusal))
  }
  const denied = unauthorised(node, call)
  if (denied) return refuse(denied)
  call.on('data', (request: InstanceType<typeof streams.AppendReq>) => {
    const options = request.getOptions()
    const message = request.getProposedMessage()
    if (!ask && options) {
      const expected = expectedOf(options)
      if (expected === undefined) refuse(invalidArgument("'None' is not a valid ExpectedStreamRevisionOneofCase"))
      else ask = { stream: streamName(options.getStreamIdentifier()), expected, events: [] }
    } else if (ask && message) {
      for (const property of ['type', 'content-type']) if (!message.getMetadataMap().has(property)) return refuse(requiredMetadataMissing(property))
      const event = proposed(message)
      if (typeof event === 'string') return refuse(unhandled(`Exception was thrown by handler. ${event}`))
      ask.events.push(event)
      size += sizeOnDisk(event)
      if (size > node.maxAppendBytes) refuse(maxAppendSizeExceeded(node.maxAppendBytes))
    } else refuse(unhandled('Exception was thrown by handler.'))
  })
  call.on('end', () => {
    if (over || call.cancelled) return
    if (!ask) return refuse(unhandled('Exception was thrown by handler.'))
    const refusal = notHandled(node, call)
    if (refusal) return refuse(refusal)
    const { stream, expected } = ask
    carryOut(node, call.getPeer(), ask, (outcome) => {
      if (outcome.kind === 'done') callback(null, success(outcome))
      else if (outcome.kind === 'wrong') callback(null, wrong(expected, outcome.current))
      else callback(outcome.kind === 'deleted' ? streamDeleted(stream) : timedOut('Request commit timed out.'))
    })
  })
}

/** A revision as the server's exceptions print it: ExpectedVersion.cs. */
const asNumber = (expected: Expected): string => String(expected === 'any' ? -2 : expected === 'no_stream' ? -1 : expected === 'stream_exists' ? -4 : expected)

type Removal = InstanceType<typeof streams.DeleteReq> | InstanceType<typeof streams.TombstoneReq>

/** Delete (softly: the stream can be written again) and Tombstone (for good); their answers look the same on the wire. */
export const remove = <Request extends Removal>(node: Node, forGood: boolean) => (call: ServerUnaryCall<Request, Uint8Array>, callback: sendUnaryData<Uint8Array>): void => {
  const options = call.request.getOptions()
  const expected = options && expectedOf(options)
  const refusal = unauthorised(node, call) ?? notHandled(node, call)
  if (refusal) return unlessFrozen(node.faults, () => callback(refusal))
  if (!options || expected === undefined) return callback(invalidArgument("'None' is not a valid ExpectedStreamRevisionOneofCase"))
  const stream = streamName(options.getStreamIdentifier())
  node.log.remove(stream, expected, forGood, node.faults.delayMs, (outcome) => unlessFrozen(node.faults, () => {
    if (outcome.kind === 'wrong') return callback(wrongExpectedVersion('Delete', stream, asNumber(expected), outcome.current))
    if (outcome.kind === 'deleted') return callback(streamDeleted(stream))
    if (outcome.kind === 'dropped') return callback(timedOut('Request commit timed out.'))
    const response = new streams.DeleteResp()
    const position = new streams.DeleteResp.Position()
    position.setCommitPosition(String(outcome.position))
    position.setPreparePosition(String(outcome.position))
    response.setPosition(position)
    callback(null, response.serializeBinary())
  }))
}
