import type { Transaction } from 'kysely'
import type { DomainEvent } from '../domain/events.ts'
import type { Position } from '../event-store/port.ts'
import type { Table } from './table.ts'

/**
 * A read model: tables built from the log and from nothing else (no clock, no other table), so that a replay from
 * zero ends in the same rows. One folder each: tables.ts, project.ts, queries.ts.
 */
export type Projection = {
  model: string
  /** Raised when tables or their meaning change: the new version is built beside the old one. */
  version: number
  /** The stream kinds it reads; events of other kinds only move its checkpoint. */
  kinds: readonly string[]
  tables: readonly Table[]
  /** Applies events in log order. Called in the transaction that moves the checkpoint. */
  project: (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]) => Promise<void>
}

/**
 * `ordinal` counts Kehu's events in log order (equal on every store); `recordedMax` is the latest recordedAt up to
 * and including this event, by which a time is mapped to a part of the log.
 */
export type ProjectedEvent = DomainEvent & { position: Position; ordinal: bigint; recordedMax: string; eventId: string }

export type Build = 'live' | 'rebuild'

/** Each version lives in a schema of its own; a rebuild is made beside it and swapped in. */
export const schemaOf = ({ model, version }: { model: string; version: number }, build: Build = 'live'): string =>
  `${model.replaceAll('-', '_')}_v${version}${build === 'rebuild' ? '_rebuild' : ''}`

/** The lock whose holder runs a version of a model. */
export const RUNNER = 'kehu projection'
export const runnerName = ({ model, version }: { model: string; version: number }): string => `${RUNNER} ${model} ${version}`
