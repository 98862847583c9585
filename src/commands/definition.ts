import type { z } from 'zod'
import type { Customer } from '../domain/customer/customer.ts'
import type { CustomerEvent } from '../domain/customer/events.ts'
import type { Caller, Context, Decider, Decision, Instant } from '../domain/decider.ts'
import type { Organisation } from '../domain/organisation/organisation.ts'
import type { Rejection } from '../domain/rejection.ts'
import type { JsonObject } from '../event-store/port.ts'
import type { Loaded } from './load.ts'
import type { WouldBe } from './near-matches.ts'
import type { Right } from './rights.ts'
import type { Runtime } from './runtime.ts'

/** Where a command is carried out, when that is not where it was addressed, or not on what is recorded there alone. */
export type Placed<Body, State> = {
  /** The id of the thing whose stream is written, and of that which the answer names. */
  id: string
  answerId: string
  body: Body
  loaded: Loaded<State>
  /** What is decided on, where that is more than the stream tells. */
  decideOn: State
  /** The revision a reader of the thing sees. */
  revision: number
  redirectedFrom?: string
}

/** A command as the registry holds it: everything the path, the route, OpenAPI and the docs need to know. */
export type CommandDefinition<Body, State, Event> = {
  name: string
  summary: { en: string; zh: string }
  schema: z.ZodType<Body>
  decider: Decider<State, Event>
  /** The id of the thing decided on: the caller's, else one derived from the command. */
  target: (body: Body, newId: (what: string) => string) => string
  /** The name of that id in the answer; a command that makes a new thing answers 201. */
  idName: string
  creates: boolean
  right: Right
  /** `customer` is the one `customerOf` names: null where there is none of that id, or none is meant. */
  decide: (state: State, body: Body, context: Context, customer: Customer | null, customers: readonly (Customer | null)[]) => Decision<Event>
  /** The customer a command of another stream concerns: read for rights and decision. */
  customerOf?: (body: Body) => string | undefined
  /** Further customers a command concerns, as their own streams tell them: null where there is none of that id. */
  customersOf?: (body: Body, state: State) => readonly string[]
  /** Why this caller may not, beyond the role; for customers' own commands it follows from the right. */
  refusal?: (state: State, body: Body, caller: Caller, organisation: Organisation, customer: Customer | null, customers: readonly (Customer | null)[]) => Rejection | undefined
  /** When the command takes effect, where it may be earlier than now. */
  effectiveAt?: (body: Body) => Instant | undefined
  /** Asked at each attempt, of what was loaded: undefined when the command is carried out where it is addressed. */
  place?: (runtime: Runtime, body: Body, loaded: Loaded<State>) => Promise<Placed<Body, State> | undefined>
  /** What a dry run tells besides the events. */
  preview?: (runtime: Runtime, body: Body) => Promise<JsonObject>
  /** Whom this command would enter, where others that are like it are to be looked for before it is decided. */
  wouldBe?: (state: State, body: Body, runtime: Pick<Runtime, 'organisation' | 'keyedHash'>) => WouldBe | undefined
  /** For customers: what rights and reservations are decided on. Absent for other streams. */
  asCustomer?: { state: (state: State) => Customer; events: (events: readonly Event[]) => readonly CustomerEvent[] }
}
