import type { Batch, ReadAllOptions } from '../port.ts'
import { backoff, pause } from '../waiting.ts'
import { isConnectionError, makeReconnecting } from './connection.ts'

/** Readers look this often besides being told: a lost notification delays, it never loses. */
const POLL_MS = 1000
/** Told again and again, a reader looks this often: what comes in between it takes together, for the price of one. */
const LOOK_MS = 20
/** And this often while the process has more to do than it can: commands go first, readers take more at a time. */
const BUSY_LOOK_MS = 40
const BUSY = 0.95

/** Whether the event loop has been at its limit lately: measured over a fifth of a second or more. */
const makeBusyness = (): (() => boolean) => {
  let measured = performance.eventLoopUtilization()
  let since = performance.now()
  let busy = false
  return () => {
    const now = performance.now()
    if (now - since < 200) return busy
    const next = performance.eventLoopUtilization()
    busy = performance.eventLoopUtilization(next, measured).utilization > BUSY
    measured = next
    since = now
    return busy
  }
}

/** One connection listens for all subscriptions of a process and wakes them; each reads for itself. */
export const makeSubscriptions = (connectionString: string, readBatch: (options: ReadAllOptions) => Promise<Batch>) => {
  const sleepers = new Set<() => void>()
  const isBusy = makeBusyness()
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
    let failures = 0
    let wake: () => void = () => undefined
    const onNotice = () => {
      told = true
      wake()
    }
    sleepers.add(onNotice)
    try {
      while (!signal.aborted && !stop.signal.aborted) {
        // Cleared before reading: a notice that comes while reading is looked into afterwards.
        told = false
        const looked = performance.now()
        let batch: Batch
        try {
          batch = await readBatch({ ...options, after })
          failures = 0
        } catch (error) {
          if (signal.aborted) return
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
        if (!batch.caughtUp) continue
        const early = (isBusy() ? BUSY_LOOK_MS : LOOK_MS) - (performance.now() - looked)
        if (early > 0) await pause(early, AbortSignal.any([signal, stop.signal]))
        if (told) continue
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
