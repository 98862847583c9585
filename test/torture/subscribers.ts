import { kindOf, type EventStore, type Position } from '../../src/event-store/port.ts'
import type { Random } from './random.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** An event as a subscriber was given it. */
export type Given = { id: string; position: Position; kind: string }

type Subscriber = { name: string; kinds?: readonly string[]; given: Given[]; reached: Position; ended: Promise<void> }

/** Events one may have to be given again. */
const MOST_FORGOTTEN = 300

const forget = (given: Given[], count: number): Position => {
  given.length = Math.max(0, given.length - count)
  return given.at(-1)?.position ?? 0n
}

/**
 * Subscribers through the port, from the first event on and through everything that happens: one that stays, one of
 * a single kind in small batches, and one that leaves again and again: it goes on where it stood, as one who is
 * restarted does, or where it stood a while ago, as one who is restored.
 */
export const startSubscribers = (store: EventStore, random: Random) => {
  const over = new AbortController()
  const faults: string[] = []

  const follow = (name: string, options: { kinds?: readonly string[]; batchSize?: number }, leaves = false): Subscriber => {
    const subscriber: Subscriber = { name, ...(options.kinds && { kinds: options.kinds }), given: [], reached: 0n, ended: Promise.resolve() }
    const take = async (): Promise<void> => {
      while (!over.signal.aborted) {
        let left = leaves ? 1 + random.below(20) : Infinity
        for await (const batch of store.subscribe({ ...options, after: subscriber.reached, signal: over.signal })) {
          for (const { id, position, stream } of batch.events) subscriber.given.push({ id, position, kind: kindOf(stream) })
          if (batch.position < subscriber.reached) faults.push(`${name} was at position ${subscriber.reached} and was then told ${batch.position}`)
          subscriber.reached = batch.position
          left -= 1
          if (left <= 0) break
        }
        if (leaves && !over.signal.aborted && random.chance(0.3)) subscriber.reached = forget(subscriber.given, random.below(MOST_FORGOTTEN))
      }
    }
    subscriber.ended = take().catch((error: unknown) => {
      faults.push(`${name} was told ${error instanceof Error ? error.message : String(error)}`)
    })
    return subscriber
  }
  const subscribers = [
    follow('the subscriber that stays', {}),
    follow('the subscriber of customers', { kinds: ['customer'], batchSize: 7 }),
    follow('the subscriber that leaves and comes back', { batchSize: 50 }, true),
  ]

  return {
    /** What is wrong with what they were given, when the log holds these events. */
    check: async (log: readonly Given[], withinMs: number): Promise<string[]> => {
      const end = log.at(-1)?.position ?? 0n
      for (const until = performance.now() + withinMs; performance.now() < until && subscribers.some(({ reached }) => reached < end);) await pause(20)
      over.abort()
      await Promise.all(subscribers.map(({ ended }) => ended))
      for (const { name, kinds, given } of subscribers) {
        const expected = log.filter(({ kind }) => !kinds || kinds.includes(kind))
        const wrong = expected.findIndex(({ id, position }, index) => given[index]?.id !== id || given[index]?.position !== position)
        const at = wrong < 0 && given.length > expected.length ? expected.length : wrong
        if (at >= 0) faults.push(`${name}: of ${expected.length} events it was given ${given.length}; the first that differs should be at position ${expected[at]?.position ?? 'none'} and is the one at ${given[at]?.position ?? 'none'}`)
      }
      return faults
    },
  }
}
