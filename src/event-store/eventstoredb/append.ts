import { randomUUID } from 'node:crypto'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js'
import type { ClientDuplexStream } from '@grpc/grpc-js'
import { validate } from 'uuid'
import { AppendTooLarge, EventStoreUnavailable, MAX_APPEND_BYTES, type Append, type AppendResult, type Position } from '../port.ts'
import { checkStreamName } from '../stored-event.ts'
import { backoff, pause } from '../waiting.ts'
import { isRefused, noAnswer, unavailable, type Call, type Connection } from './connection.ts'
import type { Names } from './names.ts'
import { batchAppend } from './requests.ts'

/** Without an answer for this long an append is sent again: a copy that meets the first still in flight is dropped by the server, unanswered. */
const RESEND_MS = 2500
/** Between two sendings of one append, at least. */
const FIRST_PAUSE_MS = 100
/** How long the server may take it that an append is meant: far more than one waits, for clocks that differ. */
const DEADLINE_MS = 30_000
const LOOK_MS = 250

type Pipe = { call: Call; stream: ClientDuplexStream<BatchAppendReq, BatchAppendResp>; heard: number }
type Waiting = {
  append: Append
  frame: (correlationId: string, deadline: Date) => BatchAppendReq
  since: number
  sentAt: number
  sendings: string[]
  settle: (result: AppendResult) => void
  fail: (error: unknown) => void
}

/**
 * Appends over one call that lives on, many at a time. Whatever becomes of the connection, an append is resolved by
 * sending the same ids at the same revision again, which the server recognises; only when its outcome cannot be
 * learned within `timeoutMs` does it reject, with EventStoreUnavailable.
 */
export const makeAppender = (options: {
  connection: Connection
  names: Names
  timeoutMs: number
  /** Where an event stands, for the rare answer that does not say. */
  positionAt: (stream: string, revision: number) => Promise<Position>
}) => {
  const { connection, names, timeoutMs } = options
  const waiting = new Set<Waiting>()
  const bySending = new Map<string, Waiting>()
  /** What is under way, by its first event: the same one asked for twice is sent once. */
  const underWay = new Map<string, Promise<AppendResult>>()
  let pipe: Pipe | undefined
  let opening: Promise<void> | undefined
  let notBefore = 0
  let watch: NodeJS.Timeout | undefined
  let again: NodeJS.Timeout | undefined
  /** Sent alone, to see whether the server takes it. */
  let trying: Waiting | undefined
  let closed = false

  const append = async (request: Append): Promise<AppendResult> => {
    checkStreamName(request.stream)
    if (closed) throw new EventStoreUnavailable('the store is closed')
    const [first] = request.events
    if (!first) throw new TypeError('an append needs an event')
    if (!request.events.every((event) => validate(event.id) && event.type !== '')) throw new TypeError('an event needs a uuid and a type')
    const bytes = request.events.reduce((sum, event) => sum + Buffer.byteLength(JSON.stringify(event)), 0)
    if (bytes > MAX_APPEND_BYTES) throw new AppendTooLarge(`the events of one command may have ${MAX_APPEND_BYTES} bytes, these have ${bytes}`)
    const key = `${first.id} ${request.stream} ${request.expectedRevision}`
    const known = underWay.get(key)
    if (known) return known
    const outcome = new Promise<AppendResult>((resolve, reject) => {
      const done = (end: () => void) => () => {
        waiting.delete(item)
        for (const sending of item.sendings) bySending.delete(sending)
        underWay.delete(key)
        end()
        sendRest(item)
      }
      const item: Waiting = {
        append: request, frame: batchAppend(names.toServer(request.stream), request), since: performance.now(), sentAt: 0, sendings: [],
        settle: (result) => done(() => resolve(result))(),
        fail: (error) => done(() => reject(error))(),
      }
      waiting.add(item)
      if (pipe) send(pipe, item)
      else ensurePipe()
    })
    underWay.set(key, outcome)
    watch ??= setInterval(look, LOOK_MS)
    return outcome
  }

  const send = (to: Pipe, item: Waiting): void => {
    const correlationId = randomUUID()
    item.sendings.push(correlationId)
    bySending.set(correlationId, item)
    item.sentAt = performance.now()
    to.stream.write(item.frame(correlationId, new Date(Date.now() + DEADLINE_MS)))
  }

  /** One call for all; opened again, with growing pauses, for as long as something waits. Everything unanswered is then sent again. */
  const ensurePipe = (): void => {
    opening ??= (async () => {
      for (let attempt = 0; !pipe && waiting.size > 0; attempt += 1) {
        // A copy that comes too soon after the first would be dropped as still in flight.
        await pause(Math.max(notBefore - performance.now(), attempt > 0 ? backoff(attempt, FIRST_PAUSE_MS) : 0))
        try {
          pipe = openPipe(await connection.open())
        } catch {
          // No server yet: what waits gives up by its own clock.
        }
      }
      opening = undefined
      if (pipe) for (const item of waiting) send(pipe, item)
    })()
  }

  const openPipe = (call: Call): Pipe => {
    const opened: Pipe = { call, stream: call.client.batchAppend(call.metadata, call.options), heard: performance.now() }
    opened.stream.on('data', (answer: BatchAppendResp) => {
      opened.heard = performance.now()
      void settle(answer, opened)
    })
    opened.stream.on('error', (error: Error) => lose(opened, error))
    opened.stream.on('end', () => lose(opened, noAnswer(0)))
    return opened
  }

  const lose = (lost: Pipe, error: Error): void => {
    if (pipe !== lost) return
    pipe = undefined
    trying = undefined
    if (isRefused(error)) for (const item of waiting) item.fail(unavailable(error))
    notBefore = performance.now() + FIRST_PAUSE_MS * (1 + Math.random())
    void connection.failed(lost.call, error).then(() => {
      if (waiting.size > 0) ensurePipe()
    })
  }

  const settle = async (answer: BatchAppendResp, from: Pipe): Promise<void> => {
    const item = bySending.get(answer.getCorrelationId()?.getString() ?? '')
    if (!item) return
    const { stream, events, expectedRevision } = item.append
    const success = answer.getSuccess()
    if (success) {
      const revision = (expectedRevision === 'no_stream' ? -1 : expectedRevision) + events.length
      const at = success.getPosition()
      try {
        item.settle({ outcome: 'appended', revision, position: at ? BigInt(at.getCommitPosition()) : await options.positionAt(stream, revision) })
      } catch (error) {
        item.fail(new EventStoreUnavailable('the position of what was appended could not be read', { cause: error }))
      }
      return
    }
    const error = answer.getError()
    const details = error?.getDetails()
    const kind = details?.getTypeName() ?? ''
    if (kind === 'event_store.client.WrongExpectedVersion') {
      const conflict = details?.unpack((bytes) => shared.WrongExpectedVersion.deserializeBinary(bytes), kind)
      item.settle({ outcome: 'conflict', actualRevision: conflict?.hasCurrentStreamRevision() ? Number(conflict.getCurrentStreamRevision()) : 'no_stream' })
    } else if (kind === 'event_store.client.MaximumAppendSizeExceeded') {
      item.fail(new AppendTooLarge('the server takes smaller appends only: raise its MaxAppendSize to the default of 1 MiB'))
    } else if (kind === 'event_store.client.AccessDenied') {
      item.fail(new EventStoreUnavailable('the event store does not let this user append: check the credentials in EVENTSTORE_URL and the ACL'))
    } else if (kind === 'event_store.client.StreamDeleted') {
      item.fail(new EventStoreUnavailable(`${stream} was deleted on the server, which Kehu's streams never may be`))
    } else if (kind === 'event_store.client.BadRequest') {
      item.fail(new Error(`the event store refused an append to ${stream} as malformed`))
    } else {
      sendAgain(from, item.sendings.length)
    }
  }

  /**
   * Timed out in the server, or it is not ready or busy: outcome unknown. A little later the same again, the oldest
   * alone: only once that is taken the others follow, so that nothing overtakes what was asked for before it.
   */
  const sendAgain = (to: Pipe, attempt: number): void => {
    again ??= setTimeout(() => {
      again = undefined
      const [oldest] = waiting
      if (pipe !== to || !oldest) return
      trying = oldest
      send(to, oldest)
    }, backoff(attempt, FIRST_PAUSE_MS) * 2)
  }
  const sendRest = (taken: Waiting): void => {
    if (trying !== taken) return
    trying = undefined
    if (pipe) for (const item of waiting) send(pipe, item)
  }

  /** What has waited too long is sent again, or told that the outcome is not known. A call that is silent is given up. */
  const look = (): void => {
    const now = performance.now()
    if (waiting.size === 0) {
      clearInterval(watch)
      watch = undefined
      return
    }
    for (const item of waiting) {
      if (now - item.since > timeoutMs) item.fail(new EventStoreUnavailable('the log did not answer in time'))
      else if (pipe && !again && (trying ?? item) === item && item.sentAt > 0 && now - item.sentAt > RESEND_MS) {
        if (pipe.heard < item.sentAt) {
          const silent = pipe
          lose(silent, noAnswer(RESEND_MS))
          silent.stream.cancel()
        } else send(pipe, item)
      }
    }
    if (!pipe && waiting.size > 0) ensurePipe()
  }

  const close = async (): Promise<void> => {
    while (waiting.size > 0) await Promise.allSettled(underWay.values())
    closed = true
    clearInterval(watch)
    clearTimeout(again)
    watch = undefined
    const last = pipe
    pipe = undefined
    last?.stream.cancel()
  }

  return { append, close }
}
