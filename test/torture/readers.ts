import { createHash } from 'node:crypto'
import { EventStoreUnavailable, type EventStore, type Position } from '../../src/event-store/port.ts'
import type { Random } from './random.ts'
import type { Given } from './subscribers.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** How far back a read begins, in events, at the most. */
const FAR = 2000

/** What a read gave: so many events after a position, up to another, and a hash of their ids. */
type Read = { from: Position; to: Position; count: number; hash: string }

/**
 * Reads the end of the log through the port again and again, so that whatever happens to connections happens in the
 * midst of a read as well, which then goes on where it stood.
 */
export const startReader = (store: EventStore, random: Random) => {
  const over = new AbortController()
  const reads: Read[] = []
  let known: Position[] = [0n]

  const read = async (from: Position): Promise<void> => {
    const hash = createHash('sha256')
    const positions: Position[] = []
    let to = from
    try {
      for await (const batch of store.readAll({ after: from, batchSize: 100 })) {
        for (const { id, position } of batch.events) {
          hash.update(id)
          positions.push(position)
        }
        to = batch.position
      }
    } catch (error) {
      // It gave up, and said so: what it gave until then counts.
      if (!(error instanceof EventStoreUnavailable)) throw error
    }
    reads.push({ from, to, count: positions.length, hash: hash.digest('hex') })
    known = [...known, ...positions.filter((position) => position > (known.at(-1) ?? 0n))].slice(-FAR)
  }
  const faults: string[] = []
  const ended = (async () => {
    while (!over.signal.aborted) {
      const began = performance.now()
      await read(random.chance(0.2) ? 0n : (known[random.below(known.length)] ?? 0n))
      // The machine has other things to do as well.
      await pause(20 + (performance.now() - began) * 2)
    }
  })().catch((error: unknown) => {
    faults.push(`a read was told ${error instanceof Error ? error.message : String(error)}`)
  })

  return {
    /** What is wrong with what was read, when the log holds these events. */
    check: async (log: readonly Given[]): Promise<string[]> => {
      over.abort()
      await ended
      const index = new Map(log.map(({ position }, at) => [position, at + 1]))
      for (const { from, to, count, hash } of reads) {
        const expected = log.slice(index.get(from) ?? 0, index.get(to) ?? 0)
        const whole = createHash('sha256')
        for (const { id } of expected) whole.update(id)
        if (count !== expected.length || hash !== whole.digest('hex')) faults.push(`a read from position ${from} to ${to} gave ${count} events, and they are ${expected.length}${count === expected.length ? ', others' : ''}`)
      }
      return faults
    },
    count: () => reads.length,
  }
}
