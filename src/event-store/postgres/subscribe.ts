import type { Batch, ReadAllOptions } from '../port.ts'
import { backoff, pause } from '../waiting.ts'
import { isConnectionError, makeReconnecting } from './connection.ts'
import { makeLooks } from './looks.ts'
import { PAGE, type ReadBatch } from './read.ts'

/** Readers look this often besides being told: a lost notification delays, it never loses. */
const POLL_MS = 1000
/** One connection listens for all subscriptions of a process and wakes them. Who is behind reads for itself; at the end of the log they look together. */
export const makeSubscriptions = (connectionString: string, readBatch: ReadBatch) => {
  const sleepers = new Set<() => void>()
  const { moment, look } = makeLooks(readBatch)
  const wakeAll = () => {
    for (const wake of sleepers) wake()
  }
  const stop = new AbortController()
  let listening: Promise<void> | undefined
  let hangUp: () => void = () => undefined

  /** Keeps one LISTEN connection alive; on each (re)connection everyone looks, for what was missed meanwhile. */
  const listen = async (): Promise<void> => {
    for (let attempt = 0; !stop.signal.aborted; attempt += 1) {
      const connection = makeReconnecting(connectionString, 'kehu listen')
      try {
        const client = await connection.get()
        const lost = new Promise<void>((resolve) => {
          client.on('end', () => resolve())
          client.on('error', () => resolve())
          hangUp = resolve
        })
        client.on('notification', wakeAll)
        await client.query('listen kehu_log')
        attempt = 0
        wakeAll()
        // Closing may have come while it connected.
        if (!stop.signal.aborted) await lost
      } catch {
        // Out of reach: readers poll meanwhile, and say so themselves.
      } finally {
        await connection.drop()
      }
      await pause(backoff(attempt), stop.signal)
    }
  }

  async function* subscribe(options: ReadAllOptions & { signal: AbortSignal }): AsyncIterable<Batch> {
    listening ??= listen()
    const { signal } = options
    let { after } = options
    let told = true
    let first = true
    let caughtUp = false
    let failures = 0
    let wake: () => void = () => undefined
    const onNotice = () => {
      told = true
      wake()
    }
    sleepers.add(onNotice)
    try {
      while (!signal.aborted && !stop.signal.aborted) {
        if (caughtUp) await moment()
        // Cleared before reading: a notice that comes while reading is looked into afterwards.
        told = false
        let batch: Batch
        try {
          batch = caughtUp ? await look({ ...options, after }) : await readBatch(after, [options], options.batchSize ?? PAGE)
          failures = 0
        } catch (error) {
          if (signal.aborted || stop.signal.aborted) return
          if (!isConnectionError(error)) throw error
          failures += 1
          await pause(backoff(failures), signal)
          continue
        }
        if (first || batch.position > after) {
          first = false
          after = batch.position
          yield batch
        }
        caughtUp = batch.caughtUp
        if (!caughtUp || told) continue
        await new Promise<void>((resolve) => {
          const timer = setTimeout(done, POLL_MS)
          function done() {
            clearTimeout(timer)
            signal.removeEventListener('abort', done)
            resolve()
          }
          wake = done
          signal.addEventListener('abort', done, { once: true })
          if (signal.aborted || stop.signal.aborted) done()
        })
      }
    } finally {
      sleepers.delete(onNotice)
    }
  }

  const close = async (): Promise<void> => {
    stop.abort()
    hangUp()
    wakeAll()
    await listening
  }

  return { subscribe, close }
}
