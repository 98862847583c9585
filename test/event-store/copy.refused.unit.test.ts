import { describe, expect, it } from 'vitest'
import { emptyHead } from '../../src/event-store/chain.ts'
import { CopyFault, differenceOf, makeCopy, type Log } from '../../src/event-store/copy.ts'
import type { RecordedEvent } from '../../src/event-store/port.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { makeEvents } from './contract.ts'
import { altered, content, dyingAfter, failure, makeSource } from './copy.world.ts'

describe('a target that is no copy', () => {
  const foreign = async (store: MemoryStore, stream = 'other-1') => store.append({ stream, expectedRevision: 'no_stream', events: makeEvents(stream, emptyHead(stream)).events })

  it('is found before anything is written: another log, one more event in the midst, one after the end', async () => {
    const source = await makeSource(20)
    const total = content(source).length

    const other = await makeSource(20)
    const first = await makeCopy(source, other).compare()
    expect(first).toMatchObject({ kind: 'different', events: 0 })
    expect(differenceOf(first)).toMatch(/^The target is not a copy of the source: event 1 is Noted [0-9a-f-]{36} \(thing-0, revision 0\) in the source and Noted [0-9a-f-]{36} \(thing-0, revision 0\) in the target$/)

    const midst = makeMemoryStore()
    await failure(makeCopy(source, dyingAfter(midst, 5, false)).copyOn())
    const common = content(midst).length
    await foreign(midst)
    expect(differenceOf(await makeCopy(source, midst).compare())).toContain(`event ${common + 1} is `)

    const end = source.fork()
    await foreign(end)
    const found = await makeCopy(source, end).compare()
    expect(found).toMatchObject({ kind: 'ahead', events: total, next: { stream: 'other-1' } })
    expect(differenceOf(found)).toContain(`after the ${total} event(s) of the source it goes on with Noted`)
    await expect(makeCopy(source, end).finish()).rejects.toThrow('is not a copy of the source')
    expect(content(end)).toHaveLength(total + 1)
  })

  it('is told apart by its content, though its hashes are the same', async () => {
    const source = await makeSource(20)
    const target = altered(source.fork(), (event) => (event.position === 9n ? { ...event, data: { n: 'changed' } } : event))
    await expect(makeCopy(source, target).compare()).rejects.toThrow(/^The target is damaged: Noted .* position 9: its hash does not fit its content$/)
  })

  it('that is written to meanwhile is told of', async () => {
    const source = await makeSource(20)
    const target = makeMemoryStore()
    const copy = makeCopy(source, { readAll: target.readAll, append: async (request) => {
      if (request.stream === 'thing-3') await foreign(target, 'thing-3')
      return target.append(request)
    } })
    await expect(copy.finish()).rejects.toThrow('The target has taken something else on thing-3 meanwhile')
  })

  it('that took an append out of turn is told of, and not taken for a copy afterwards', async () => {
    const source = await makeSource(20)
    const target = makeMemoryStore()
    let late = 2
    const copy = makeCopy(source, { readAll: target.readAll, append: async (request) => {
      late -= 1
      if (late === 0) await new Promise(setImmediate)
      return target.append(request)
    } })
    await expect(copy.finish()).rejects.toThrow('out of turn')
    await expect(makeCopy(source, target).compare()).resolves.toMatchObject({ kind: 'different' })
  })
})

describe('a source', () => {
  it('that is written to meanwhile is copied on; when it never rests, that is said', async () => {
    const source = await makeSource(20)
    let writes = 2
    const restless: Log = {
      append: source.append,
      async *readAll(options) {
        yield* source.readAll(options)
        if (writes > 0) {
          writes -= 1
          const stream = `late-${writes}`
          await source.append({ stream, expectedRevision: 'no_stream', events: makeEvents(stream, emptyHead(stream)).events })
        }
      },
    }
    const target = makeMemoryStore()
    let moved = 0
    await makeCopy(restless, target).finish({ onMoved: () => (moved += 1) })
    expect(content(target)).toEqual(content(source))
    expect(moved).toBeGreaterThan(0)

    writes = 1000
    await expect(makeCopy(restless, makeMemoryStore()).finish()).rejects.toThrow('Somebody still writes to the source: stop every service on it, then run the same again; what has been copied stays')
  })

  it.each([
    ['changed data', (event: RecordedEvent) => ({ ...event, data: { n: 'changed' } }), 'its hash does not fit its content'],
    ['a changed actor', (event: RecordedEvent) => ({ ...event, metadata: { ...event.metadata, actor: 'nobody' } }), 'its hash does not fit its content'],
    ['an event less', () => undefined, /revision \d+ follows -?\d+/],
  ])('that is damaged, by %s, is found and named, and the damaged event is not copied', async (_what, change, fault) => {
    const source = await makeSource(40)
    const damaged = altered(source, (event) => (event.position === 31n ? change(event) : event))
    const target = makeMemoryStore()
    const error = await failure(makeCopy(damaged, target).finish())
    expect(error).toBeInstanceOf(CopyFault)
    expect(String(error)).toMatch(/The source is damaged: Noted [0-9a-f-]{36} \(thing-\d, revision \d+\), position \d+/)
    expect(String(error)).toMatch(fault)
    // That one is missing shows at the next event of its stream only.
    const copied = content(target).length
    if (typeof fault === 'string') expect(copied).toBeLessThanOrEqual(30)
    if (typeof fault === 'string') expect(content(target)).toEqual(content(source).slice(0, copied))

    const whole = source.fork()
    if (typeof fault === 'string') await expect(makeCopy(damaged, whole).compare()).rejects.toThrow(fault)
    else expect(await makeCopy(damaged, whole).compare()).toMatchObject({ kind: 'different', events: 30 })
  })

  it('that cannot be read is named', async () => {
    const source: Log = {
      append: makeMemoryStore().append,
      async *readAll() {
        throw new Error('the event at position 3 (thing-1, revision 2) cannot be read')
      },
    }
    await expect(makeCopy(source, makeMemoryStore()).compare()).rejects.toThrow('The source cannot be read: the event at position 3 (thing-1, revision 2) cannot be read')
  })
})
