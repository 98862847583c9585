import type pg from 'pg'
import { canonical, sha256 } from '../canonical.ts'
import { isCanonicalText } from '../canonical-text.ts'
import type { AuditedLog, LogEntry } from '../log-entry.ts'
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

/** Of metadata: what is checked, and its text without the hash it claims. */
type Claims = { hash: string; prevHash: string; recordedAt: string; isCanonical: boolean; withoutHash: string }

// As Kehu writes it, and canonical: told in one go. Whatever else metadata may be is read.
const text = String.raw`"[^"\\\u0000-\u001f\ud800-\udfff]*"`
const whole = String.raw`(?:0|[1-9]\d{0,14})`
const policy = String.raw`\{"name":${text},"version":${whole}\}`
const usual = new RegExp(
  String.raw`^(\{"\$causationId":${text},"\$correlationId":${text},"actor":${text},"commandHash":${text},"commandId":${text},(?:"effectiveAt":${text},)?)"hash":"([0-9a-f]{64})",`
  + String.raw`((?:"onBehalfOf":${text},)?(?:"policies":\[(?:${policy}(?:,${policy})*)?\],)?"prevHash":"([0-9a-f]{64})","recordedAt":"([\d:.TZ-]*)","schemaVersion":${whole}(?:,"traceparent":${text})?\})$`)

const claimsOf = (metadata: string): Claims | undefined => {
  const [, before, hash, behind, prevHash, recordedAt] = usual.exec(metadata) ?? []
  if (before !== undefined && hash !== undefined && behind !== undefined && prevHash !== undefined && recordedAt !== undefined) return { hash, prevHash, recordedAt, isCanonical: true, withoutHash: before + behind }
  const read = StoredMetadata.safeParse(parse(metadata)).data
  if (!read) return undefined
  const { hash: claimed, ...rest } = read
  const isCanonical = isCanonicalText(metadata)
  return { hash: claimed, prevHash: rest.prevHash, recordedAt: rest.recordedAt, isCanonical, withoutHash: isCanonical ? canonical(rest) : '' }
}

/**
 * A row as it stands, strictly: every byte of it is what Kehu would have written, and fits the hash, or there is a fault.
 * Texts are looked at as they are, and data is read only when it is asked for.
 */
const toEntry = ([position, key, revision, id, stream, type, data, metadata, column]: Row): LogEntry => {
  const entry = { position: BigInt(position), stream, revision, id, type, data: () => parse(data) }
  const claims = claimsOf(metadata)
  const isCanonical = claims?.isCanonical === true && isCanonicalText(data)
  if (!claims || !(isCanonical ? data.startsWith('{') : StoredData.safeParse(parse(data)).success)) return { ...entry, hash: column, prevHash: '', recordedAt: '', fault: 'its data or metadata cannot be read' }
  const { hash, prevHash, recordedAt, withoutHash } = claims
  const preimage = () => `{"data":${data},"id":${canonical(id)},"metadata":${withoutHash},"revision":${revision},"stream":${canonical(stream)},"type":${canonical(type)}}`
  const fault = !isCanonical ? 'its text is not the canonical one'
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
