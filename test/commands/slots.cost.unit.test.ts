import { describe, expect, it } from 'vitest'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { clerk, countIn, nameOf, placeWith, runtimeAt, type Place } from './slots.world.ts'

/** Calls of a store and of the counting, by stream. */
const counting = (place: Place): { runtime: Runtime; calls: string[] } => {
  const calls: string[] = []
  const { store } = place
  const count = countIn(store)
  const runtime = runtimeAt(place, {
    store: {
      ...store,
      readStream: (stream, options) => {
        calls.push(`read ${stream}`)
        return store.readStream(stream, options)
      },
      append: (append) => {
        calls.push(`append ${append.stream}`)
        return store.append(append)
      },
    },
    holdings: (...asked) => {
      calls.push('count')
      return count(...asked)
    },
  })
  return { runtime, calls }
}
const claim = (runtime: Runtime, customer: number) => handleNamed(runtime, 'claim-ownership', { customerId: nameOf(customer) }, { caller: clerk, key: `claim ${customer}` })

describe('a limit costs those who have one', () => {
  it('where none is set nothing of a portfolio is read, counted or written', async () => {
    const { runtime, calls } = counting(await placeWith({}, 2))
    expect((await claim(runtime, 0)).status).toBe(200)
    expect(calls).toEqual(['read customer-customer-0', 'append customer-customer-0'])
  })

  it('a slot is two appends; what only a quota limits counts nothing', async () => {
    const { runtime, calls } = counting(await placeWith({ quota: 2 }, 2))
    expect((await claim(runtime, 0)).status).toBe(200)
    expect(calls).toEqual(['read customer-customer-0', 'read portfolio-clerk', 'append portfolio-clerk', 'append customer-customer-0', 'read portfolio-clerk', 'append portfolio-clerk'])
    const limited = counting(await placeWith({ capacity: 2 }, 2))
    expect((await claim(limited.runtime, 0)).status).toBe(200)
    expect(limited.calls.filter((call) => call === 'count')).toHaveLength(1)
  })

  it('what cannot be counted is not decided, and leaves the key free', async () => {
    const place = await placeWith({ capacity: 1 }, 1)
    for (const unable of ['model-building', 'not-caught-up'] as const) {
      expect(await claim(runtimeAt(place, { holdings: async () => unable }), 0)).toMatchObject({ status: 503, body: { type: `/docs/problems/${unable}`, model: 'customer-lookup' } })
    }
    expect(await place.store.receipts.find((await claim(runtimeAt(place), 0)).commandId)).toBeUndefined()
    expect((await claim(runtimeAt(place, { holdings: countIn(place.store) }), 0)).status).toBe(200)
  })

  it('who is refused leaves nothing but a record of having tried', async () => {
    const place = await placeWith({ capacity: 1 }, 2, [0])
    const head = await place.store.head()
    expect(await claim(runtimeAt(place, { holdings: countIn(place.store) }), 1)).toMatchObject({ status: 409, body: { type: '/docs/problems/capacity-reached', holdings: 1, openReservations: 0, limit: 1, tier: null } })
    expect(await place.store.head()).toBe(head)
    expect(place.store.refused()).toMatchObject([{ command: 'claim-ownership', problem: 'capacity-reached' }])
  })
})
