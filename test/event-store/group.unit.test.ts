import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeGroup } from '../../src/event-store/group.ts'
import { pause } from '../../src/event-store/waiting.ts'
import { times } from './contract.ts'

/** A group whose batches are kept, and answered when told. */
const watched = (more: { most?: number; lanes?: number; halves?: boolean } = {}) => {
  const batches: number[][] = []
  const waiting: (() => void)[] = []
  const group = makeGroup(async (items: readonly number[]) => {
    batches.push([...items])
    await new Promise<void>((resolve) => waiting.push(resolve))
    return items.map((item) => item * 10)
  }, more)
  return { group, batches, answer: () => waiting.shift()?.() }
}
/** Some turns of the event loop, by what the group itself waits for: whatever it was about to do is done. */
const turn = async () => {
  for (let turns = 0; turns < 5; turns += 1) await new Promise((resolve) => setImmediate(resolve))
}

describe('what is asked for in a group', () => {
  it('at once travels at once; what comes meanwhile travels next, one batch at a time', async () => {
    const { group, batches, answer } = watched()
    const first = Promise.all(times(3, (n) => group.ask(n)))
    await turn()
    expect(batches).toEqual([[0, 1, 2]])
    const second = Promise.all(times(2, (n) => group.ask(3 + n)))
    await turn()
    expect(batches).toHaveLength(1)
    answer()
    expect(await first).toEqual([0, 10, 20])
    await turn()
    expect(batches).toEqual([[0, 1, 2], [3, 4]])
    answer()
    expect(await second).toEqual([30, 40])
  })

  it('in halves is sent in two, so that one is made use of while the other is looked up', async () => {
    const { group, batches, answer } = watched({ lanes: 2, halves: true })
    const first = Promise.all(times(7, (n) => group.ask(n)))
    await turn()
    expect(batches).toEqual([[0, 1, 2, 3], [4, 5, 6]])
    const second = Promise.all(times(4, (n) => group.ask(7 + n)))
    answer()
    await turn()
    expect(batches.slice(2)).toEqual([[7, 8, 9, 10]])
    answer()
    answer()
    expect([await first, await second]).toEqual([[0, 10, 20, 30, 40, 50, 60], [70, 80, 90, 100]])
  })

  it('is never more than so many at a time, and none is left', async () => {
    const sizes: number[] = []
    const group = makeGroup(async (items: readonly number[]) => {
      sizes.push(items.length)
      return items
    })
    expect(await Promise.all(times(600, (n) => group.ask(n)))).toEqual(times(600, (n) => n))
    expect(sizes).toEqual([256, 256, 88])
  })

  it('gets its own answer, in whatever batches and at whatever time it is asked for, in the order asked', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.nat(3), { maxLength: 40 }), fc.integer({ min: 1, max: 7 }), async (waits, most) => {
      const sent: number[] = []
      let under = 0
      const group = makeGroup(async (items: readonly number[]) => {
        under += 1
        expect(under).toBe(1)
        expect(items.length).toBeGreaterThan(0)
        expect(items.length).toBeLessThanOrEqual(most)
        sent.push(...items)
        await pause((items[0] ?? 0) % 2)
        under -= 1
        return items.map((item) => `answer ${item}`)
      }, { most })
      const asked: Promise<string>[] = []
      for (const [number, wait] of waits.entries()) {
        asked.push(group.ask(number))
        if (wait > 0) await pause(wait - 1)
      }
      await group.idle()
      expect(sent).toEqual(waits.map((_, number) => number))
      expect(await Promise.all(asked)).toEqual(waits.map((_, number) => `answer ${number}`))
    }), { numRuns: 40 })
  })

  it('fails with its batch, thrown or rejected, and with no other', async () => {
    let round = 0
    const group = makeGroup((items: readonly number[]): Promise<readonly number[]> => {
      round += 1
      if (round === 1) throw new Error('thrown')
      return round === 2 ? Promise.reject(new Error('rejected')) : Promise.resolve(items)
    }, { most: 2 })
    const outcomes = await Promise.allSettled(times(6, (n) => group.ask(n)))
    const failed = (message: string) => ({ status: 'rejected', reason: new Error(message) })
    expect(outcomes).toEqual([failed('thrown'), failed('thrown'), failed('rejected'), failed('rejected'), { status: 'fulfilled', value: 4 }, { status: 'fulfilled', value: 5 }])
    expect(await group.ask(7)).toBe(7)
  })

  it('and is not answered fails alone; null is an answer', async () => {
    const group = makeGroup((items: readonly number[]) => Promise.resolve(items.slice(0, 2).map((item) => (item === 0 ? null : item))))
    expect(await Promise.allSettled(times(3, (n) => group.ask(n)))).toMatchObject([{ value: null }, { value: 1 }, { status: 'rejected', reason: new Error('a batch was answered in part') }])
  })

  it('has been answered when the group is idle, also what is asked for by those it answers', async () => {
    const { group, batches, answer } = watched()
    let idle = false
    await group.idle()
    void group.ask(1).then(() => group.ask(2))
    const waiting = group.idle().then(() => {
      idle = true
    })
    await turn()
    answer()
    await turn()
    expect([batches, idle]).toEqual([[[1], [2]], false])
    answer()
    await waiting
    expect(batches).toHaveLength(2)
  })
})
