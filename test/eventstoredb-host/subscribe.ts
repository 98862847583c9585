/**
 * Subscriptions as 23.10 has them: EventStore/EventStore, Enumerator.AllSubscription.cs, AllSubscriptionFiltered.cs and
 * StreamSubscription.cs of that version, and SubscriptionsService.cs for what is live. First the confirmation, then the
 * log in pages, CaughtUp, then live. A page ends with as many matches or as many considered records as a window holds; a
 * checkpoint comes after a page or a live event once enough records have been considered, matching or not.
 *
 * What is live waits in two queues of 32, one behind the other. When both are full the subscription is dropped: "Consumer
 * too slow". Which differs from the server in one thing: there the queues are filled and emptied by different threads.
 */
import { randomUUID } from 'node:crypto'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { LogRecord } from './log.ts'
import type { Node } from './node.ts'
import { end, pour, type Allowed, type Place, type ReadCall } from './read.ts'
import { invalidArgument, streamDeleted, timedOut, type Refusal } from './refusals.ts'

/** What is subscribed to. With a multiplier, checkpoints come every multiplier × window records. */
export type Source =
  | { kind: 'all'; from: Place; allowed: Allowed | undefined; window: number; multiplier: number }
  | { kind: 'stream'; stream: string; after: number | 'end' }

/** How often the server looks whether a stream that is not there has come into being. */
const RETRY_MS = 50

const confirmation = (): Uint8Array => {
  const confirmed = new streams.ReadResp.SubscriptionConfirmation()
  confirmed.setSubscriptionId(randomUUID())
  const response = new streams.ReadResp()
  response.setConfirmation(confirmed)
  return response.serializeBinary()
}

const caughtUp = (): Uint8Array => {
  const response = new streams.ReadResp()
  response.setCaughtUp(new streams.ReadResp.CaughtUp())
  return response.serializeBinary()
}

const checkpoint = (commit: number, prepare: number): Uint8Array => {
  const reached = new streams.ReadResp.Checkpoint()
  reached.setCommitPosition(String(commit))
  reached.setPreparePosition(String(prepare))
  const response = new streams.ReadResp()
  response.setCheckpoint(reached)
  return response.serializeBinary()
}

/** A page of what is caught up with: what to send, or that the end is reached, or that there is no stream yet. */
type Page = { messages: Uint8Array[]; atEnd: boolean } | { retry: true } | Refusal
type Feed = { page: () => Page; live: (records: readonly LogRecord[]) => Uint8Array[] | Refusal; startsLive: boolean }

const isRefusal = (value: Page | Uint8Array[]): value is Refusal => 'code' in value

const feedOfAll = (node: Node, source: Extract<Source, { kind: 'all' }>): Feed | Refusal => {
  const { log } = node
  const { allowed, window } = source
  const interval = source.multiplier * window
  const batch = allowed ? node.readBatch : window
  let considered = 0
  let next = 0
  /** Where the page starts: what a checkpoint says when nothing in the page matched. */
  let pageStart = 0
  if (source.from === 'end') next = log.records.length
  else if (source.from !== 'start') {
    if (!log.isValid(source.from.commit)) return invalidArgument('Trying to read from an invalid position.')
    // The record at the position, or the first after it, has been seen: it is read and left out.
    next = Math.min(log.firstFrom(source.from.commit, source.from.prepare) + 1, log.records.length)
    pageStart = log.records[next - 1]?.next ?? 0
  }

  const page = (): Page => {
    const messages: Uint8Array[] = []
    let reached: [number, number] = [pageStart, 0]
    let looked = 0
    let atEnd = false
    while (messages.length < batch && looked < window) {
      const record = log.records[next]
      if (!record) {
        atEnd = true
        break
      }
      next += 1
      looked += 1
      pageStart = record.next
      if (allowed && !allowed(record)) continue
      messages.push(record.bytes)
      reached = [record.position, record.position]
    }
    considered += looked
    if (allowed && !atEnd && considered >= interval) {
      considered %= interval
      messages.push(checkpoint(...reached))
    }
    return { messages, atEnd }
  }

  const live = (records: readonly LogRecord[]): Uint8Array[] => records.flatMap((record) => {
    const messages = !allowed || allowed(record) ? [record.bytes] : []
    considered += 1
    if (allowed && considered >= interval) {
      considered = 0
      messages.push(checkpoint(record.position, record.position))
    }
    return messages
  })

  return { page, live, startsLive: source.from === 'end' }
}

const feedOfStream = (node: Node, { stream, after }: Extract<Source, { kind: 'stream' }>): Feed => {
  let next = after === 'end' ? 0 : after + 1
  const page = (): Page => {
    const view = node.log.view(stream)
    if (view.kind === 'tombstoned') return streamDeleted(stream)
    if (view.kind === 'none') return { retry: true }
    const from = Math.max(next, view.first)
    const until = Math.min(from + node.readBatch, view.end)
    next = Math.max(until, next)
    return { messages: view.records.slice(from, until).map((record) => record.bytes), atEnd: until >= view.end }
  }
  const live = (records: readonly LogRecord[]): Uint8Array[] | Refusal => {
    const mine = records.filter((record) => record.stream === stream && Number(record.revision) >= next)
    if (mine.some((record) => record.type === '$streamDeleted')) return streamDeleted(stream)
    return mine.map((record) => record.bytes)
  }
  return { page, live, startsLive: after === 'end' }
}

export const subscribe = (node: Node, call: ReadCall, source: Source): void => {
  const feed = source.kind === 'all' ? feedOfAll(node, source) : feedOfStream(node, source)
  if ('code' in feed) return end(node, call, feed)
  const { faults } = node
  const queue: Uint8Array[] = [confirmation()]
  let isLive = false
  let over = false
  /** Set while the pouring waits for something to come, and not for the call to take it. */
  let idle = false
  let timer: NodeJS.Timeout | undefined

  const stop = (refusal?: Refusal): void => {
    if (over) return
    over = true
    clearTimeout(timer)
    stopListening()
    faults.live.delete(drop)
    if (refusal) end(node, call, refusal)
  }

  const drop = (): void => stop(timedOut('Consumer too slow to handle event while live. Client resubscription required.'))

  const goLive = (): void => {
    isLive = true
    faults.live.add(drop)
    queue.push(caughtUp())
  }

  const stopListening = node.log.onIndexed((records) => {
    if (!isLive || over) return
    const messages = feed.live(records)
    if (isRefusal(messages)) return stop(messages)
    for (const message of messages) {
      queue.push(message)
      if (idle) run()
      if (queue.length > 2 * node.subscriptionBuffer && !faults.frozen) return drop()
    }
  })

  const readOn = (): void => {
    const page = feed.page()
    if (isRefusal(page)) return stop(page)
    if ('retry' in page) timer = setTimeout(run, RETRY_MS)
    else {
      queue.push(...page.messages)
      if (page.atEnd) goLive()
    }
  }

  const next = (): Uint8Array | undefined => {
    if (over) return undefined
    while (queue.length === 0 && !isLive && !over && timer === undefined) readOn()
    return queue.shift()
  }

  const run = (): void => {
    idle = false
    timer = undefined
    pour(node, call, next, () => {
      idle = true
    })
  }

  call.once('cancelled', () => stop())
  call.once('close', () => stop())
  if (feed.startsLive) goLive()
  run()
}
