/** What the tests of the host are made of. Events are mostly written to its log directly: one process can have one appending client only. */
import { randomUUID } from 'node:crypto'
import { EventStoreDBClient, jsonEvent, type AllStreamSubscription, type StreamSubscription } from '@eventstore/db-client'
import { vi } from 'vitest'
import type { Expected, HostLog, Outcome } from './log.ts'

export const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index))
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
export const newStream = (kind = 'thing'): string => `${kind}-${randomUUID()}`

/** Any credentials make an append take the unary path; an insecure connection does not send them. */
export const unary = { credentials: { username: 'somebody', password: 'something' } }

export const connect = (url: string, more = ''): EventStoreDBClient => EventStoreDBClient.connectionString(url + more)

export const event = (data: object = {}, more: { id?: string; type?: string; metadata?: object } = {}) =>
  jsonEvent({ id: randomUUID(), type: 'Noted', data: { ...data }, ...more, ...(more.metadata && { metadata: { ...more.metadata } }) })

/** Appends to the log itself, without a client. */
export const put = (log: HostLog, stream: string, count = 1, more: { type?: string; bytes?: number; expected?: Expected } = {}): Promise<Outcome> => {
  const data = Buffer.from(JSON.stringify({ text: 'x'.repeat(more.bytes ?? 0) }))
  const events = times(count, () => ({ id: randomUUID(), type: more.type ?? 'Noted', isJson: true, data, metadata: new Uint8Array() }))
  return new Promise((resolve) => log.append(stream, more.expected ?? 'any', events, 0, resolve))
}

export const collect = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** What is thrown, with the fields by which callers of the client tell errors apart. */
export const failure = async (work: Promise<unknown>): Promise<{ type: unknown; code: unknown; message: string; error: Error }> => {
  const error = await work.then(() => new Error('it succeeded'), (thrown: unknown) => (thrown instanceof Error ? thrown : new Error(String(thrown))))
  const field = (name: string): unknown => Reflect.get(error, name)
  return { type: field('type'), code: field('code'), message: error.message, error }
}

export const until = (condition: () => boolean, timeout = 5_000): Promise<void> =>
  vi.waitFor(() => {
    if (!condition()) throw new Error(`still not so: ${condition}`)
  }, { timeout, interval: 2 })

/** A subscription that keeps what comes, in order: the marks beside the events. */
export const watch = (subscription: AllStreamSubscription | StreamSubscription) => {
  const seen: string[] = []
  const ids: string[] = []
  let error: Error | undefined
  subscription.on('confirmation', () => seen.push('confirmation'))
  subscription.on('caughtUp', () => seen.push('caughtUp'))
  subscription.on('error', (failed) => {
    error = failed
  })
  subscription.on('data', (resolved: { event?: { streamId: string; id: string } }) => {
    seen.push(resolved.event?.streamId ?? '')
    ids.push(resolved.event?.id ?? '')
  })
  const streams = (): string[] => seen.filter((one) => one !== 'confirmation' && one !== 'caughtUp' && !one.startsWith('$'))
  return { seen, ids, streams, error: () => error, caughtUp: () => until(() => seen.includes('caughtUp')), stop: () => subscription.unsubscribe() }
}
