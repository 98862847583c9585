import type { Pool } from 'pg'
import { canonical } from '../canonical.ts'
import { makeGroup } from '../group.ts'
import { EventStoreUnavailable, type Append, type AppendResult, type EventStore, type Position, type Receipt, type RecordedEvent, type StoredReceipt } from '../port.ts'
import { isConnectionError } from '../postgres/connection.ts'
import { makeReceipts as makeStoredReceipts } from '../postgres/receipts.ts'
import { backoff, pause } from '../waiting.ts'

/**
 * How long after it was written down an append that is still not in the log counts as given up: the one who sent it
 * stopped trying after ten seconds, and the server takes it for thirty. Only a refusal of the same command waits for
 * this; the command itself may be carried out again at any time, at the same place or a later one.
 */
const GIVEN_UP_MS = 90_000
const SWEEP_MS = 60_000
const LOOK_MS = 20

type AppendWithReceipt = Append & { receipt: Receipt }
type PendingRow = { event_id: string; stream: string; expected_revision: number; events: number; given_up: boolean }
type Outcome = 'open' | { position: Position | null }

const pendingColumns = `event_id, stream, expected_revision, events, since < clock_timestamp() - interval '${GIVEN_UP_MS} milliseconds' as given_up`

/**
 * Receipts in Postgres for events in another store. A receipt is written down as pending before its append is sent;
 * what then stands at the append's place says whether it got there: its own event, another, or nothing yet. So one
 * that was left pending by a process that died is settled by whoever asks for it.
 */
export const makeReceipts = (options: {
  pool: Pool
  timeoutMs: number
  append: (append: Append) => Promise<AppendResult>
  readStream: (stream: string, options: { fromRevision: number; count: number }) => AsyncIterable<RecordedEvent>
}) => {
  const { pool, timeoutMs } = options
  const stored = makeStoredReceipts(pool)
  let closed = false

  /** Again while Postgres is away: for what may be done twice. */
  const persistently = async <T>(work: () => Promise<T>): Promise<T> => {
    const until = performance.now() + timeoutMs
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work()
      } catch (error) {
        if (!isConnectionError(error)) throw error
        if (closed || performance.now() > until) throw new EventStoreUnavailable('the receipts are out of reach', { cause: error })
        await pause(backoff(attempt))
      }
    }
  }

  const registration = makeGroup((appends: readonly AppendWithReceipt[]) => persistently(async () => {
    const { rows } = await pool.query<{ answered: boolean; rivals: boolean }>({
      name: 'register-appends',
      text: 'select * from kehu.register_appends($1::uuid[], $2::text[], $3::integer[], $4::integer[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::integer[], $10::text[], $11::timestamptz[])',
      values: [
        appends.map(firstEvent), appends.map(({ stream }) => stream), appends.map(expectedNumber), appends.map(({ events }) => events.length),
        ...(['commandId', 'commandHash', 'command'] as const).map((name) => appends.map(({ receipt }) => receipt[name])),
        appends.map(({ receipt }) => receipt.streams.join(' ')), appends.map(({ receipt }) => receipt.status),
        appends.map(({ receipt }) => JSON.stringify(receipt.answer)), appends.map(({ receipt }) => receipt.recordedAt),
      ],
    })
    return rows
  }))

  /** With a position: the append is in the log, and its receipt is final. Without: it is not, and never will be. */
  const settlement = makeGroup((settled: readonly { event: string; position: Position | null }[]) => persistently(async () => {
    await pool.query({ name: 'settle-appends', text: 'select kehu.settle_appends($1::uuid[], $2::bigint[])', values: [settled.map(({ event }) => event), settled.map(({ position }) => position)] })
    return settled
  }))

  const outcomeOf = async (row: PendingRow): Promise<Outcome> => {
    let last: RecordedEvent | undefined
    for await (const event of options.readStream(row.stream, { fromRevision: row.expected_revision + 1, count: row.events })) {
      if (!last && event.id !== row.event_id) return { position: null }
      last = event
    }
    if (!last) return row.given_up ? { position: null } : 'open'
    return { position: last.position }
  }

  /** Settles what can be settled; answers what is still on its way. */
  const settleAll = async (rows: readonly PendingRow[]): Promise<PendingRow[]> => {
    const open: PendingRow[] = []
    for (const row of rows) {
      const outcome = await outcomeOf(row)
      if (outcome === 'open') open.push(row)
      else await settlement.ask({ event: row.event_id, position: outcome.position })
    }
    return open
  }

  /** Whether a command has its receipt, and what is pending of it, as of one moment. */
  const lookUp = (commandId: string): Promise<{ kept: boolean; pending: PendingRow[] }> => persistently(async () => {
    const { rows } = await pool.query<{ kept: boolean } & (PendingRow | { event_id: null })>({
      name: 'look-up-receipt',
      text: `
        select r.command_id is not null as kept, p.event_id, p.stream, p.expected_revision, p.events, p.given_up
        from (values ($1::uuid)) as asked (command_id)
        left join kehu.receipt r using (command_id)
        left join (select command_id, turn, ${pendingColumns} from kehu.pending_append) as p using (command_id)
        order by p.turn`,
      values: [commandId],
    })
    return { kept: rows.some((row) => row.kept), pending: rows.flatMap((row) => (row.event_id === null ? [] : [row])) }
  })

  const find: EventStore['receipts']['find'] = async (commandId) => {
    const { kept, pending } = await lookUp(commandId)
    if (!kept && pending.length === 0) return undefined
    if (!kept) await settleAll(pending)
    return persistently(() => stored.find(commandId))
  }

  /**
   * Waits for earlier appends of the same command. One that is open on the same stream is no reason to wait: at the
   * same place only one of the two can stand, and at an earlier one this append would not have found its revision.
   */
  const outwaitRivals = async ({ stream, receipt, events }: AppendWithReceipt): Promise<StoredReceipt | undefined> => {
    const own = events[0]?.id
    for (const until = performance.now() + timeoutMs; performance.now() < until; await pause(LOOK_MS)) {
      const { pending } = await lookUp(receipt.commandId)
      const open = await settleAll(pending.slice(0, Math.max(0, pending.findIndex((row) => row.event_id === own))))
      const kept = await persistently(() => stored.find(receipt.commandId))
      if (kept || open.every((row) => row.stream === stream)) return kept
    }
    throw new EventStoreUnavailable('an earlier attempt of this command is still under way')
  }

  const append = async (request: AppendWithReceipt): Promise<AppendResult> => {
    const { receipt, ...bare } = request
    if (closed) throw new EventStoreUnavailable('the store is closed')
    if (request.events.length === 0) throw new TypeError('an append needs an event')
    const event = firstEvent(request)
    const { answered, rivals } = await registration.ask(request)
    const kept = answered ? await persistently(() => stored.find(receipt.commandId)) : rivals ? await outwaitRivals(request) : undefined
    if (kept) {
      if (!answered) await settlement.ask({ event, position: null })
      return { outcome: 'answered', receipt: kept }
    }
    try {
      const result = await options.append(bare)
      // Not waited for: what is pending now is settled by whoever asks, however this ends.
      settlement.ask({ event, position: result.outcome === 'appended' ? result.position : null }).catch(() => undefined)
      return result
    } catch (error) {
      if (!(error instanceof EventStoreUnavailable)) await settlement.ask({ event, position: null })
      throw error
    }
  }

  const record: EventStore['receipts']['record'] = async (receipt, attempt) => {
    const values = [
      receipt.commandId, receipt.commandHash, receipt.command, receipt.streams, receipt.status, JSON.stringify(receipt.answer), receipt.recordedAt,
      ...(attempt ? [attempt.attemptId, attempt.at, attempt.actor, attempt.onBehalfOf, attempt.role, attempt.problem, attempt.stream, canonical(attempt.ranInto)] : new Array<null>(8).fill(null)),
    ]
    for (const until = performance.now() + timeoutMs; performance.now() < until; await pause(LOOK_MS)) {
      const { rows } = await persistently(() => pool.query<{ kept: string }>({ name: 'record-receipt', text: 'select kehu.record_receipt($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) as kept', values }))
      if (rows[0]?.kept === 'kept') return { ...receipt, position: null }
      const kept = await find(receipt.commandId)
      if (kept) return kept
    }
    throw new EventStoreUnavailable('an earlier attempt of this command is still under way')
  }

  /** What was left behind by processes that died. */
  const sweep = async (): Promise<void> => {
    const { rows } = await pool.query<PendingRow>(`select ${pendingColumns} from kehu.pending_append where since < clock_timestamp() - interval '${SWEEP_MS} milliseconds' order by turn limit 1000`)
    await settleAll(rows)
  }
  const sweeping = setInterval(() => void sweep().catch(() => undefined), SWEEP_MS)
  sweeping.unref()

  return {
    append,
    find,
    record,
    recordAttempt: (attempt: Parameters<EventStore['receipts']['recordAttempt']>[0]) => persistently(() => stored.recordAttempt(attempt)),
    close: async (): Promise<void> => {
      clearInterval(sweeping)
      await settlement.idle()
      closed = true
    },
  }
}

const firstEvent = ({ events }: Append): string => events[0]?.id ?? ''
const expectedNumber = ({ expectedRevision }: Append): number => (expectedRevision === 'no_stream' ? -1 : expectedRevision)
