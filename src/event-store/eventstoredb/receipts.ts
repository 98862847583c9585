import type { Pool } from 'pg'
import { validate } from 'uuid'
import { canonical } from '../canonical.ts'
import { makeGroup } from '../group.ts'
import { joined, lastOf, revisionBefore } from '../joined.ts'
import { EventStoreUnavailable, type Append, type AppendResult, type AppendWithReceipt, type EventStore, type ExpectedRevision, type Position, type RecordedEvent, type StoredReceipt } from '../port.ts'
import { isConnectionError } from '../postgres/connection.ts'
import { makeReceipts as makeStoredReceipts } from '../postgres/receipts.ts'
import { checkStreamName } from '../stored-event.ts'
import { backoff, pause } from '../waiting.ts'

/**
 * How long after it was written down an append that is still not in the log counts as given up: the one who sent it
 * stopped trying after ten seconds, and the server takes it for thirty. Only a refusal of the same command waits for
 * this; the command itself may be carried out again at any time, at the same place or a later one.
 */
const GIVEN_UP_MS = 90_000
const SWEEP_MS = 60_000
const LOOK_MS = 20

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
  const underWay = new Set<Promise<unknown>>()
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
    const { rows } = await pool.query<{ answered: boolean; rivals: boolean; fresh: boolean }>({
      name: 'register-appends',
      text: 'select * from kehu.register_appends($1::uuid[], $2::text[], $3::integer[], $4::integer[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::integer[], $10::text[], $11::timestamptz[])',
      values: [
        appends.map(firstEvent), appends.map(({ stream }) => stream), appends.map(revisionBefore), appends.map(({ events }) => events.length),
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

  /** Each command is pending by itself, at its own place: so it is settled, whatever became of the process that sent all of them. */
  const sendTogether = async (appends: readonly AppendWithReceipt[]): Promise<AppendResult[]> => {
    const whole = joined(appends)
    // Postgres would refuse it, and with it all that is written down at the same moment.
    checkStreamName(whole.stream)
    if (!appends.every((one) => validate(firstEvent(one)) && validate(one.receipt.commandId))) throw new TypeError('an event and a command need a uuid')
    const written = await Promise.all(appends.map((one) => registration.ask(one)))
    // What this call has written down and does not send must not look as if it were on its way.
    const forget = () => Promise.all(appends.flatMap((one, index) => (written[index]?.fresh ? [settlement.ask({ event: firstEvent(one), position: null })] : [])))
    const earlier = async (one: AppendWithReceipt, index: number) =>
      written[index]?.answered ? persistently(() => stored.find(one.receipt.commandId)) : written[index]?.rivals ? outwaitRivals(one) : undefined
    try {
      const known = await Promise.all(appends.map(earlier))
      if (known.some((receipt) => receipt !== undefined)) {
        const receipts = await Promise.all(appends.map(async (one, index) => known[index] ?? find(one.receipt.commandId)))
        const actualRevision = receipts.includes(undefined) ? await lastRevision(whole.stream) : 'no_stream'
        await forget()
        return receipts.map((receipt) => (receipt ? { outcome: 'answered', receipt } : { outcome: 'conflict', actualRevision }))
      }
    } catch (error) {
      await forget().catch(() => undefined)
      throw error
    }
    const settle = (positions: readonly Position[]) => Promise.all(appends.map((one, index) => settlement.ask({ event: firstEvent(one), position: positions[index] ?? null })))
    try {
      const result = await options.append(whole)
      const positions = result.outcome === 'appended' ? await positionsIn(whole, appends, result.position) : []
      // Not waited for: what is pending now is settled by whoever asks, however this ends.
      settle(positions).catch(() => undefined)
      const before = revisionBefore(whole)
      return lastOf(appends).map((last, index) => (result.outcome === 'appended' ? { ...result, revision: before + 1 + last, position: positions[index] ?? result.position } : result))
    } catch (error) {
      if (!(error instanceof EventStoreUnavailable)) await settle([])
      throw error
    }
  }

  const appendTogether = async (appends: readonly AppendWithReceipt[]): Promise<AppendResult[]> => {
    if (closed) throw new EventStoreUnavailable('the store is closed')
    const sent = sendTogether(appends)
    underWay.add(sent)
    return sent.finally(() => underWay.delete(sent))
  }

  const append = async (request: AppendWithReceipt): Promise<AppendResult> => {
    const [result] = await appendTogether([request])
    if (!result) throw new Error('an append was not answered')
    return result
  }

  /** Where the last event of each stands. The server tells it of the very last alone; the others are read back. */
  const positionsIn = async (whole: Append, appends: readonly Append[], last: Position): Promise<Position[]> => {
    if (appends.length === 1) return [last]
    const read: Position[] = []
    for await (const event of options.readStream(whole.stream, { fromRevision: revisionBefore(whole) + 1, count: whole.events.length })) read.push(event.position)
    return lastOf(appends).map((index) => read[index] ?? last)
  }

  const lastRevision = async (stream: string): Promise<ExpectedRevision> => {
    let last: ExpectedRevision = 'no_stream'
    for await (const { revision } of options.readStream(stream, { fromRevision: 0, count: Number.MAX_SAFE_INTEGER })) last = revision
    return last
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
    appendTogether,
    find,
    record,
    recordAttempt: (attempt: Parameters<EventStore['receipts']['recordAttempt']>[0]) => persistently(() => stored.recordAttempt(attempt)),
    /** Takes no more, and ends when what is under way has ended. */
    close: async (): Promise<void> => {
      clearInterval(sweeping)
      closed = true
      await Promise.allSettled(underWay)
      await settlement.idle()
    },
  }
}

const firstEvent = ({ events }: Append): string => events[0]?.id ?? ''
