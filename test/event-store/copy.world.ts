import { emptyHead, type Head } from '../../src/event-store/chain.ts'
import type { Log } from '../../src/event-store/copy.ts'
import { EventStoreUnavailable, type RecordedEvent } from '../../src/event-store/port.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { expected, inTurn, makeEvents, times } from './contract.ts'

/** A log of so many appends over a few streams, now and then several events to one, or one stream twice in a row. */
export const writeLog = async (store: MemoryStore, appends: number, numberOf = (n: number) => (n * n + Math.floor(n / 3)) % 7): Promise<MemoryStore> => {
  const heads = new Map<string, Head>()
  await inTurn(appends, async (n) => {
    const stream = `thing-${numberOf(n)}`
    const head = heads.get(stream) ?? emptyHead(stream)
    const made = makeEvents(stream, head, times(1 + (n % 3), (m) => ({ n, m, text: '王' })))
    await store.append({ stream, expectedRevision: expected(head), events: made.events })
    heads.set(stream, made.head)
  })
  return store
}

export const content = (store: Pick<MemoryStore, 'since'>) => store.since(0n).map(({ id, type, data, metadata, stream, revision }) => ({ id, type, data, metadata, stream, revision }))
export const makeSource = (appends = 60) => writeLog(makeMemoryStore(), appends)
export const failure = async (work: Promise<unknown>): Promise<unknown> => work.then(() => undefined, (error: unknown) => error)

/** A target whose process dies with an append: before it is done, or after. Nothing gets there any more. */
export const dyingAfter = (store: MemoryStore, appends: number, done: boolean): Log => {
  let seen = 0
  return {
    readAll: store.readAll,
    append: async (request) => {
      seen += 1
      if (seen <= appends) return store.append(request)
      if (done && seen === appends + 1) await store.append(request)
      throw new EventStoreUnavailable('killed')
    },
  }
}
/** A log whose events are changed on their way to the reader. */
export const altered = (store: MemoryStore, change: (event: RecordedEvent) => RecordedEvent | undefined): Log => ({
  append: store.append,
  async *readAll(options) {
    for await (const batch of store.readAll(options)) yield { ...batch, events: batch.events.flatMap((event) => change(event) ?? []) }
  },
})
