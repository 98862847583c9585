import type { z } from 'zod'
import type { Customer } from '../domain/customer/customer.ts'
import type { CustomerEvent } from '../domain/customer/events.ts'
import type { Context, Decider, Decision } from '../domain/decider.ts'
import type { Right } from './rights.ts'

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
  decide: (state: State, body: Body, context: Context) => Decision<Event>
  /** For customers: what rights and reservations are decided on. Absent for the organisation's own streams. */
  asCustomer?: { state: (state: State) => Customer; events: (events: readonly Event[]) => readonly CustomerEvent[] }
}
