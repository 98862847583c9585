import type { Pool } from 'pg'
import { z } from 'zod'
import type { RefusedAttempt } from './port.ts'

type Row = { attempt_id: string; at: Date; actor: string; on_behalf_of: string | null; role: string; command: string; command_id: string; problem: string; stream: string | null; ran_into: unknown }

const RanInto = z.record(z.string(), z.json())

/** Refused attempts by their ids; in Postgres whichever store holds the log. */
export const makeFindAttempts = (pool: Pool) => async (attemptIds: readonly string[]): Promise<RefusedAttempt[]> => {
  const { rows } = await pool.query<Row>('select attempt_id, at, actor, on_behalf_of, role, command, command_id, problem, stream, ran_into from kehu.refused_attempt where attempt_id = any($1::uuid[])', [[...attemptIds]])
  return rows.map((row) => ({
    attemptId: row.attempt_id, at: row.at.toISOString(), actor: row.actor, onBehalfOf: row.on_behalf_of, role: row.role, command: row.command, commandId: row.command_id, problem: row.problem,
    stream: row.stream, ranInto: RanInto.parse(row.ran_into),
  }))
}
