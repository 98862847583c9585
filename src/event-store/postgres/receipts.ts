import type { Pool, PoolClient } from 'pg'
import { canonical } from '../canonical.ts'
import type { EventStore, RefusedAttempt } from '../port.ts'
import { receiptColumns, toStoredReceipt, type ReceiptRow } from './rows.ts'

export const makeReceipts = (pool: Pool): EventStore['receipts'] => {
  const find: EventStore['receipts']['find'] = async (commandId) => {
    const { rows } = await pool.query<ReceiptRow>({
      name: 'find-receipt',
      text: `select ${receiptColumns} from kehu.receipt where command_id = $1`,
      values: [commandId],
    })
    return rows[0] && toStoredReceipt(rows[0])
  }

  const insertAttempt = (client: Pool | PoolClient, attempt: RefusedAttempt) =>
    client.query(
      `insert into kehu.refused_attempt (attempt_id, at, actor, on_behalf_of, role, command, command_id, problem, stream, ran_into)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      [attempt.attemptId, attempt.at, attempt.actor, attempt.onBehalfOf, attempt.role, attempt.command, attempt.commandId, attempt.problem, attempt.stream, canonical(attempt.ranInto)],
    )

  const record: EventStore['receipts']['record'] = async (receipt, attempt) => {
    const client = await pool.connect()
    try {
      await client.query('begin')
      const { rowCount } = await client.query(
        `insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (command_id) do nothing`,
        [receipt.commandId, receipt.commandHash, receipt.command, receipt.streams, receipt.status, canonical(receipt.answer), receipt.recordedAt],
      )
      if (rowCount === 1 && attempt) await insertAttempt(client, attempt)
      await client.query('commit')
      if (rowCount === 1) return { ...receipt, position: null }
    } catch (error) {
      await client.query('rollback').catch(() => undefined)
      throw error
    } finally {
      client.release()
    }
    // Another attempt of the same command was first: its answer stands.
    return (await find(receipt.commandId)) ?? { ...receipt, position: null }
  }

  return {
    find,
    record,
    recordAttempt: async (attempt) => {
      await insertAttempt(pool, attempt)
    },
  }
}
