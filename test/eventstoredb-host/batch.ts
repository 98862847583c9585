/**
 * BatchAppend, one call for any number of appends: EventStore/EventStore,
 * src/EventStore.Core/Services/Transport/Grpc/Streams.BatchAppend.cs; the errors of single appends are those of Status.cs.
 */
import any from 'google-protobuf/google/protobuf/any_pb.js'
import empty from 'google-protobuf/google/protobuf/empty_pb.js'
import codes from '@eventstore/db-client/generated/code_pb.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import statusPb from '@eventstore/db-client/generated/status_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import { status, type ServerDuplexStream } from '@grpc/grpc-js'
import { carryOut, proposed, sizeOnDisk } from './append.ts'
import { unlessFrozen } from './faults.ts'
import type { Expected, Outcome } from './log.ts'
import { notHandled, unauthorised, type Node } from './node.ts'
import { streamIdentifier, streamName, type Proposed } from './record.ts'
import { invalidArgument, unhandled, type Refusal } from './refusals.ts'

type Request = InstanceType<typeof streams.BatchAppendReq>
type Options = InstanceType<typeof streams.BatchAppendReq.Options>
type Uuid = InstanceType<typeof shared.UUID>
type Status = InstanceType<typeof statusPb.Status>
/** An append of which not all events have come. */
type Pending = { stream: string; expected: Expected; events: Proposed[]; size: number; until: number; timer?: NodeJS.Timeout }

// The errors: their details are what the client tells them apart by.

const failure = (message: string, code: codes.Code, type: string, details: { serializeBinary: () => Uint8Array }): Status => {
  const packed = new any.Any()
  packed.pack(details.serializeBinary(), type)
  const failed = new statusPb.Status()
  failed.setCode(code)
  failed.setMessage(message)
  failed.setDetails(packed)
  return failed
}

const timeout = (): Status => failure('Timeout', codes.Code.DEADLINE_EXCEEDED, 'event_store.client.Timeout', new shared.Timeout())
const accessDenied = (): Status => failure('AccessDenied', codes.Code.PERMISSION_DENIED, 'event_store.client.AccessDenied', new shared.AccessDenied())
/** The message is all there is to tell it by: the details are empty and there is no code. */
const notReady = (): Status => failure('Server Is Not Ready', codes.Code.OK, 'google.protobuf.Empty', new empty.Empty())

const badRequest = (message: string): Status => {
  const details = new shared.BadRequest()
  details.setMessage(message)
  return failure('BadRequest', codes.Code.INVALID_ARGUMENT, 'event_store.client.BadRequest', details)
}

const tooLarge = (bytes: number): Status => {
  const details = new shared.MaximumAppendSizeExceeded()
  details.setMaxappendsize(bytes)
  return failure('MaximumAppendSizeExceeded', codes.Code.INVALID_ARGUMENT, 'event_store.client.MaximumAppendSizeExceeded', details)
}

const deleted = (stream: string): Status => {
  const details = new shared.StreamDeleted()
  details.setStreamIdentifier(streamIdentifier(stream))
  return failure('StreamDeleted', codes.Code.NOT_FOUND, 'event_store.client.StreamDeleted', details)
}

const wrong = (expected: Expected, current: number): Status => {
  const details = new shared.WrongExpectedVersion()
  if (current < 0) details.setCurrentNoStream(new empty.Empty())
  else details.setCurrentStreamRevision(String(current))
  if (expected === 'any') details.setExpectedAny(new empty.Empty())
  else if (expected === 'stream_exists') details.setExpectedStreamExists(new empty.Empty())
  else if (expected === 'no_stream') details.setExpectedNoStream(new empty.Empty())
  else details.setExpectedStreamPosition(String(expected))
  return failure('WrongExpectedVersion', codes.Code.ALREADY_EXISTS, 'event_store.client.WrongExpectedVersion', details)
}

const success = (outcome: { revision: number; position: number | undefined }): InstanceType<typeof streams.BatchAppendResp.Success> => {
  const done = new streams.BatchAppendResp.Success()
  if (outcome.revision < 0) done.setNoStream(new empty.Empty())
  else done.setCurrentRevision(String(outcome.revision))
  if (outcome.position === undefined) done.setNoPosition(new empty.Empty())
  else {
    const position = new shared.AllStreamPosition()
    position.setCommitPosition(String(outcome.position))
    position.setPreparePosition(String(outcome.position))
    done.setPosition(position)
  }
  return done
}

const expectedOf = (options: Options): Expected | undefined => {
  if (options.hasStreamPosition()) return Number(options.getStreamPosition())
  if (options.hasNoStream()) return 'no_stream'
  if (options.hasStreamExists()) return 'stream_exists'
  return options.hasAny() ? 'any' : undefined
}

const keyOf = (correlation: Uuid | undefined): string => {
  const halves = correlation?.getStructured()
  return halves ? `${halves.getMostSignificantBits()}:${halves.getLeastSignificantBits()}` : (correlation?.getString() ?? '')
}

export const batchAppend = (node: Node) => (call: ServerDuplexStream<Request, Uint8Array>): void => {
  const pending = new Map<string, Pending>()
  let unanswered = 0
  let over = false

  const finish = (refusal?: Refusal): void => {
    if (over) return
    over = true
    for (const { timer } of pending.values()) clearTimeout(timer)
    if (refusal) call.emit('error', refusal)
    else call.end()
  }

  const respond = (correlation: Uuid | undefined, stream: string, result: Status | InstanceType<typeof streams.BatchAppendResp.Success>): void => {
    if (over) return
    const response = new streams.BatchAppendResp()
    response.setCorrelationId(correlation)
    response.setStreamIdentifier(streamIdentifier(stream))
    if (result instanceof statusPb.Status) response.setError(result)
    else response.setSuccess(result)
    const bytes = response.serializeBinary()
    unlessFrozen(node.faults, () => over || call.write(bytes))
  }

  /** Waits for more events until the deadline of the options, the write timeout at the most. */
  const expire = (key: string, correlation: Uuid | undefined, waiting: Pending): void => {
    waiting.timer ??= setTimeout(() => {
      if (pending.delete(key)) respond(correlation, waiting.stream, timeout())
    }, Math.max(0, waiting.until - Date.now())).unref()
  }

  const begin = (key: string, correlation: Uuid | undefined, options: Options): boolean => {
    const stream = streamName(options.getStreamIdentifier())
    const timeoutMs = Math.min((options.getDeadline()?.toDate().getTime() ?? Infinity) - Date.now(), node.writeTimeoutMs)
    const expected = expectedOf(options)
    let refusal: Status | undefined
    if (node.credentials && unauthorised(node, call)) refusal = accessDenied()
    else if (!options.hasStreamIdentifier()) refusal = badRequest('Required field StreamIdentifier not set.')
    else if (timeoutMs <= 0) refusal = timeout()
    else if (expected === undefined) refusal = badRequest("'None' is not a valid ExpectedStreamPositionOneofCase")
    if (refusal) respond(correlation, stream, refusal)
    else if (expected !== undefined && !pending.has(key)) pending.set(key, { stream, expected, events: [], size: 0, until: Date.now() + timeoutMs })
    return !refusal
  }

  const resultOf = (expected: Expected, stream: string, outcome: Outcome | { kind: 'timeout' }) => {
    if (outcome.kind === 'done') return success(outcome)
    if (outcome.kind === 'wrong') return wrong(expected, outcome.current)
    return outcome.kind === 'deleted' ? deleted(stream) : timeout()
  }

  const answer = (correlation: Uuid | undefined, { stream, expected }: Pending, outcome: Outcome | { kind: 'timeout' }): void => {
    const result = resultOf(expected, stream, outcome)
    respond(correlation, stream, result)
    if (node.faults.doubling > 0) {
      node.faults.doubling -= 1
      respond(correlation, stream, result)
    }
    unanswered -= 1
    if (unanswered === 0 && call.readableEnded) finish()
  }

  const receive = (request: Request): void => {
    const correlation = request.getCorrelationId()
    const key = keyOf(correlation)
    const options = request.getOptions()
    if (options && !begin(key, correlation, options)) return
    const append = pending.get(key)
    if (!append) return
    for (const message of request.getProposedMessagesList()) {
      const event = proposed(message)
      if (typeof event === 'string') {
        // As on the server the append stays pending, so that its timeout is answered as well, later; and without options the call ends.
        expire(key, correlation, append)
        return options ? respond(correlation, append.stream, badRequest(event)) : finish(unhandled('Exception was thrown by handler.'))
      }
      append.events.push(event)
      append.size += sizeOnDisk(event)
    }
    if (append.size > node.maxAppendBytes) {
      pending.delete(key)
      clearTimeout(append.timer)
      respond(correlation, append.stream, tooLarge(node.maxAppendBytes))
    }
    if (!request.getIsFinal()) return expire(key, correlation, append)
    if (!pending.delete(key)) return
    clearTimeout(append.timer)
    unanswered += 1
    const refusal = notHandled(node, call)
    if (!refusal) return carryOut(node, call.getPeer(), append, (outcome) => answer(correlation, append, outcome))
    // Not ready is the answer of the one append; not being the leader ends the call, and every append pending on it.
    if (refusal.code !== status.UNAVAILABLE) return finish(refusal)
    unanswered -= 1
    respond(correlation, append.stream, notReady())
  }

  const denied = node.credentials && unauthorised(node, call)
  if (denied?.code === status.UNAUTHENTICATED) return finish(denied)
  call.on('data', (request: Request) => {
    if (over) return
    if (request.getCorrelationId()) receive(request)
    else finish(invalidArgument('The correlation id is missing.'))
  })
  call.on('cancelled', () => {
    over = true
    for (const { timer } of pending.values()) clearTimeout(timer)
  })
  call.on('end', () => {
    if (unanswered === 0) finish()
  })
}
