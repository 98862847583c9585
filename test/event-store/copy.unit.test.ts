import { describe, expect, it } from 'vitest'
import { emptyHead } from '../../src/event-store/chain.ts'
import { makeCopy, type CopyProgress, type Log } from '../../src/event-store/copy.ts'
import { EventStoreUnavailable, type Append, type Batch } from '../../src/event-store/port.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { expected, inTurn, makeEvents, times } from './contract.ts'
import { content, dyingAfter, failure, makeSource, writeLog } from './copy.world.ts'

describe('a copy', () => {
  it('has the same events in the same order, chain and all, and is found to be the same', async () => {
    const source = await makeSource(2500)
    const target = makeMemoryStore()
    const told: CopyProgress[] = []
    const copy = makeCopy(source, target, (progress) => told.push({ ...progress }))
    expect(await copy.compare()).toEqual({ kind: 'behind', events: 0 })
    expect(await copy.finish()).toBe(source.since(0n).length)
    expect(content(target)).toEqual(content(source))
    expect(told.filter(({ doing }) => doing === 'copying').at(-1)).toEqual({ doing: 'copying', events: content(source).length, position: await source.head() })
    expect(told.at(-1)).toEqual({ doing: 'comparing', events: content(source).length, position: await source.head() })
  })

  it('of an empty log is empty', async () => {
    const target = makeMemoryStore()
    expect(await makeCopy(makeMemoryStore(), target).finish()).toBe(0)
    expect(content(target)).toEqual([])
  })

  it('takes consecutive events of a stream together, up to what one append may hold, also over pages', async () => {
    const source = makeMemoryStore()
    let head = emptyHead('long-one')
    await inTurn(60, async () => {
      const made = makeEvents('long-one', head, times(50, () => ({ text: 'x'.repeat(600) })))
      await source.append({ stream: 'long-one', expectedRevision: expected(head), events: made.events })
      head = made.head
    })
    const target = makeMemoryStore()
    const sizes: number[] = []
    await makeCopy(source, { readAll: target.readAll, append: (request) => (sizes.push(request.events.length), target.append(request)) }).finish()
    expect(content(target)).toEqual(content(source))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(3000)
    expect(sizes.length).toBeLessThan(8)
  })

  it('has one append of a stream under way at a time, at exact revisions, and few hundred of all', async () => {
    const source = await writeLog(makeMemoryStore(), 700, (n) => (n < 600 ? n : n % 9))
    const target = makeMemoryStore()
    const revisions = new Map<string, number>()
    const underWay = new Set<string>()
    let most = 0
    const append = async (request: Append) => {
      expect(underWay.has(request.stream)).toBe(false)
      expect(request.expectedRevision).toBe(revisions.get(request.stream) ?? 'no_stream')
      revisions.set(request.stream, (revisions.get(request.stream) ?? -1) + request.events.length)
      underWay.add(request.stream)
      most = Math.max(most, underWay.size)
      const result = await target.append(request)
      await new Promise(setImmediate)
      underWay.delete(request.stream)
      return result
    }
    await makeCopy(source, { readAll: target.readAll, append }).finish()
    expect(content(target)).toEqual(content(source))
    expect(most).toBe(511)
  })

  it('reads on when a log is out of reach for a while', async () => {
    const source = await makeSource(1200)
    const target = makeMemoryStore()
    let fails = 6
    const shaky = (store: MemoryStore): Log => ({
      append: store.append,
      async *readAll(options) {
        for await (const batch of store.readAll(options)) {
          const half: Batch = { ...batch, events: batch.events.slice(0, batch.events.length / 2) }
          if (fails > 0 && half.events.length > 0) {
            fails -= 1
            yield half
            throw new EventStoreUnavailable('away')
          }
          yield batch
        }
      },
    })
    await makeCopy(shaky(source), shaky(target)).finish()
    expect(content(target)).toEqual(content(source))
    expect(fails).toBe(0)
  })
})

describe('a copy that was interrupted', () => {
  it.each([['before the append is done', false], ['after it is done, unanswered', true]])('goes on where it stopped, wherever that was: %s', async (_when, done) => {
    const source = await makeSource(40)
    for (let appends = 0; ; appends += 1) {
      const target = makeMemoryStore()
      const stopped = await failure(makeCopy(source, dyingAfter(target, appends, done)).copyOn())
      if (stopped === undefined) break
      expect(stopped).toBeInstanceOf(EventStoreUnavailable)
      const kept = content(target)
      expect(kept).toEqual(content(source).slice(0, kept.length))
      const copy = makeCopy(source, target)
      expect(await copy.compare()).toMatchObject({ events: kept.length })
      await copy.finish()
      expect(content(target)).toEqual(content(source))
    }
  })

  it('again and again, gets there', async () => {
    const source = await makeSource(40)
    const target = makeMemoryStore()
    for (let before = -1; content(target).length > before;) {
      before = content(target).length
      const copy = makeCopy(source, dyingAfter(target, 1, false))
      await copy.compare()
      await failure(copy.copyOn())
    }
    expect(content(target)).toEqual(content(source))
  })

  it('may still have appends on their way: the same again meets itself', async () => {
    const source = await makeSource(40)
    const target = makeMemoryStore()
    const copy = makeCopy(source, target)
    await copy.compare()
    await makeCopy(source, target).copyOn()
    expect(await copy.finish()).toBe(content(source).length)
    expect(content(target)).toEqual(content(source))
  })
})
