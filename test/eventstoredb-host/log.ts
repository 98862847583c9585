/**
 * The log of the test host, independent of gRPC: records with positions that grow like bytes, the streams they
 * make, and the rules by which a server lets an append in.
 *
 * An append is *written* when it arrives and *indexed* when it is done. Between the two it is in flight: it counts
 * when the next append is checked, but nobody reads it, and a copy of it gets no answer. What is written, and in which
 * order, follows EventStore/EventStore, src/EventStore.Core/Services/Storage/StorageWriterService.cs.
 */
import { randomUUID } from 'node:crypto'
import { check, DELETED, isSoftDeleted, limitsOf, NO_LIMITS, type Decision, type Expected, type Outcome, type Stream } from './check.ts'
import { openLogFile, type LogFile } from './file.ts'
import { makeRecord, type LogRecord, type Proposed } from './record.ts'

export type { Expected, Outcome } from './check.ts'
export type { LogRecord } from './record.ts'

export type Answer = (outcome: Outcome) => void

/** A stream as readers see it: the revisions that are there. Empty when it was never written or was soft-deleted. */
export type StreamView = { kind: 'stream'; records: readonly LogRecord[]; first: number; end: number } | { kind: 'none' } | { kind: 'tombstoned' }

export type HostLog = {
  /** All events or none. `delayMs` is the time they are in flight. */
  append: (stream: string, expected: Expected, events: readonly Proposed[], delayMs: number, answer: Answer) => void
  /** Deletes a stream: softly (it can be written again) or for good. The answer's position is that of the record this makes. */
  remove: (stream: string, expected: Expected, forGood: boolean, delayMs: number, answer: Answer) => void
  /** What has been indexed, in order: all that $all shows. */
  records: readonly LogRecord[]
  view: (stream: string) => StreamView
  /** Index of the first record not before this position, as a server compares: with (its position, its position). */
  firstFrom: (commit: number, prepare: number) => number
  /** False for a position within the log at which no record starts. */
  isValid: (commit: number) => boolean
  /** Called with the records of each append once they are indexed; answers how to stop that. */
  onIndexed: (listener: (records: readonly LogRecord[]) => void) => () => void
  /** What is in flight is done, as what a killed server had written already; the file is closed until something is written again. */
  close: () => void
}

type Group = { records: LogRecord[]; doneAt: number; done: () => void }

/** A record's size without stream, type, data and metadata: about that of a prepare record on the server's disk. */
const RECORD_OVERHEAD = 90
/** The server writes an epoch record at each start: bytes of the log that no reader sees. */
const EPOCH_SIZE = 148
/** A statistics event for every so many events: the server writes them by time, tests want them to come surely. */
const STATS_EVERY = 64
/** How many recent event ids are remembered to recognise a repeated append with `any`; a restart forgets them. */
const RECENT_IDS = 65_536
const STATS_STREAM = '$stats-127.0.0.1:2113'

const json = (data: object, type: string): Proposed => ({ id: randomUUID(), type, isJson: true, data: Buffer.from(JSON.stringify(data)), metadata: new Uint8Array() })

/** The log in memory, or in `file`, where all that is indexed has been written before anyone is told. */
export const createLog = (options: { file?: string } = {}): HostLog => {
  const records: LogRecord[] = []
  const streams = new Map<string, Stream>()
  const recent = new Map<string, { stream: string; revision: number }>()
  const listeners = new Set<(records: readonly LogRecord[]) => void>()
  const inFlight: Group[] = []
  let end = 0
  let sinceStats = 0
  let file: LogFile | undefined

  const streamOf = (name: string): Stream => {
    let stream = streams.get(name)
    if (!stream) {
      stream = { records: [], indexed: 0, tombstone: 'none', written: NO_LIMITS, seen: NO_LIMITS }
      streams.set(name, stream)
    }
    return stream
  }

  // Writing: records get their place at once, in the order in which appends arrive.

  const sizeOf = (stream: string, event: Proposed): number =>
    RECORD_OVERHEAD + Buffer.byteLength(stream) + Buffer.byteLength(event.type) + event.data.length + event.metadata.length

  const write = (name: string, events: readonly Proposed[], into: LogRecord[]): LogRecord[] => {
    const stream = streamOf(name)
    const transaction = end
    for (const event of events) {
      const revision = stream.records.length
      const position = end
      end += sizeOf(name, event)
      const record = makeRecord(event, { stream: name, revision: BigInt(revision), position, transaction, next: end })
      stream.records.push(record)
      into.push(record)
      recent.set(event.id, { stream: name, revision })
      if (recent.size > RECENT_IDS) recent.delete(recent.keys().next().value ?? '')
      if (name.startsWith('$$')) streamOf(name.slice(2)).written = limitsOf(event.data)
    }
    return into
  }

  const writeTombstone = (name: string): LogRecord => {
    const event: Proposed = { ...json({}, '$streamDeleted'), data: new Uint8Array() }
    const position = end
    end += sizeOf(name, event)
    streamOf(name).tombstone = 'written'
    return makeRecord(event, { stream: name, revision: DELETED, position, transaction: position, next: end })
  }

  // Indexing: from here on the records are read, in the order in which they were written.

  const index = (group: readonly LogRecord[]): void => {
    for (const record of group) {
      records.push(record)
      const stream = streamOf(record.stream)
      if (record.revision === DELETED) stream.tombstone = 'indexed'
      else stream.indexed = Number(record.revision) + 1
      if (record.stream.startsWith('$$')) {
        const original = streamOf(record.stream.slice(2))
        original.seen = original.written
      }
    }
  }

  const settle = (now = Date.now()): void => {
    for (;;) {
      const [group] = inFlight
      if (!group || group.doneAt > now) return
      inFlight.shift()
      file?.write(group.records)
      index(group.records)
      group.done()
      for (const listener of listeners) listener(group.records)
    }
  }

  const commit = (group: LogRecord[], delayMs: number, done: () => void): void => {
    inFlight.push({ records: group, doneAt: delayMs > 0 ? Date.now() + delayMs : 0, done })
    if (delayMs > 0) setTimeout(() => settle(), delayMs + 1).unref()
    else settle()
  }

  // Letting in.

  const decide = (name: string, expected: Expected, ids: readonly string[]): Decision =>
    check(name, streamOf(name), (streams.get(`$$${name}`)?.records.length ?? 0) > 0, expected, ids, (id) => recent.get(id))

  /** True when there was nothing to let in: the answer has been given. */
  const turnedAway = (name: string, decision: Decision, answer: Answer): boolean => {
    if (decision.kind === 'ok') return false
    if (decision.kind !== 'idempotent') {
      answer(decision)
      return true
    }
    // A stream whose event can no longer be read (deleted since, or cut by $maxCount) leaves the answer without a position.
    const shown = view(name)
    const readable = shown.kind === 'stream' && decision.last >= shown.first
    answer({ kind: 'done', revision: decision.last, position: readable ? shown.records[decision.last]?.position : undefined })
    return true
  }

  const append: HostLog['append'] = (name, expected, events, delayMs, answer) => {
    const decision = decide(name, expected, events.map((event) => event.id))
    if (turnedAway(name, decision, answer)) return
    const group = write(name, events, [])
    const last = group.at(-1)
    if (decision.kind === 'ok' && decision.softDeleted) write(`$$${name}`, [json({ $tb: Number(group[0]?.revision ?? 0) }, '$metadata')], group)
    sinceStats += events.length
    if (sinceStats >= STATS_EVERY && !name.startsWith('$')) {
      sinceStats = 0
      write(STATS_STREAM, [json({ 'proc-id': process.pid, 'es-writer-queuedFlushMessages': inFlight.length }, '$statsCollected')], group)
    }
    commit(group, delayMs, () => answer({ kind: 'done', revision: last ? Number(last.revision) : streamOf(name).records.length - 1, position: last?.position }))
  }

  const remove: HostLog['remove'] = (name, expected, forGood, delayMs, answer) => {
    if (turnedAway(name, decide(name, expected, [randomUUID()]), answer)) return
    const { records: existing } = streamOf(name)
    if (!forGood && existing.length === 0 && !streams.has(`$$${name}`)) return answer({ kind: 'wrong', current: -1 })
    const softly: Proposed = { ...json({}, '$metadata'), data: Buffer.from(`{"$tb":${DELETED}}`) }
    const group = forGood ? [writeTombstone(name)] : write(`$$${name}`, [softly], [])
    commit(group, delayMs, () => answer({ kind: 'done', revision: existing.length - 1, position: group[0]?.position }))
  }

  // Reading.

  const view: HostLog['view'] = (name) => {
    const stream = streams.get(name)
    if (!stream) return { kind: 'none' }
    if (stream.tombstone === 'indexed') return { kind: 'tombstoned' }
    if (stream.indexed === 0 || isSoftDeleted(stream.seen)) return { kind: 'none' }
    return { kind: 'stream', records: stream.records, first: Math.max(stream.seen.truncateBefore, stream.indexed - stream.seen.maxCount, 0), end: stream.indexed }
  }

  const firstFrom: HostLog['firstFrom'] = (commitPosition, prepare) => {
    let low = 0
    let high = records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const position = records[middle]?.position ?? 0
      if (position < commitPosition || (position === commitPosition && position < prepare)) low = middle + 1
      else high = middle
    }
    return low
  }

  const isValid: HostLog['isValid'] = (position) => {
    const last = records.at(-1)
    if (position === 0 || !last || position > last.position) return true
    const at = firstFrom(position, 0)
    return records[at]?.position === position || records[at - 1]?.next === position
  }

  const load = (path: string): void => {
    file = openLogFile(path, (record, data) => {
      const stream = streamOf(record.stream)
      if (record.revision === DELETED) stream.tombstone = 'written'
      else stream.records.push(record)
      if (record.stream.startsWith('$$')) streamOf(record.stream.slice(2)).written = limitsOf(data)
      index([record])
      end = record.next
    })
  }

  if (options.file !== undefined) load(options.file)
  const first = records.length === 0
  end += EPOCH_SIZE
  if (first) {
    const users = write('$user-admin', [json({ loginName: 'admin', groups: ['$admins'] }, '$UserCreated')], [])
    write('$users', [json({ loginName: 'admin' }, '$User')], users)
    write(`$$${STATS_STREAM}`, [json({ $maxAge: 86_400 }, '$metadata')], users)
    commit(users, 0, () => undefined)
  }

  return {
    append, remove, records, view, firstFrom, isValid,
    onIndexed: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: () => {
      settle(Infinity)
      file?.close()
    },
  }
}
