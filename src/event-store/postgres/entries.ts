import type pg from 'pg'
import { canonical, sha256 } from '../canonical.ts'
import { isCanonicalText } from '../canonical-text.ts'
import type { AuditedLog, LogEntry } from '../log-entry.ts'
import type { Metadata } from '../port.ts'
import { StoredData, StoredMetadata } from '../stored-event.ts'
import { streamKey } from './rows.ts'

/** A row as it stands, in the order of `columns`: as a list, which costs the driver less than an object. */
type Row = [position: string, streamKey: string, revision: number, id: string, stream: string, type: string, data: string, metadata: string, hash: string]
const columns = `position, stream_key, revision, event_id, stream, type, data, metadata, encode(hash, 'hex')`
const PAGE = 2000

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The text of metadata without the hash it claims. */
const withoutHash = (text: string, { hash, ...rest }: Metadata): string => cut(text, `"hash":"${hash}",`) ?? canonical(rest)

/** A canonical text without one of its entries is canonical, too. Undefined where that entry is not there once. */
const cut = (text: string, entry: string): string | undefined => {
  const at = text.indexOf(entry)
  return at < 0 || text.includes(entry, at + 1) ? undefined : text.slice(0, at) + text.slice(at + entry.length)
}

/**
 * A row as it stands, strictly: every byte of it is what Kehu would have written, and fits the hash, or there is a fault.
 * Texts are looked at as they are, and data is read only when it is asked for.
 */
const toEntry = ([position, key, revision, id, stream, type, data, metadataText, column]: Row): LogEntry => {
  const entry = { position: BigInt(position), stream, revision, id, type, data: () => parse(data) }
  const metadata = StoredMetadata.safeParse(parse(metadataText)).data
  const isWritten = isCanonicalText(data) && isCanonicalText(metadataText)
  if (!metadata || !(isWritten ? data.startsWith('{') : StoredData.safeParse(parse(data)).success)) return { ...entry, hash: column, prevHash: '', recordedAt: '', fault: 'its data or metadata cannot be read' }
  const { hash, prevHash, recordedAt } = metadata
  const preimage = () => `{"data":${data},"id":${canonical(id)},"metadata":${withoutHash(metadataText, metadata)},"revision":${revision},"stream":${canonical(stream)},"type":${canonical(type)}}`
  const fault = !isWritten ? 'its text is not the canonical one'
    : sha256(preimage()) !== hash ? 'its hash does not fit its content'
      : column !== hash ? 'the column hash is not its hash'
        : key !== streamKey(stream) ? 'the column stream_key is not that of its stream' : undefined
  return { ...entry, hash, prevHash, recordedAt, fault }
}

type Db = Pick<pg.Pool, 'query'>
const headOf = async (db: Db): Promise<bigint> => BigInt((await db.query<{ position: string }>('select position from kehu.event order by position desc limit 1')).rows[0]?.position ?? 0)

async function* pages(db: Db, where: string, values: unknown[], until: string): AsyncIterable<Row[]> {
  const page = async (after: string) => (await db.query<Row>({ text: `select ${columns} from kehu.event where position > $1 and position <= $2 ${where} order by position limit ${PAGE}`, values: [after, until, ...values], rowMode: 'array' })).rows
  for (let next = page('-9223372036854775808'); ;) {
    const rows = await next
    const last = rows.at(-1)
    if (!last) return
    next = page(last[0])
    // Waited for in the next turn, or not at all.
    next.catch(() => undefined)
    yield rows
  }
}

/** All rows as they stand, in order of position, up to where the log ends now; the next page is read meanwhile. */
export async function* readRows(db: Db): AsyncIterable<Row[]> {
  yield* pages(db, '', [], String(await headOf(db)))
}

/** The rows themselves, each looked at. */
export const auditedRows = (db: Db): AuditedLog => ({
  dense: true,
  head: () => headOf(db),
  async *entries() {
    for await (const rows of readRows(db)) yield rows.map(toEntry)
  },
  async *streamEntries(stream) {
    for await (const rows of pages(db, 'and stream_key = $3', [streamKey(stream)], '9223372036854775807')) yield rows.map(toEntry)
  },
})
