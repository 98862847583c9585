import { z } from 'zod'
import { channels } from '../complaint/complaint.ts'
import { ownerOf, type Customer } from '../customer/customer.ts'
import { subject } from '../customer/events.ts'
import { latest } from '../customer/protection.ts'
import { sharedForWork, withSharesAt } from '../customer/shares.ts'
import { eventParser, noChange, personal, Personal, type Context, type Decider, type Decision, type EventOf, type Instant } from '../decider.ts'
import { reject } from '../rejection.ts'
import { Id, InstantInput } from '../values.ts'

/** Contacts with one customer 互动: one stream for each customer, beside the customer's own. */
export const streamName = (customerId: string): string => `engagement-${customerId}`

const FreeText = Personal(z.string()).nullable()

// Events. These names and shapes are the storage format: add, never change. The event's effective time is the interaction's.
const Interaction = z.object({
  interactionId: z.string(), at: z.string(), channel: z.enum(channels), direction: z.enum(['inbound', 'outbound']), purpose: z.string(), contactId: z.string().nullable(),
  outcome: FreeText, nextStep: FreeText, employeeId: z.string().nullable(),
  /** Whether it was with the owner, or with somebody it was shared with for work: then it keeps the customer protected. */
  followUp: z.boolean().optional(),
})
export const events = {
  InteractionRecorded: Interaction,
  /** The reversal of a merge gave an interaction to the other of the two; it is told whole where it came to. */
  InteractionGivenAway: z.object({ interactionId: z.string(), to: z.string(), mergeId: z.string() }),
  InteractionTakenOver: Interaction.extend({ from: z.string(), mergeId: z.string() }),
}
export type EngagementEvent = EventOf<typeof events>

// State: only what decisions need.
export type Engagement = {
  interactions: ReadonlySet<string>
  /** Of these, the ones that are another customer's since a merge was reversed. */
  givenAway: ReadonlySet<string>
  /** When it was last followed up. */
  followedUpAt: Instant | null
}

/** When the customer was followed up by what the event tells; null where it was not. One that does not say is older than the question: an interaction with any of us counts. */
export const followUpAt = (event: EngagementEvent): Instant | null =>
  event.type !== 'InteractionGivenAway' && (event.data.followUp ?? event.data.employeeId !== null) ? event.data.at : null

export const engagement: Decider<Engagement, EngagementEvent> = {
  kind: 'engagement',
  events,
  parse: eventParser(events),
  initialState: { interactions: new Set(), givenAway: new Set(), followedUpAt: null },
  evolve: (state, event) => {
    const { interactionId } = event.data
    if (event.type === 'InteractionGivenAway') return { ...state, givenAway: new Set(state.givenAway).add(interactionId) }
    return {
      interactions: new Set(state.interactions).add(interactionId),
      givenAway: state.givenAway.has(interactionId) ? new Set([...state.givenAway].filter((one) => one !== interactionId)) : state.givenAway,
      followedUpAt: latest(state.followedUpAt, followUpAt(event)),
    }
  },
}

/** The interactions that are this customer's: not those it has given away. */
export const ownInteractions = ({ interactions, givenAway }: Engagement): ReadonlySet<string> => new Set([...interactions].filter((one) => !givenAway.has(one)))

// Commands.
const Text = z.string().trim().min(1).max(10_000)
export const RecordInteraction = z.strictObject({
  customerId: Id,
  interactionId: Id.optional().describe('The sender’s own id: the same one is recorded once'),
  at: InstantInput.optional().describe('When it was; now unless told'),
  channel: z.enum(channels),
  direction: z.enum(['inbound', 'outbound']).describe('inbound: the customer came to us'),
  purpose: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'a lower-case word, with hyphens'),
  contactId: Id.optional(),
  outcome: Text.optional(),
  nextStep: Text.optional(),
})

// Decisions. Late and out-of-order entry is normal: only the future is refused.
export const recordInteraction = (state: Engagement, command: z.infer<typeof RecordInteraction>, context: Context, customer: Customer | null): Decision<EngagementEvent> => {
  if (customer?.status !== 'entered') return reject('customer-not-found', 'No customer has this id.')
  const interactionId = command.interactionId ?? context.newId('interaction')
  if (state.interactions.has(interactionId)) return noChange
  const { channel, direction, purpose, contactId } = command
  const at = command.at ?? context.now
  if (at > context.now) return reject('invalid-effective-time', 'It lies in the future.', { errors: [{ path: 'at', message: 'must not be in the future' }] })
  if (contactId !== undefined && !customer.contacts.has(contactId)) return reject('unknown-reference', 'The contact does not exist.', { errors: [{ path: 'contactId', message: 'is not a contact of this customer' }] })
  const { employeeId } = context.caller
  const followUp = employeeId !== null && (employeeId === ownerOf(customer) || sharedForWork(employeeId, withSharesAt(customer, context.now), context.organisation))
  const free = (text: string | undefined) => (text === undefined ? null : personal(subject(command.customerId), text))
  return {
    events: [{ type: 'InteractionRecorded', data: { interactionId, at, channel, direction, purpose, contactId: contactId ?? null, outcome: free(command.outcome), nextStep: free(command.nextStep), employeeId, followUp } }],
    ...(command.at === undefined ? {} : { effectiveAt: at }),
  }
}
