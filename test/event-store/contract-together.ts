import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { emptyHead, type Head } from '../../src/event-store/chain.ts'
import { AppendTooLarge, EventStoreUnavailable, MAX_APPEND_BYTES, type AppendWithReceipt, type EventStore, type JsonObject } from '../../src/event-store/port.ts'
import { collect, expected, expectWhole, follow, inTurn, makeAttempt, makeEvents, makeReceipt, makeWriter, newStream, readLog, times, until, type StoreUnderTest } from './contract.ts'

/** Appends to one stream, each going on where the one before ends: so many events each, each with its receipt. */
export const makeTogether = (stream: string, from: Head, sizes: readonly number[], data: JsonObject = {}): { appends: AppendWithReceipt[]; head: Head } => {
  let head = from
  const appends = sizes.map((size, index) => {
    const made = makeEvents(stream, head, times(size, (n) => ({ ...data, index, n })))
    const append = { stream, expectedRevision: expected(head), events: made.events, receipt: makeReceipt([stream], { index }) }
    head = made.head
    return append
  })
  return { appends, head }
}

const outcomes = (results: readonly { outcome: string }[]) => results.map(({ outcome }) => outcome)
const idsOf = (appends: readonly { events: readonly { id: string }[] }[]) => appends.flatMap(({ events }) => events.map(({ id }) => id))

/** What every adapter of the port promises of appends that go together. */
export const appendTogetherContract = (name: string, open: () => Promise<StoreUnderTest>): void => {
  describe(`appends together on ${name}`, () => {
    let log: StoreUnderTest
    let store: EventStore
    beforeAll(async () => {
      log = await open()
      store = log.store
    })
    afterAll(() => log.close())
    const receiptsOf = (appends: readonly AppendWithReceipt[]) => Promise.all(appends.map(({ receipt }) => store.receipts.find(receipt.commandId)))
    const newTogether = (sizes: readonly number[]) => {
      const stream = newStream()
      return { stream, ...makeTogether(stream, emptyHead(stream), sizes) }
    }

    it('are in the stream in their order, next to each other; each is answered, and has its receipt, with its own revision and position', async () => {
      const { stream, appends } = newTogether([2, 1, 3])
      const results = await store.appendTogether(appends)
      const read = await collect(store.readStream(stream))
      expect(read.map(({ id }) => id)).toEqual(idsOf(appends))
      expectWhole(read)
      expect(results).toEqual([1, 2, 5].map((revision) => ({ outcome: 'appended', revision, position: read[revision]?.position })))
      expect(await receiptsOf(appends)).toEqual(appends.map(({ receipt }, index) => ({ ...receipt, position: read[[1, 2, 5][index] ?? 0]?.position })))
      const next = makeTogether(stream, { revision: 5, hash: read[5]?.metadata.hash ?? '', recordedAt: null }, [1, 1])
      expect(await store.appendTogether(next.appends)).toMatchObject([{ outcome: 'appended', revision: 6 }, { outcome: 'appended', revision: 7 }])
    })

    it('one alone is an append', async () => {
      const { stream, appends } = newTogether([3])
      expect(await store.appendTogether(appends)).toEqual([{ outcome: 'appended', revision: 2, position: (await collect(store.readStream(stream))).at(-1)?.position }])
    })

    it('are all in or none: where the first conflicts all do, and leave no receipt', async () => {
      const { stream, appends } = newTogether([1, 2, 1])
      const { request } = await makeWriter(store, stream).append([{}, {}])
      expect(await store.appendTogether(appends)).toEqual(times(3, () => ({ outcome: 'conflict', actualRevision: 1 })))
      expect((await collect(store.readStream(stream))).map(({ id }) => id)).toEqual(idsOf([request]))
      expect(await receiptsOf(appends)).toEqual([undefined, undefined, undefined])
      // A refusal of one of them is not held up by what came to nothing.
      for (const { receipt } of appends) expect(await store.receipts.record(receipt, makeAttempt(receipt.commandId))).toEqual({ ...receipt, position: null })
    })

    it.each([0, 1, 2])('with a receipt of number %i there already append nothing: that one is answered, the others may decide anew', async (there) => {
      const { stream, appends } = newTogether([1, 2, 1])
      const kept = await store.receipts.record({ ...(appends[there]?.receipt ?? expect.fail('no such append')), answer: { first: true } })
      expect(await store.appendTogether(appends)).toEqual(appends.map((_, index) => (index === there ? { outcome: 'answered', receipt: kept } : { outcome: 'conflict', actualRevision: 'no_stream' })))
      expect(await collect(store.readStream(stream))).toEqual([])
      expect(await receiptsOf(appends)).toEqual(appends.map((_, index) => (index === there ? kept : undefined)))
      const others = appends.filter((_, index) => index !== there)
      for (const { receipt } of others) expect(await store.receipts.record(receipt)).toEqual({ ...receipt, position: null })
    })

    it('with the receipt of one appended elsewhere append nothing, on a stream that has gone on', async () => {
      const writer = makeWriter(store)
      await writer.append([{}, {}])
      const { appends } = makeTogether(writer.stream, writer.head(), [1, 1])
      const elsewhere = newStream()
      await store.append({ stream: elsewhere, expectedRevision: 'no_stream', events: makeEvents(elsewhere, emptyHead(elsewhere)).events, ...(appends[1] && { receipt: appends[1].receipt }) })
      expect(await store.appendTogether(appends)).toMatchObject([{ outcome: 'conflict', actualRevision: 1 }, { outcome: 'answered', receipt: { answer: { index: 1 } } }])
      expect((await writer.append()).result).toMatchObject({ outcome: 'appended', revision: 2 })
    })

    it('sent again are answered from their receipts, at once and long after, by any process', async () => {
      const { stream, appends, head } = newTogether([2, 1, 1])
      await store.appendTogether(appends)
      const answers = (await receiptsOf(appends)).map((receipt) => ({ outcome: 'answered', receipt }))
      expect(await store.appendTogether(appends)).toEqual(answers)
      await store.appendTogether(makeTogether(stream, head, [1, 2]).appends)
      const end = await store.head()
      expect(await store.appendTogether(appends)).toEqual(answers)
      const other = await log.reopen?.()
      if (other) expect(await other.appendTogether(appends).finally(() => other.close())).toEqual(answers)
      expect(await store.head()).toBe(end)
    })

    it('sent twice at once are there once', async () => {
      const { stream, appends } = newTogether([1, 2])
      const results = await Promise.all(times(4, () => store.appendTogether(appends)))
      const read = await collect(store.readStream(stream))
      expect(read.map(({ id }) => id)).toEqual(idsOf(appends))
      for (const result of results.flat()) expect(['appended', 'answered']).toContain(result.outcome)
      expect((await receiptsOf(appends)).map((receipt) => receipt?.position)).toEqual([read[0]?.position, read[2]?.position])
    })

    it('of many at one place one is in as a whole; of many that share a command one is in at all', async () => {
      const stream = newStream()
      const rivals = times(10, () => makeTogether(stream, emptyHead(stream), [1, 2, 1]).appends)
      const results = await Promise.all(rivals.map((appends) => store.appendTogether(appends)))
      const winner = results.findIndex((result) => result[0]?.outcome === 'appended')
      expect(results.map(outcomes)).toEqual(rivals.map((_, index) => times(3, () => (index === winner ? 'appended' : 'conflict'))))
      expect((await collect(store.readStream(stream))).map(({ id }) => id)).toEqual(idsOf(rivals[winner] ?? []))

      const shared = makeReceipt([])
      const sharing = times(8, () => newTogether([1, 1, 1])).map(({ stream: own, appends }) => ({ own, appends: appends.map((append, index) => (index === 1 ? { ...append, receipt: shared } : append)) }))
      const shares = await Promise.all(sharing.map(({ appends }) => store.appendTogether(appends)))
      expect(shares.map((result) => outcomes(result).join(' ')).toSorted()).toEqual(['appended appended appended', ...times(7, () => 'conflict answered conflict')])
      expect((await Promise.all(sharing.map(({ own }) => collect(store.readStream(own))))).map((events) => events.length).toSorted()).toEqual([...times(7, () => 0), 3])
    })

    it('stand among other appends of the moment, good and bad, without harm to either', async () => {
      const before = await store.head()
      const follower = follow(store, { after: before })
      const taken = times(5, () => newTogether([1, 1]))
      for (const { stream } of taken) await makeWriter(store, stream).append()
      const good = times(20, (n) => newTogether(times(1 + (n % 4), (k) => 1 + (k % 3))))
      const singles = times(20, () => makeWriter(store))
      const [conflicts, appended, alone] = await Promise.all([
        Promise.all(taken.map(({ appends }) => store.appendTogether(appends))),
        Promise.all(good.map(({ appends }) => store.appendTogether(appends))),
        Promise.all(singles.map((writer) => writer.append([{}, {}], makeReceipt([writer.stream])))),
      ])
      expect(new Set(conflicts.flatMap(outcomes))).toEqual(new Set(['conflict']))
      expect(new Set(appended.flatMap(outcomes))).toEqual(new Set(['appended']))
      expect(new Set(alone.map(({ result }) => result.outcome))).toEqual(new Set(['appended']))
      const events = await readLog(store, { after: before })
      expectWhole(events)
      for (const [index, { appends }] of good.entries()) {
        const positions = appends.map(({ events: own }) => events.find(({ id }) => id === own.at(-1)?.id)?.position)
        expect(appended[index]?.map((result) => (result.outcome === 'appended' ? result.position : undefined))).toEqual(positions)
        expect((await receiptsOf(appends)).map((receipt) => receipt?.position)).toEqual(positions)
      }
      await until(() => follower.events().length === events.length)
      await follower.stop()
      expect(follower.events()).toEqual(events)
    })

    it('that cannot be one append are refused, and nothing of them is there', async () => {
      const refuse = async (change: (appends: AppendWithReceipt[]) => AppendWithReceipt[], error: typeof TypeError | typeof AppendTooLarge = TypeError) => {
        const { stream, appends } = newTogether([1, 1])
        await store.appendTogether(change(appends)).then(() => expect.fail('accepted'), (thrown: unknown) => expect(thrown).toBeInstanceOf(error))
        expect(await collect(store.readStream(stream))).toEqual([])
      }
      const [stranger] = newTogether([1]).appends
      await refuse(() => [])
      await refuse((appends) => appends.toReversed())
      await refuse((appends) => (stranger ? [...appends, stranger] : []))
      await refuse((appends) => appends.map((append) => ({ ...append, expectedRevision: 'no_stream' })))
      await refuse((appends) => appends.map((append) => ({ ...append, events: [] })))
      await refuse((appends) => appends.map((append) => ({ ...append, receipt: makeReceipt([]) })).map((append, _index, all) => ({ ...append, receipt: all[0]?.receipt ?? append.receipt })))
      const text = 'x'.repeat(MAX_APPEND_BYTES / 2)
      await refuse(([first]) => (first ? makeTogether(first.stream, emptyHead(first.stream), [1, 1], { text }).appends : []), AppendTooLarge)
    })

    it('while connections are cut are all in or none, and what their answers say', async () => {
      let rounds = 0
      const writing = Promise.all(times(6, async () => {
        const stream = newStream()
        let head = emptyHead(stream)
        const written: string[] = []
        await inTurn(15, async () => {
          const made = makeTogether(stream, head, [1, 2, 1])
          const results = await store.appendTogether(made.appends)
          expect(['appended appended appended', 'answered answered answered']).toContain(outcomes(results).join(' '))
          head = made.head
          written.push(...idsOf(made.appends))
          rounds += 1
        })
        return { stream, written }
      }))
      for (const goal of [10, 30, 50, 70]) {
        await until(() => rounds >= goal)
        await log.cutConnections()
      }
      for (const { stream, written } of await writing) {
        const events = await vi.waitFor(() => collect(store.readStream(stream)), { timeout: 5000 })
        expect(events.map(({ id }) => id)).toEqual(written)
        expectWhole(events)
      }
    })

    it('to a store that is closed are unavailable', async () => {
      const other = await log.reopen?.()
      if (!other) return
      await other.close()
      await expect(other.appendTogether(newTogether([1, 1]).appends)).rejects.toBeInstanceOf(EventStoreUnavailable)
    })
  })
}
