import type pg from 'pg'
import { canonical, sha256 } from '../canonical.ts'
import type { AuditedLog, LogEntry } from '../log-entry.ts'
import { StoredData, StoredMetadata } from '../stored-event.ts'
import { streamKey } from './rows.ts'

type Row = { position: string; stream_key: string; revision: number; event_id: string; stream: string; type: string; data: string; metadata: string; hash: string }
const columns = `position, stream_key, revision, event_id, stream, type, data, metadata, encode(hash, 'hex') as hash`
const PAGE = 1000

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A row as it stands, strictly: every byte of it is what Kehu would have written, and fits the hash, or there is a fault. */
const toEntry = (row: Row): LogEntry => {
  const { stream, revision, event_id: id, type } = row
  const entry = { position: BigInt(row.position), stream, revision, id, type }
  const data = StoredData.safeParse(parse(row.data))
  // Checked as it is, and looked at as it came: zod would put its keys in another order.
  const metadata: unknown = parse(row.metadata)
  const known = StoredMetadata.safeParse(metadata)
  if (!data.success || !known.success) return { ...entry, data: undefined, hash: row.hash, prevHash: '', recordedAt: '', fault: 'its data or metadata cannot be read' }
  const { hash, prevHash, recordedAt } = known.data
  const rest = Object.fromEntries(Object.entries(Object(metadata)).filter(([name]) => name !== 'hash'))
  const preimage = () => `{"data":${row.data},"id":${canonical(id)},"metadata":${canonical(rest)},"revision":${revision},"stream":${canonical(stream)},"type":${canonical(type)}}`
  const fault = canonical(data.data) !== row.data || canonical(metadata) !== row.metadata ? 'its text is not the canonical one'
    : sha256(preimage()) !== hash ? 'its hash does not fit its content'
      : row.hash !== hash ? 'the column hash is not its hash'
        : row.stream_key !== streamKey(stream) ? 'the column stream_key is not that of its stream' : undefined
  return { ...entry, data: data.data, hash, prevHash, recordedAt, fault }
}

/** The rows themselves, in order of position, up to where the log ends now; the next page is read meanwhile. */
export const auditedRows = (db: Pick<pg.Pool, 'query'>): AuditedLog => {
  async function* pages(where: string, values: unknown[], until: string): AsyncIterable<LogEntry[]> {
    const page = async (after: string) => (await db.query<Row>(`select ${columns} from kehu.event where position > $1 and position <= $2 ${where} order by position limit ${PAGE}`, [after, until, ...values])).rows
    for (let next = page('-9223372036854775808'); ;) {
      const rows = await next
      const last = rows.at(-1)
      if (!last) return
      next = page(last.position)
      // Waited for in the next turn, or not at all.
      next.catch(() => undefined)
      yield rows.map(toEntry)
    }
  }
  const head = async (): Promise<bigint> => BigInt((await db.query<{ position: string }>('select position from kehu.event order by position desc limit 1')).rows[0]?.position ?? 0)
  return {
    dense: true,
    head,
    async *entries() {
      yield* pages('', [], String(await head()))
    },
    streamEntries: (stream) => pages('and stream_key = $3', [streamKey(stream)], '9223372036854775807'),
  }
}
