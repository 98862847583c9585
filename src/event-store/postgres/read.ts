import { createHash } from 'node:crypto'
import type { Pool } from 'pg'
import { makeGroup } from '../group.ts'
import type { Batch, Position, ReadAllOptions, RecordedEvent } from '../port.ts'
import { reaching } from './connection.ts'
import { eventColumns, kindFilter, streamKey, toRecordedEvent, type EventRow } from './rows.ts'

/** Pages are bounded by revision: told to limit them, Postgres sorts all that is left of a stream for each. */
export const PAGE = 500
const LARGE_PAGE = 2000
/** Streams whose beginnings are read in one statement. */
const MOST_TOGETHER = 64
const LANES = 8
/** Positions looked through at once for events of some kinds: nothing takes as long as the log is long. */
const STRETCH = 250_000n

/** Which events are asked for: of these kinds, and of these types; of all where none are named. */
export type Filter = Pick<ReadAllOptions, 'kinds' | 'types'>
/** At most so many of the events after a position for which one of the filters asks, or some of them more. */
export type ReadBatch = (after: Position, filters: readonly Filter[], most: number) => Promise<Batch>

/** Beside the end of the log stands an event, or nothing when there is none. */
const isEventRow = (row: EventRow | null[]): row is EventRow => row[0] !== null

export const makeReader = (pool: Pool) => {
  /** The beginnings of streams that are asked for together come in one answer: commands read many, each short. */
  const beginnings = makeGroup(async (wanted: readonly { stream: string; from: number }[]) => {
    const [only] = wanted
    if (only && wanted.length === 1) return [await page(only.stream, only.from, PAGE)]
    const { rows } = await pool.query<EventRow>({
      name: 'read-streams',
      rowMode: 'array',
      text: `
        select e.*, w.n::integer from unnest($1::uuid[], $2::integer[]) with ordinality as w (stream_key, revision, n)
        cross join lateral (
          select ${eventColumns} from kehu.event e where e.stream_key = w.stream_key and e.revision >= w.revision and e.revision < w.revision::bigint + ${PAGE}
        ) as e`,
      values: [wanted.map(({ stream }) => streamKey(stream)), wanted.map(({ from }) => from)],
    })
    const found: EventRow[][] = wanted.map(() => [])
    for (const row of rows) found[(row[7] ?? 0) - 1]?.push(row)
    // They come in order, stream by stream; to have Postgres sort them all again costs more than to look.
    for (const events of found) if (events.some(([, revision], at) => revision < (events[at - 1]?.[1] ?? 0))) events.sort(([, one], [, other]) => one - other)
    return found
  }, { most: MOST_TOGETHER, lanes: LANES, halves: true })

  const page = async (stream: string, from: number, size: number): Promise<EventRow[]> => {
    const { rows } = await pool.query<EventRow>({
      name: 'read-stream',
      rowMode: 'array',
      text: `select ${eventColumns} from kehu.event where stream_key = $1 and revision >= $2::integer and revision < $2::integer::bigint + $3 order by revision`,
      values: [streamKey(stream), from, size],
    })
    return rows
  }

  /** Written as an iterator: of a generator, each of ten thousand events would go through three more promises. */
  const readStream = (stream: string, { fromRevision = 0 }: { fromRevision?: number } = {}): AsyncIterable<RecordedEvent> => ({
    [Symbol.asyncIterator]: () => {
      let rows: readonly EventRow[] = []
      let at = 0
      let next = fromRevision
      // The next page is on its way while this one is used; undefined once there is none.
      let following: Promise<readonly EventRow[]> | undefined
      let begun = false
      const turn = async (): Promise<void> => {
        rows = begun ? ((await following) ?? []) : await reaching(beginnings.ask({ stream, from: fromRevision }))
        next += begun ? LARGE_PAGE : PAGE
        begun = true
        at = 0
        // Revisions have no gaps: where the last of a page is not there, the stream ends.
        following = rows.at(-1)?.[1] === next - 1 ? reaching(page(stream, next, LARGE_PAGE)) : undefined
        following?.catch(() => undefined)
      }
      // A promise for each event is what the port asks for; a second one, for what is at hand already, would be felt.
      const take = async (): Promise<IteratorResult<RecordedEvent, undefined>> => {
        const row = rows[at]
        if (!row) return { done: true, value: undefined }
        at += 1
        return { done: false, value: toRecordedEvent(row) }
      }
      return {
        next: () => (at === rows.length && (!begun || following) ? turn().then(take) : take()),
        return: async (): Promise<IteratorResult<RecordedEvent, undefined>> => {
          begun = true
          following = undefined
          rows = []
          at = 0
          return { done: true, value: undefined }
        },
      }
    },
  })

  const head = async (): Promise<Position> => {
    const { rows } = await pool.query<{ position: string }>('select position from kehu.event order by position desc limit 1')
    return BigInt(rows[0]?.position ?? 0)
  }

  const eventAt = async (position: Position): Promise<RecordedEvent | undefined> => {
    const { rows } = await pool.query<EventRow>({ text: `select ${eventColumns} from kehu.event where position = $1`, values: [position], rowMode: 'array' })
    return rows[0] && toRecordedEvent(rows[0])
  }

  /**
   * One batch after a position, and where the log ends, of one snapshot: what lies before that end is committed
   * (positions are given and committed in one order), so nothing up to there can still appear. Of some kinds or types
   * no more than a stretch of the log is looked through at once: however few there are, the answer comes in time.
   */
  const readBatch: ReadBatch = async (after, filters, most) => {
    const everything = filters.some(({ kinds, types }) => !kinds && !types)
    // In an order of their own: a statement for each set of readers, whoever of them asked first.
    const sorted = filters.map((one) => ({ ...one, by: `${kindFilter(one.kinds)} ${one.types?.join(' ')}` })).sort((one, other) => (one.by < other.by ? -1 : 1))
    const lists: (readonly string[])[] = []
    const wanted = sorted.map(({ kinds, types }) => `(${kindFilter(kinds)}${types ? ` and type = any($${lists.push(types) + 2}::text[])` : ''})`)
    const where = everything ? 'true' : wanted.join(' or ')
    const { rows: found } = await pool.query<[end: string, reach: string, ...(EventRow | null[])]>({
      name: `read-batch ${createHash('sha256').update(where).digest('base64url')}`,
      rowMode: 'array',
      text: `
       select l.log_end, l.reach, e.*
       from (select log_end, ${everything ? 'log_end' : `least(log_end, $1::bigint + ${STRETCH})`} as reach
             from (select coalesce((select position from kehu.event order by position desc limit 1), 0) as log_end) as known) as l
       left join lateral (
         select ${eventColumns} from kehu.event
         where position > $1 and position <= l.reach and (${where}) order by position limit $2
       ) as e on true
       order by e.position`,
      values: [after, most, ...(everything ? [] : lists)],
    })
    const [last, end] = [BigInt(found[0]?.[0] ?? 0), BigInt(found[0]?.[1] ?? 0)]
    if (last <= after) return { events: [], position: after, caughtUp: true }
    const events = found.flatMap(([, , ...row]) => (isEventRow(row) ? toRecordedEvent(row) : []))
    const position = events.length === most ? (events.at(-1)?.position ?? end) : end
    return { events, position, caughtUp: position === last }
  }

  async function* readAll({ after: from, batchSize = PAGE, ...filter }: ReadAllOptions): AsyncIterable<Batch> {
    let after = from
    const end = await head()
    for (;;) {
      const batch = await readBatch(after, [filter], batchSize)
      yield batch
      after = batch.position
      if (batch.caughtUp || after >= end) return
    }
  }

  return { readStream, readBatch, readAll, head, eventAt }
}
