import pg from 'pg'
import { canonical } from '../canonical.ts'
import { emptyHead } from '../chain.ts'
import { AppendTooLarge, EventStoreUnavailable, MAX_APPEND_BYTES, type Append, type AppendResult, type StoredReceipt } from '../port.ts'
import { checkStreamName } from '../stored-event.ts'
import { backoff, pause } from '../waiting.ts'
import { isConnectionError, isTimeout, makeReconnecting } from './connection.ts'
import { streamKey } from './rows.ts'

/** Most appends in one batch. */
const BATCH = 256

type Waiting = { append: Append; since: number; resolve: (result: AppendResult) => void; reject: (error: unknown) => void }
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

  const append = async (request: Append): Promise<AppendResult> => {
    checkStreamName(request.stream)
    if (closed) throw new EventStoreUnavailable('the store is closed')
    if (request.events.length === 0) throw new TypeError('an append needs an event')
    const bytes = request.events.reduce((sum, event) => sum + Buffer.byteLength(JSON.stringify(event)), 0)
    if (bytes > MAX_APPEND_BYTES) throw new AppendTooLarge(`the events of one command may have ${MAX_APPEND_BYTES} bytes, these have ${bytes}`)
    return new Promise((resolve, reject) => {
      queue.push({ append: request, since: Date.now(), resolve, reject })
      running ??= drain()
    })
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
      const { stream, receipt } = waiting.append
      const keys = receipt ? [stream, receipt.commandId] : [stream]
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
        const rows = await send(batch.map((waiting) => waiting.append))
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
    const { append: request, resolve, reject } = waiting
    if (row?.outcome === 'a') {
      const count = request.events.length
      const from = request.expectedRevision === 'no_stream' ? -1 : request.expectedRevision
      resolve({ outcome: 'appended', revision: from + count, position: BigInt(row.first_position ?? 0) + BigInt(count - 1) })
    } else if (row?.outcome === 'c') {
      resolve({ outcome: 'conflict', actualRevision: row.actual === null || row.actual < 0 ? 'no_stream' : row.actual })
    } else if (row?.outcome === 'r' && request.receipt) {
      try {
        const receipt = await options.findReceipt(request.receipt.commandId)
        if (receipt) resolve({ outcome: 'answered', receipt })
        else reject(new EventStoreUnavailable('the receipt of this command could not be read'))
      } catch (error) {
        reject(new EventStoreUnavailable('the receipt of this command could not be read', { cause: error }))
      }
    } else {
      reject(new Error('the append function answered without an outcome'))
    }
  }

  const send = async (appends: readonly Append[]): Promise<ResultRow[]> => {
    const client = await connection.get()
    const result = await client.query<ResultRow>({ name: 'append', text: APPEND, values: parametersOf(appends) })
    return result.rows
  }

  const close = async (): Promise<void> => {
    while (running) await running
    closed = true
    await connection.drop()
  }

  return { append, close }
}

const APPEND = `select * from kehu.append_events(
  $1::uuid[], $2::integer[], $3::bytea[], $4::integer[], $5::integer[],
  $6::uuid[], $7::text[], $8::text[], $9::text[], $10::integer[], $11::text[], $12::timestamptz[],
  $13::uuid[], $14::integer[], $15::uuid[], $16::text[], $17::text[], $18::text[], $19::text[], $20::bytea[])`

/** The function's arguments, column by column. */
const parametersOf = (appends: readonly Append[]): unknown[][] => {
  const columns: unknown[][] = Array.from({ length: 20 }, () => [])
  const push = (first: number, values: unknown[]) => {
    values.forEach((value, index) => columns[first + index]?.push(value))
  }
  let from = 1
  for (const { stream, expectedRevision, events, receipt } of appends) {
    const key = streamKey(stream)
    const expected = expectedRevision === 'no_stream' ? -1 : expectedRevision
    const previous = events[0]?.metadata.prevHash ?? emptyHead(stream).hash
    push(0, [key, expected, Buffer.from(previous, 'hex'), from, events.length])
    push(5, receipt
      ? [receipt.commandId, receipt.commandHash, receipt.command, receipt.streams.join(' '), receipt.status, JSON.stringify(receipt.answer), receipt.recordedAt]
      : [null, null, null, null, null, null, null])
    events.forEach((event, index) => {
      push(12, [key, expected + 1 + index, event.id, stream, event.type, canonical(event.data), canonical(event.metadata), Buffer.from(event.metadata.hash, 'hex')])
    })
    from += events.length
  }
  return columns
}
