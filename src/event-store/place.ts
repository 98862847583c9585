import type { Pool } from 'pg'

/** The log is not the one this database belongs to: going on would mix two truths. */
export class WrongPlace extends Error {
  override name = 'WrongPlace'
}

const recordedPlace = async (pool: Pool): Promise<string | undefined> => (await pool.query<{ place_id: string }>('select place_id from kehu.place')).rows[0]?.place_id

/**
 * Asked of an empty log, before it is opened: a database that has known a log must not be given a new one.
 * @throws WrongPlace
 */
export const checkUnplaced = async (pool: Pool): Promise<void> => {
  const place = await recordedPlace(pool)
  if (place !== undefined) throw new WrongPlace(`This database belongs to the log at place ${place}, and the log it is started with is empty: does EVENTSTORE_URL (or its absence) name the right one? A log is moved with kehu log copy.`)
}

/**
 * Receipts tell the position of a command's last event, processes remember how far they have read. In a log that has
 * moved, positions are others: those of an earlier place then read as reached, 0, and processes look at the whole log
 * once more, where they find done what they would do. Called at every start, with the places of the log, the present
 * one last; does nothing unless it has changed.
 * @throws WrongPlace for a log that has never been where this database knew it
 */
export const adoptPlace = async (pool: Pool, places: readonly string[]): Promise<void> => {
  const recorded = await recordedPlace(pool)
  const place = places.at(-1) ?? ''
  if (recorded === place) return
  if (recorded !== undefined && !places.includes(recorded)) throw new WrongPlace(`This database belongs to the log at place ${recorded}, and the log it is started with is at ${place}, no copy of it: does EVENTSTORE_URL (or its absence) name the right one?`)
  // One statement, so one transaction. Of two processes that start at once the second finds nothing to do.
  await pool.query(
    `with adopted as (
       insert into kehu.place (place_id) values ($1)
       on conflict (one) do update set place_id = excluded.place_id where place.place_id <> excluded.place_id returning xmax <> 0 as moved
     ), rewound as (
       update kehu.process set position = 0 where exists (select from adopted where moved)
     )
     update kehu.receipt set position = 0 where position is not null and exists (select from adopted where moved)`,
    [place],
  )
}
