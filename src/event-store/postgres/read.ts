import type { Pool } from 'pg'
import type { Batch, Position, ReadAllOptions, RecordedEvent } from '../port.ts'
import { eventColumns, kindFilter, streamKey, toRecordedEvent, type EventRow } from './rows.ts'

const PAGE = 500

export const makeReader = (pool: Pool) => {
  async function* readStream(stream: string, options: { fromRevision?: number } = {}): AsyncIterable<RecordedEvent> {
    let next = options.fromRevision ?? 0
    for (;;) {
      const { rows } = await pool.query<EventRow>({
        name: 'read-stream',
        text: `select ${eventColumns} from kehu.event where stream_key = $1 and revision >= $2 order by revision limit ${PAGE}`,
        values: [streamKey(stream), next],
      })
      for (const row of rows) yield toRecordedEvent(row)
      if (rows.length < PAGE) return
      next += rows.length
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
    const end = await head()
    if (end <= after) return { events: [], position: after, caughtUp: true }
    const { rows } = await pool.query<EventRow>(
      `select ${eventColumns} from kehu.event where position > $1 and position <= $2 and ${kindFilter(kinds)} order by position limit $3`,
      [after, end, batchSize],
    )
    const events = rows.map(toRecordedEvent)
    const position = rows.length === batchSize ? (events.at(-1)?.position ?? end) : end
    return { events, position, caughtUp: position === end }
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
