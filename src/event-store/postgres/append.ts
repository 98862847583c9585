import pg from 'pg'
import { joined, lastOf, revisionBefore, sizeOf } from '../joined.ts'
import { EventStoreUnavailable, type Append, type AppendResult, type ExpectedRevision, type StoredReceipt } from '../port.ts'
import { backoff, isTimeout, pause } from '../waiting.ts'
import { whyNoWrites } from '../writes.ts'
import { makeArrayWriter } from '../binary.ts'
import { BY_KEY, connecting, isConnectionError, makeReconnecting } from './connection.ts'
import { APPEND_BATCH, argumentsOf, NOTIFY, type Joined } from './statements.ts'

/** Most appends in one batch, and about how many bytes of events. */
const BATCH = 256
const BATCH_BYTES = 2 * 1024 * 1024
/** Batches on their way at once: while Postgres writes one, the next is on the wire. A third brings nothing. */
const UNDER_WAY = 2
/** A server that says it takes no writes (read-only, no room on the disk) is given so long: it has written nothing, and the sender had better know. */
const REFUSED_MS = 2000
/** Readers are told at once of what comes after a silence, and then this often: each look costs them a query. */
const TELL_MS = 10

type Waiting = Joined & { bytes: number; keys: readonly string[]; since: number; resolve: (results: AppendResult[]) => void; reject: (error: unknown) => void }
/** A batch on its way; `again`: its connection was lost, and it will be sent once more. */
type Sending = { again: boolean; done: Promise<void> }
/** How one append of a batch ended: as the function of the batch says it. */
type Outcome = { outcome: 'a' | 'c' | 'r'; first_position: string | null; actual: number | null }

/**
 * Group commit: whatever is waiting goes to Postgres as one call, one transaction, one fsync; while that runs the
 * next batch gathers, and goes behind it on the same connection. After a lost connection the same batch is sent
 * again, byte for byte: the function recognises what it already has. An append whose outcome is not known within
 * `timeoutMs` rejects with EventStoreUnavailable.
 */
export const makeAppender = (options: {
  connectionString: string
  timeoutMs: number
  findReceipt: (commandId: string) => Promise<StoredReceipt | undefined>
}) => {
  const connection = makeReconnecting(options.connectionString, 'kehu append', { ...connecting(options.timeoutMs), query_timeout: options.timeoutMs, pipeline: true, options: BY_KEY })
  const arrays = makeArrayWriter()
  const underWay = new Set<Sending>()
  /** Streams and commands of the appends under way: another to one of them waits to see what becomes of the first. */
  const taken = new Set<string>()
  let queue: Waiting[] = []
  let called = false
  let closed = false
  let untold: bigint | undefined
  let telling: Promise<void> | undefined

  const appendTogether = async (appends: readonly Append[]): Promise<AppendResult[]> => {
    const whole = joined(appends)
    if (closed) throw new EventStoreUnavailable('the store is closed')
    const keys = [whole.stream, ...appends.flatMap(({ receipt }) => receipt?.commandId ?? [])]
    const bytes = whole.events.reduce((sum, event) => sum + sizeOf(event), 0)
    return new Promise((resolve, reject) => {
      queue.push({ whole, appends, bytes, keys, since: Date.now(), resolve, reject })
      call()
    })
  }

  const append = async (request: Append): Promise<AppendResult> => {
    const [result] = await appendTogether([request])
    if (!result) throw new Error('an append was not answered')
    return result
  }

  /** A turn of the event loop later, so that requests that arrive together travel together. */
  const call = (): void => {
    if (called) return
    called = true
    setImmediate(() => {
      called = false
      fill()
    })
  }

  const fill = (): void => {
    while (underWay.size < UNDER_WAY) {
      // Half of it first: the other half then follows while Postgres is at work on this one.
      const batch = takeBatch(underWay.size === 0 ? Math.ceil(queue.length / 2) : queue.length)
      if (batch.length === 0) return
      const [earlier] = underWay
      const sending: Sending = { again: false, done: Promise.resolve() }
      sending.done = commit(batch, sending, earlier).finally(() => {
        underWay.delete(sending)
        for (const { keys } of batch) for (const key of keys) taken.delete(key)
        call()
      })
      underWay.add(sending)
    }
  }

  /** The next appends, one to a stream and one to a command. */
  const takeBatch = (most: number): Waiting[] => {
    const batch: Waiting[] = []
    const rest: Waiting[] = []
    const passed = new Set<string>()
    let bytes = 0
    for (const waiting of queue) {
      const { keys } = waiting
      const room = batch.length < Math.min(most, BATCH) && (batch.length === 0 || bytes + waiting.bytes <= BATCH_BYTES)
      if (room && !keys.some((key) => taken.has(key) || passed.has(key))) {
        batch.push(waiting)
        bytes += waiting.bytes
        for (const key of keys) taken.add(key)
      } else {
        rest.push(waiting)
        for (const key of keys) passed.add(key)
      }
    }
    queue = rest
    return batch
  }

  const commit = async (batch: readonly Waiting[], sending: Sending, earlier: Sending | undefined): Promise<void> => {
    for (let attempt = 0; ; attempt += 1) {
      let client: pg.Client | undefined
      // What was asked first comes first in the log, also after a lost connection: a copy of a log keeps its order by that.
      if (earlier?.again === true) await earlier.done
      try {
        client = await connection.get()
        const outcomes = await send(client, batch)
        tell(outcomes)
        await Promise.all(batch.map((waiting, index) => settle(waiting, outcomes[index])))
        return
      } catch (error) {
        if (isConnectionError(error) || isTaken(error)) {
          if (client && isConnectionError(error)) await connection.drop(client)
          const oldest = Math.min(...batch.map((waiting) => waiting.since))
          const patience = whyNoWrites(error) === undefined ? options.timeoutMs : Math.min(REFUSED_MS, options.timeoutMs)
          if (closed || isTimeout(error) || Date.now() - oldest > patience) {
            for (const waiting of batch) waiting.reject(new EventStoreUnavailable('the log did not answer in time', { cause: error }))
            return
          }
          // Of a place or a receipt that another process took since this began, nothing need be waited for.
          sending.again = true
          if (isConnectionError(error)) await pause(backoff(attempt))
        } else if (batch.length > 1) {
          // Something in this batch cannot be stored: only that append shall fail.
          for (const waiting of batch) await commit([waiting], sending, earlier)
          return
        } else {
          for (const waiting of batch) waiting.reject(error)
          return
        }
      }
    }
  }

  const send = async (client: pg.Client, batch: readonly Waiting[]): Promise<Outcome[]> => {
    const { rows } = await client.query<Outcome | { outcome: 'w'; first_position: string }>({ ...APPEND_BATCH, values: argumentsOf(batch, arrays) })
    const [first] = rows
    if (first?.outcome !== 'w') return rows.filter((row) => row.outcome !== 'w')
    let next = BigInt(first.first_position)
    return batch.map(({ whole }) => {
      const position = next
      next += BigInt(whole.events.length)
      return { outcome: 'a', first_position: String(position), actual: null }
    })
  }

  const tell = (outcomes: readonly Outcome[]): void => {
    for (const { outcome, first_position } of outcomes) {
      const position = BigInt(first_position ?? 0)
      if (outcome === 'a' && (untold === undefined || position > untold)) untold = position
    }
    telling ??= tellOn().finally(() => {
      telling = undefined
    })
  }
  /** Whoever is not told, because this fails or this process dies, looks within a second. */
  const tellOn = async (): Promise<void> => {
    while (untold !== undefined) {
      const position = untold
      untold = undefined
      await connection.get().then((client) => client.query({ ...NOTIFY, values: [String(position)] })).catch(() => undefined)
      await pause(TELL_MS)
    }
  }

  const settle = async (waiting: Waiting, row: Outcome | undefined): Promise<void> => {
    const { whole, appends, resolve, reject } = waiting
    if (row?.outcome === 'a') {
      const before = revisionBefore(whole)
      const first = BigInt(row.first_position ?? 0)
      resolve(lastOf(appends).map((last) => ({ outcome: 'appended', revision: before + 1 + last, position: first + BigInt(last) })))
    } else if (row?.outcome === 'c') {
      resolve(appends.map(() => ({ outcome: 'conflict', actualRevision: actualRevision(row) })))
    } else if (row?.outcome === 'r') {
      try {
        const receipts = await Promise.all(appends.map(async ({ receipt }) => receipt && options.findReceipt(receipt.commandId)))
        if (receipts.every((receipt) => receipt === undefined)) reject(new EventStoreUnavailable('the receipt of this command could not be read'))
        else resolve(receipts.map((receipt) => (receipt ? { outcome: 'answered', receipt } : { outcome: 'conflict', actualRevision: actualRevision(row) })))
      } catch (error) {
        reject(new EventStoreUnavailable('the receipt of this command could not be read', { cause: error }))
      }
    } else {
      reject(new Error('the append function answered without an outcome'))
    }
  }

  const close = async (): Promise<void> => {
    while (underWay.size > 0 || queue.length > 0) {
      await Promise.all([...underWay].map(({ done }) => done))
      await new Promise(setImmediate)
    }
    closed = true
    await telling
    await connection.drop()
  }

  return { append, appendTogether, close }
}

/** A place or a receipt somebody else took since the statement began. */
const isTaken = (error: unknown): boolean => error instanceof pg.DatabaseError && error.code === '23505'

const actualRevision = ({ actual }: Outcome): ExpectedRevision => (actual === null || actual < 0 ? 'no_stream' : actual)
