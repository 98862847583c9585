/**
 * Whether an append is let in: EventStore/EventStore, src/EventStore.Core/Services/Storage/ReaderIndex/IndexWriter.cs
 * (CheckCommit), and StorageWriterService.cs (ActOnCommitCheckFailure) for what becomes of one that is not.
 */
import type { LogRecord } from './record.ts'

export type Expected = number | 'any' | 'no_stream' | 'stream_exists'

/** What became of an append; `current` is -1 for a stream that is not there. Position is absent where the event can no longer be read. */
export type Outcome =
  | { kind: 'done'; revision: number; position: number | undefined }
  | { kind: 'wrong'; current: number }
  | { kind: 'deleted' }
  /** A copy of an append that is still in flight: the server never answers it. */
  | { kind: 'dropped' }

export type Limits = { truncateBefore: number; maxCount: number }

/** A stream as it is written, and how much of it is indexed: `seen` are the limits that readers meet. */
export type Stream = { records: LogRecord[]; indexed: number; tombstone: 'none' | 'written' | 'indexed'; written: Limits; seen: Limits }

/** Where an event with this id went, as far as it is remembered. */
export type Recent = (id: string) => { stream: string; revision: number } | undefined

export type Decision = { kind: 'ok'; softDeleted: boolean } | { kind: 'idempotent'; last: number } | Exclude<Outcome, { kind: 'done' }>

/** What a soft delete sets as $tb, and the revision of a tombstone: long.MaxValue, EventNumber.DeletedStream. */
export const DELETED = 9223372036854775807n
const SOFT_DELETED = Number(DELETED)

export const NO_LIMITS: Limits = { truncateBefore: 0, maxCount: Infinity }

export const isSoftDeleted = (limits: Limits): boolean => limits.truncateBefore >= SOFT_DELETED

/** $tb and $maxCount of a stream's metadata; $maxAge and $cacheControl are not needed by anybody here. */
export const limitsOf = (data: Uint8Array): Limits => {
  const text = Buffer.from(data).toString('utf8')
  const number = (name: string): number | undefined => {
    const found = new RegExp(`"\\${name}"\\s*:\\s*(\\d+)`).exec(text)?.[1]
    return found === undefined ? undefined : Number(found)
  }
  return { truncateBefore: number('$tb') ?? 0, maxCount: number('$maxCount') ?? Infinity }
}

/** Known already: answered as the first time once it is indexed, and not at all before. */
const known = (stream: Stream, last: number): Decision => (stream.indexed > last ? { kind: 'idempotent', last } : { kind: 'dropped' })

export const check = (name: string, stream: Stream, hasMetadata: boolean, expected: Expected, ids: readonly string[], recent: Recent): Decision => {
  const current = stream.records.length - 1
  const softDeleted = isSoftDeleted(stream.written)
  const wrong: Decision = { kind: 'wrong', current }
  const ok: Decision = { kind: 'ok', softDeleted }
  if (stream.tombstone !== 'none') return { kind: 'deleted' }
  if (expected === 'stream_exists') {
    if (softDeleted) return { kind: 'deleted' }
    if (current < 0 && !hasMetadata) return wrong
  }
  if (expected === 'any' || expected === 'stream_exists') {
    let last = -1
    for (const [place, id] of ids.entries()) {
      const found = recent(id)
      if (found?.stream !== name) return place === 0 ? ok : wrong
      last = found.revision
    }
    return ids.length === 0 ? ok : known(stream, last)
  }
  const before = expected === 'no_stream' ? -1 : expected
  if (before > current) return wrong
  if (before === current) return ok
  for (const [place, id] of ids.entries()) {
    if (stream.records[before + 1 + place]?.id === id) continue
    return place === 0 && before === -1 && softDeleted ? ok : wrong
  }
  return ids.length === 0 ? wrong : known(stream, before + ids.length)
}
