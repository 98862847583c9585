import type { Pool } from 'pg'

/**
 * Receipts tell the position of a command's last event. In a log that has moved, positions are others: those of the
 * earlier place then read as reached, 0. Called at every start; does nothing unless the place has changed.
 */
export const adoptPlace = async (pool: Pool, placeId: string): Promise<void> => {
  const { rows } = await pool.query<{ place_id: string }>('select place_id from kehu.place')
  if (rows[0]?.place_id === placeId) return
  // One statement, so one transaction. Of two processes that start at once the second finds nothing to do.
  await pool.query(
    `with adopted as (
       insert into kehu.place (place_id) values ($1)
       on conflict (one) do update set place_id = excluded.place_id where place.place_id <> excluded.place_id returning xmax <> 0 as moved
     )
     update kehu.receipt set position = 0 where position is not null and exists (select from adopted where moved)`,
    [placeId],
  )
}
