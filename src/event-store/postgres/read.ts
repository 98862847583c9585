import type { Pool } from 'pg'
import { makeGroup } from '../group.ts'
import type { Batch, Position, ReadAllOptions, RecordedEvent } from '../port.ts'
import { eventColumns, kindFilter, streamKey, toRecordedEvent, type EventRow } from './rows.ts'

const PAGE = 500
const LARGE_PAGE = 2000
/** Streams whose beginnings are read in one statement. */
const MOST_TOGETHER = 64
const LANES = 4
/** Positions looked through at once for events of some kinds: nothing takes as long as the log is long. */
const STRETCH = 250_000n

export const makeReader = (pool: Pool) => {
  /** The beginnings of streams that are asked for together come in one answer: commands read many, each short. */
  const beginnings = makeGroup(async (wanted: readonly { stream: string; from: number }[]) => {
    const { rows } = await pool.query<EventRow & { n: string }>({
      name: 'read-streams',
      text: `
        select w.n, e.* from unnest($1::uuid[], $2::integer[]) with ordinality as w (stream_key, revision, n)
        cross join lateral (
          select ${eventColumns} from kehu.event e where e.stream_key = w.stream_key and e.revision >= w.revision order by e.revision limit ${PAGE}
        ) as e
        order by w.n, e.revision`,
      values: [wanted.map(({ stream }) => streamKey(stream)), wanted.map(({ from }) => from)],
    })
    const found = wanted.map((): EventRow[] => [])
    for (const { n, ...row } of rows) found[Number(n) - 1]?.push(row)
    return found
  }, MOST_TOGETHER, LANES)

  const page = async (stream: string, from: number): Promise<EventRow[]> => {
    const { rows } = await pool.query<EventRow>({
      name: 'read-stream',
      text: `select ${eventColumns} from kehu.event where stream_key = $1 and revision >= $2 order by revision limit ${LARGE_PAGE}`,
      values: [streamKey(stream), from],
    })
    return rows
  }

  async function* readStream(stream: string, { fromRevision = 0 }: { fromRevision?: number } = {}): AsyncIterable<RecordedEvent> {
    let rows = await beginnings.ask({ stream, from: fromRevision })
    let next = fromRevision + rows.length
    let full = rows.length === PAGE
    for (;;) {
      // The next page is on its way while this one is used.
      const following = full ? page(stream, next) : undefined
      following?.catch(() => undefined)
      for (const row of rows) yield toRecordedEvent(row)
      if (!following) return
      rows = await following
      next += rows.length
      full = rows.length === LARGE_PAGE
    }
  }

  const head = async (): Promise<Position> => {
    const { rows } = await pool.query<{ position: string }>('select position from kehu.event order by position desc limit 1')
    return BigInt(rows[0]?.position ?? 0)
  }

  const eventAt = async (position: Position): Promise<RecordedEvent | undefined> => {
    const { rows } = await pool.query<EventRow>(`select ${eventColumns} from kehu.event where position = $1`, [position])
    return rows[0] && toRecordedEvent(rows[0])
  }

  /**
   * One batch after a position. The end of the log is read first: what lies before it is committed (positions are
   * given and committed in one order), so nothing up to there can still appear.
   */
  const readBatch = async ({ after, kinds, batchSize = PAGE }: ReadAllOptions): Promise<Batch> => {
    const last = await head()
    if (last <= after) return { events: [], position: after, caughtUp: true }
    const end = kinds && last - after > STRETCH ? after + STRETCH : last
    const { rows } = await pool.query<EventRow>(
      `select ${eventColumns} from kehu.event where position > $1 and position <= $2 and ${kindFilter(kinds)} order by position limit $3`,
      [after, end, batchSize],
    )
    const events = rows.map(toRecordedEvent)
    const position = rows.length === batchSize ? (events.at(-1)?.position ?? end) : end
    return { events, position, caughtUp: position === last }
  }

  async function* readAll(options: ReadAllOptions): AsyncIterable<Batch> {
    let { after } = options
    const end = await head()
    for (;;) {
      const batch = await readBatch({ ...options, after })
      yield batch
      after = batch.position
      if (batch.caughtUp || after >= end) return
    }
  }

  return { readStream, readBatch, readAll, head, eventAt }
}
