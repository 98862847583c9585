import type { Pool } from 'pg'
import type { Range } from './merkle.ts'
import type { Position } from './port.ts'

/** How far the log has been read for signed roots, and by what the place is recognised. */
export type RootRange = { placeId: string; position: Position; eventId: string; unsigned: number; range: Range }

/** Kept in Postgres whichever store holds the log. One statement writes it, so it is always whole. */
export type RootRanges = { read: () => Promise<RootRange | undefined>; write: (range: RootRange) => Promise<void> }

type Row = { place_id: string; position: string; event_id: string; size: string; peaks: string[]; unsigned: string }

export const makeRootRanges = (pool: Pool): RootRanges => ({
  read: async () => {
    const { rows: [row] } = await pool.query<Row>('select place_id, position, event_id, size, peaks, unsigned from kehu.root_range')
    return row && { placeId: row.place_id, position: BigInt(row.position), eventId: row.event_id, unsigned: Number(row.unsigned), range: { size: Number(row.size), peaks: row.peaks.map((peak) => Buffer.from(peak, 'hex')) } }
  },
  write: async ({ placeId, position, eventId, unsigned, range }) => {
    await pool.query(
      `insert into kehu.root_range (place_id, position, event_id, size, peaks, unsigned) values ($1, $2, $3, $4, $5, $6)
       on conflict (one) do update set place_id = excluded.place_id, position = excluded.position, event_id = excluded.event_id, size = excluded.size, peaks = excluded.peaks, unsigned = excluded.unsigned`,
      [placeId, position, eventId, range.size, range.peaks.map((peak) => peak.toString('hex')), unsigned])
  },
})
