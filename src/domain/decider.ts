import { z } from 'zod'
import type { FoundNearMatches } from './customer/near-matches.ts'
import type { Organisation, PolicyReference } from './organisation/organisation.ts'
import type { Extension, Rejection } from './rejection.ts'

/** RFC 3339, UTC, milliseconds: such texts sort as the instants do. */
export type Instant = string

/** A value about a person, under the key of its subject; `{ erased: true }` once that key is destroyed. */
export type Personal<T> = { personal: string; value: T } | { erased: true }
export const Personal = <T extends z.ZodType>(value: T) =>
  z.union([z.object({ personal: z.string(), value }), z.object({ erased: z.literal(true) })])
export const personal = <T>(subject: string, value: T): Personal<T> => ({ personal: subject, value })
/** The value, or undefined when there is none or it has been erased. */
export const reveal = <T>(value: Personal<T> | undefined): T | undefined => (value && 'value' in value ? value.value : undefined)

/** The event schemas of a stream kind by event type: the storage format. */
export type EventSchemas = Record<string, z.ZodType>
export type EventOf<Schemas extends EventSchemas> = { [T in keyof Schemas & string]: { type: T; data: z.infer<Schemas[T]> } }[keyof Schemas & string]

/** Checks stored events of a kind against its schemas. */
export const eventParser = <Schemas extends EventSchemas>(schemas: Schemas) => (type: string, data: unknown): EventOf<Schemas> | undefined => {
  const schema = Object.hasOwn(schemas, type) ? schemas[type] : undefined
  // The schema has just checked it; TypeScript cannot follow the look-up by name.
  return schema && ({ type, data: schema.parse(data) } as EventOf<Schemas>)
}

/** A decided event with what the log knows of it. */
export type Recorded<Event> = Event & {
  revision: number
  recordedAt: Instant
  /** When it was so in the world: the stated effective time, else when it was recorded. */
  effectiveAt: Instant
  actor: string
  onBehalfOf: string | null
  commandId: string
  policies: readonly PolicyReference[]
}

export type Role = 'clerk' | 'manager' | 'system' | 'admin' | 'auditor' | 'analyst'

/** Who sends a command, and for whom. `employeeId` is the employee meant: the caller's own, or the one acted for. */
export type Caller = { actor: string; role: Role; employeeId: string | null; onBehalfOf: string | null }

/** Everything a decision may depend on besides the state of its stream. */
export type Context = {
  now: Instant
  caller: Caller
  organisation: Organisation
  commandId: string
  /** An id derived from the command: the same command makes the same one, however often it is tried. */
  newId: (what: string) => string
  /** Keyed hash of a normalised identifier: compares without being known. */
  identityOf: (kind: string, value: string) => string
  /** Who is like the customer about to be entered; absent where nobody looked. */
  nearMatches?: FoundNearMatches | undefined
}

/** Something the caller should know of a command that was accepted: a word, a sentence, and facts a program can use. */
export type Warning = { warning: string; detail: string; [fact: string]: Extension }

export type Accepted<Event> = { events: Event[]; effectiveAt?: Instant; policies?: PolicyReference[]; warnings?: Warning[] }
export type Decision<Event> = Accepted<Event> | Rejection

export type Decider<State, Event> = {
  /** The part of the stream name before the hyphen. */
  kind: string
  events: EventSchemas
  /** A stored event's data, checked; undefined for a type this kind does not know. Throws ZodError on a wrong shape. */
  parse: (type: string, data: unknown) => Event | undefined
  initialState: State
  evolve: (state: State, event: Recorded<Event>) => State
}

export const noChange = { events: [] }
