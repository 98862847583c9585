/**
 * The event store as the rest of Kehu sees it. Two adapters keep this contract (test/event-store/contract.ts):
 * Postgres and EventStoreDB. An event handed to `append` is final: sealed, chained, its bytes never change again.
 */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/** Where an event stands in the log. Store-specific: never written into an event, never compared between stores. */
export type Position = bigint
export type ExpectedRevision = number | 'no_stream'

export type Metadata = {
  schemaVersion: number
  commandId: string
  commandHash: string
  actor: string
  onBehalfOf?: string
  $correlationId: string
  $causationId: string
  traceparent?: string
  recordedAt: string
  effectiveAt?: string
  policies?: { name: string; version: number }[]
  prevHash: string
  hash: string
}

export type SealedEvent = { id: string; type: string; data: JsonObject; metadata: Metadata }
export type RecordedEvent = SealedEvent & { stream: string; revision: number; position: Position }

/** What became of a command: kept so that the same key gives the same answer. Holds ids, never a personal value. */
export type Receipt = {
  commandId: string
  commandHash: string
  command: string
  streams: string[]
  status: number
  answer: JsonObject
  recordedAt: string
}
/** `position` is that of the command's last event; null when it appended none. */
export type StoredReceipt = Receipt & { position: Position | null }

/** A command that was refused: who tried, what it ran into. Identifiers only as keyed hashes. */
export type RefusedAttempt = {
  attemptId: string
  at: string
  actor: string
  onBehalfOf: string | null
  role: string
  command: string
  commandId: string
  problem: string
  stream: string | null
  ranInto: JsonObject
}

export type Append = {
  stream: string
  expectedRevision: ExpectedRevision
  events: readonly SealedEvent[]
  /** Commits with the events. When a receipt of this command is there already, nothing is appended. */
  receipt?: Receipt
}

/** What a command appends: with the receipt that says so. */
export type AppendWithReceipt = Append & { receipt: Receipt }

export type AppendResult =
  | { outcome: 'appended'; revision: number; position: Position }
  | { outcome: 'conflict'; actualRevision: ExpectedRevision }
  | { outcome: 'answered'; receipt: StoredReceipt }

/** Events in log order, and the last position looked at: everything up to it has been seen, matching or not. */
export type Batch = { events: RecordedEvent[]; position: Position; caughtUp: boolean }

export type ReadAllOptions = {
  after: Position
  /** Only streams of these kinds (the part of the name before the first hyphen). */
  kinds?: readonly string[]
  /** Only events of these types. */
  types?: readonly string[]
  /** Most events in one batch; 500 unless told. */
  batchSize?: number
}

export type EventStore = {
  /**
   * Appends all events or none, at exactly the expected revision. Sending the same ids again to the same place
   * answers as the first time. Rejects with EventStoreUnavailable when the outcome could not be learned in time.
   */
  append: (append: Append) => Promise<AppendResult>
  /**
   * Appends to one stream, each going on where the one before ends, as one append: all or none. Each is answered, and
   * has its receipt, as if it had come by itself. When the receipt of any is there already, nothing is appended: that
   * one is 'answered', those without theirs are a 'conflict', to be decided anew. MAX_APPEND_BYTES holds for the whole.
   */
  appendTogether: (appends: readonly AppendWithReceipt[]) => Promise<AppendResult[]>
  /** Events of one stream in order, from `fromRevision` (0 unless told). An unknown stream is empty. */
  readStream: (stream: string, options?: { fromRevision?: number }) => AsyncIterable<RecordedEvent>
  /** The log up to where it ends now. */
  readAll: (options: ReadAllOptions) => AsyncIterable<Batch>
  /**
   * The log from `after` on, for ever: never skips, never repeats, reconnects by itself; ends when `signal` aborts.
   * The first batch comes at once, empty when there is nothing new.
   */
  subscribe: (options: ReadAllOptions & { signal: AbortSignal }) => AsyncIterable<Batch>
  /** The event at a position, to check that a checkpoint belongs to this log. */
  eventAt: (position: Position) => Promise<RecordedEvent | undefined>
  /** Position of the last event; 0 for an empty log. */
  head: () => Promise<Position>
  receipts: {
    find: (commandId: string) => Promise<StoredReceipt | undefined>
    /** Records a command that appended nothing, with the attempt when it was refused. Answers the receipt that is kept: the first. */
    record: (receipt: Receipt, attempt?: RefusedAttempt) => Promise<StoredReceipt>
    /** Records a refusal that leaves no receipt (a wrong role): trying again later may succeed. */
    recordAttempt: (attempt: RefusedAttempt) => Promise<void>
  }
  close: () => Promise<void>
}

/** The store cannot be reached, or did not answer in time: what was sent may have happened. Ask again with the same key. */
export class EventStoreUnavailable extends Error {
  override name = 'EventStoreUnavailable'
}

/** Most bytes of events in one append, on every store: EventStoreDB takes 1 MiB, half of it leaves room. */
export const MAX_APPEND_BYTES = 512 * 1024

export class AppendTooLarge extends Error {
  override name = 'AppendTooLarge'
}

export const kindOf = (stream: string): string => stream.slice(0, Math.max(0, stream.indexOf('-')))
