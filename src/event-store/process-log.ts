import type { Pool } from 'pg'
import { z } from 'zod'
import type { Position } from './port.ts'
import { pause } from './waiting.ts'

/** A command a process could not get accepted: kept, tried again ever more slowly, and shown to the operator. */
export type Parked = { process: string; key: string; command: string; body: Record<string, unknown>; problem: string; detail: string; since: string; tries: number; nextAt: string }

/** Where each process stands, and what it has parked; in Postgres whichever store holds the log. */
export type ProcessLog = {
  position: (process: string) => Promise<Position>
  /** Written a moment later, with those of other processes; resolves when it is. */
  advance: (process: string, to: Position) => Promise<void>
  park: (entry: Omit<Parked, 'since' | 'tries'>, at: string) => Promise<void>
  settle: (process: string, key: string) => Promise<void>
  parked: (process?: string) => Promise<Parked[]>
}

const Body = z.record(z.string(), z.unknown())

type Row = { process: string; key: string; command: string; body: unknown; problem: string; detail: string; since: Date; tries: number; next_at: Date }

/** Places are kept this often: most of what processes pass over is nothing to them. */
const KEEP_MS = 500

export const makeProcessLog = (pool: Pool): ProcessLog => {
  const ahead = new Map<string, Position>()
  let keeping: Promise<void> | undefined

  /** Not waited for on the disk: who finds an earlier place after a crash looks once more, and finds everything done. */
  const keep = async (): Promise<void> => {
    await pause(KEEP_MS)
    keeping = undefined
    const places = [...ahead].sort(([one], [other]) => (one < other ? -1 : 1))
    ahead.clear()
    await pool.query({
      name: 'advance-processes',
      text: `with quickly as (select set_config('synchronous_commit', 'off', true))
             insert into kehu.process (process, position) select new.* from quickly, unnest($1::text[], $2::bigint[]) as new
             on conflict (process) do update set position = excluded.position`,
      values: [places.map(([process]) => process), places.map(([, position]) => position)],
    })
  }

  return {
    position: async (process) => {
      const { rows } = await pool.query<{ position: string }>('select position from kehu.process where process = $1', [process])
      return BigInt(rows[0]?.position ?? 0)
    },
    advance: (process, to) => {
      ahead.set(process, to)
      return (keeping ??= keep())
    },
    park: async ({ process, key, command, body, problem, detail, nextAt }, at) => {
      await pool.query(
        `insert into kehu.parked (process, key, command, problem, detail, since, tries, next_at, body) values ($1, $2, $3, $4, $5, $6, 1, $7, $8)
         on conflict (process, key) do update set problem = excluded.problem, detail = excluded.detail, tries = kehu.parked.tries + 1, next_at = excluded.next_at`,
        [process, key, command, problem, detail, at, nextAt, JSON.stringify(body)],
      )
    },
    settle: async (process, key) => {
      await pool.query('delete from kehu.parked where process = $1 and key = $2', [process, key])
    },
    parked: async (process) => {
      const { rows } = await pool.query<Row>('select process, key, command, body, problem, detail, since, tries, next_at from kehu.parked where $1::text is null or process = $1 order by process, since, key', [process ?? null])
      return rows.map((row) => ({ process: row.process, key: row.key, command: row.command, body: Body.parse(row.body), problem: row.problem, detail: row.detail, since: row.since.toISOString(), tries: row.tries, nextAt: row.next_at.toISOString() }))
    },
  }
}
