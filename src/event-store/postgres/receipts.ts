import type { Pool } from 'pg'
import { canonical } from '../canonical.ts'
import { makeGroup } from '../group.ts'
import type { EventStore, RefusedAttempt } from '../port.ts'
import { receiptColumns, toStoredReceipt, type ReceiptRow } from './rows.ts'

const attemptColumns = 'attempt_id, at, actor, on_behalf_of, role, command, command_id, problem, stream, ran_into'
const attemptValues = (attempt: RefusedAttempt) =>
  [attempt.attemptId, attempt.at, attempt.actor, attempt.onBehalfOf, attempt.role, attempt.command, attempt.commandId, attempt.problem, attempt.stream, canonical(attempt.ranInto)]

export const makeReceipts = (pool: Pool): EventStore['receipts'] => {
  const lookUp = makeGroup(async (commandIds: readonly string[]) => {
    const { rows } = await pool.query<ReceiptRow>({
      name: 'find-receipts',
      text: `select ${receiptColumns} from kehu.receipt where command_id = any($1::uuid[])`,
      values: [commandIds],
    })
    const found = new Map(rows.map((row) => [row.command_id, row]))
    return commandIds.map((commandId) => ({ row: found.get(commandId.toLowerCase()) }))
  })
  const find: EventStore['receipts']['find'] = async (commandId) => {
    const { row } = await lookUp.ask(commandId)
    return row && toStoredReceipt(row)
  }

  // One statement, so one transaction: the attempt is kept exactly when the receipt is.
  const record: EventStore['receipts']['record'] = async (receipt, attempt) => {
    const { rows } = await pool.query<{ kept: boolean }>(
      `with kept as (
         insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (command_id) do nothing returning 1
       ), attempted as (
         insert into kehu.refused_attempt (${attemptColumns})
         select $8::uuid, $9::timestamptz, $10::text, $11::text, $12::text, $13::text, $14::uuid, $15::text, $16::text, $17::jsonb from kept where $8 is not null
       )
       select exists (select from kept) as kept`,
      [
        receipt.commandId, receipt.commandHash, receipt.command, receipt.streams, receipt.status, JSON.stringify(receipt.answer), receipt.recordedAt,
        ...(attempt ? attemptValues(attempt) : new Array<null>(10).fill(null)),
      ],
    )
    if (rows[0]?.kept) return { ...receipt, position: null }
    // Another attempt of the same command was first: its answer stands.
    return (await find(receipt.commandId)) ?? { ...receipt, position: null }
  }

  return {
    find,
    record,
    recordAttempt: async (attempt) => {
      await pool.query(`insert into kehu.refused_attempt (${attemptColumns}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, attemptValues(attempt))
    },
  }
}
