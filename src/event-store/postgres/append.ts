import pg from 'pg'
import { canonical } from '../canonical.ts'
import { emptyHead } from '../chain.ts'
import { joined, lastOf, revisionBefore } from '../joined.ts'
import { EventStoreUnavailable, type Append, type AppendResult, type ExpectedRevision, type StoredReceipt } from '../port.ts'
import { backoff, pause } from '../waiting.ts'
import { isConnectionError, isTimeout, makeReconnecting } from './connection.ts'
import { streamKey } from './rows.ts'

/** Most appends in one batch. */
const BATCH = 256

/** `appends` go together, as the one append `whole`. */
type Waiting = { whole: Append; appends: readonly Append[]; since: number; resolve: (results: AppendResult[]) => void; reject: (error: unknown) => void }
type ResultRow = { outcome: 'a' | 'c' | 'r'; first_position: string | null; actual: number | null }

/**
 * Group commit: whatever is waiting goes to Postgres as one call, one transaction, one fsync; while that runs the
 * next batch gathers. After a lost connection the same batch is sent again, byte for byte: the function recognises
 * what it already has. An append whose outcome is not known within `timeoutMs` rejects with EventStoreUnavailable.
 */
export const makeAppender = (options: {
  connectionString: string
  timeoutMs: number
  findReceipt: (commandId: string) => Promise<StoredReceipt | undefined>
}) => {
  const connection = makeReconnecting(options.connectionString, 'kehu append', { query_timeout: options.timeoutMs })
  let queue: Waiting[] = []
  let running: Promise<void> | undefined
  let closed = false

  const appendTogether = async (appends: readonly Append[]): Promise<AppendResult[]> => {
    const whole = joined(appends)
    if (closed) throw new EventStoreUnavailable('the store is closed')
    return new Promise((resolve, reject) => {
      queue.push({ whole, appends, since: Date.now(), resolve, reject })
      running ??= drain()
    })
  }

  const append = async (request: Append): Promise<AppendResult> => {
    const [result] = await appendTogether([request])
    if (!result) throw new Error('an append was not answered')
    return result
  }

  const drain = async (): Promise<void> => {
    // A turn of the event loop lets requests that arrived together travel together.
    await new Promise(setImmediate)
    while (queue.length > 0) await commit(takeBatch())
    // In one step with the last look at the queue: an append that comes a moment later starts a drain of its own.
    running = undefined
  }

  /** The next appends, one to a stream and one to a command: a second one waits to see what became of the first. */
  const takeBatch = (): Waiting[] => {
    const batch: Waiting[] = []
    const rest: Waiting[] = []
    const taken = new Set<string>()
    for (const waiting of queue) {
      const keys = [waiting.whole.stream, ...waiting.appends.flatMap(({ receipt }) => receipt?.commandId ?? [])]
      if (batch.length < BATCH && !keys.some((key) => taken.has(key))) batch.push(waiting)
      else rest.push(waiting)
      for (const key of keys) taken.add(key)
    }
    queue = rest
    return batch
  }

  const commit = async (batch: Waiting[]): Promise<void> => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const rows = await send(batch)
        await Promise.all(batch.map((waiting, index) => settle(waiting, rows[index])))
        return
      } catch (error) {
        if (isConnectionError(error)) {
          await connection.drop()
          const oldest = Math.min(...batch.map((waiting) => waiting.since))
          if (closed || isTimeout(error) || Date.now() - oldest > options.timeoutMs) {
            for (const waiting of batch) waiting.reject(new EventStoreUnavailable('the log did not answer in time', { cause: error }))
            return
          }
          await pause(backoff(attempt))
        } else if (error instanceof pg.DatabaseError && error.constraint === 'receipt_pkey') {
          // A receipt was recorded while this ran. It is there when looked for again: that append is answered from it.
          continue
        } else if (batch.length > 1) {
          // Something in this batch cannot be stored: only that append shall fail.
          for (const waiting of batch) await commit([waiting])
          return
        } else {
          for (const waiting of batch) waiting.reject(error)
          return
        }
      }
    }
  }

  const settle = async (waiting: Waiting, row: ResultRow | undefined): Promise<void> => {
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

  const send = async (batch: readonly Waiting[]): Promise<ResultRow[]> => {
    const client = await connection.get()
    const result = await client.query<ResultRow>({ name: 'append', text: APPEND, values: parametersOf(batch) })
    return result.rows
  }

  const close = async (): Promise<void> => {
    while (running) await running
    closed = true
    await connection.drop()
  }

  return { append, appendTogether, close }
}

const actualRevision = ({ actual }: ResultRow): ExpectedRevision => (actual === null || actual < 0 ? 'no_stream' : actual)

const APPEND = `select * from kehu.append_events(
  $1::uuid[], $2::integer[], $3::bytea[], $4::integer[], $5::integer[],
  $6::integer[], $7::uuid[], $8::text[], $9::text[], $10::text[], $11::integer[], $12::text[], $13::timestamptz[],
  $14::uuid[], $15::integer[], $16::uuid[], $17::text[], $18::text[], $19::text[], $20::text[], $21::bytea[])`

/** The function's arguments, column by column. */
const parametersOf = (batch: readonly Pick<Waiting, 'whole' | 'appends'>[]): unknown[][] => {
  const columns: unknown[][] = Array.from({ length: 21 }, () => [])
  const push = (first: number, values: unknown[]) => {
    values.forEach((value, index) => columns[first + index]?.push(value))
  }
  let from = 1
  for (const { whole, appends } of batch) {
    const { stream, events } = whole
    const key = streamKey(stream)
    const expected = revisionBefore(whole)
    const previous = events[0]?.metadata.prevHash ?? emptyHead(stream).hash
    push(0, [key, expected, Buffer.from(previous, 'hex'), from, events.length])
    lastOf(appends).forEach((last, index) => {
      const receipt = appends[index]?.receipt
      if (receipt) push(5, [from + last, receipt.commandId, receipt.commandHash, receipt.command, receipt.streams.join(' '), receipt.status, JSON.stringify(receipt.answer), receipt.recordedAt])
    })
    events.forEach((event, index) => {
      push(13, [key, expected + 1 + index, event.id, stream, event.type, canonical(event.data), canonical(event.metadata), Buffer.from(event.metadata.hash, 'hex')])
    })
    from += events.length
  }
  return columns
}
