import { z } from 'zod'
import { eventParser, noChange, personal, Personal, type Context, type Decider, type Decision, type EventOf } from '../decider.ts'
import { subject } from '../employee/employee.ts'
import { categoriesBelow, policyReference, type Organisation } from '../organisation/organisation.ts'
import { HandoverRule } from '../policy/kinds.ts'
import { reject, type FieldProblem } from '../rejection.ts'
import { Id, Reason } from '../values.ts'
import { ruleFaults } from './recipients.ts'

export const kind = 'handover'
export const streamName = (handoverId: string): string => `${kind}-${handoverId}`

/** Which of the customers held: these, those of a tier, those of categories (with all below them, as they were then). */
const Selection = z.object({ customerIds: z.array(z.string()).optional(), tier: z.string().optional(), categories: z.array(z.string()).optional() })
export type Selection = z.infer<typeof Selection>

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  /**
   * From here on the customers that `from` holds at this place of the log are handed over; after a departure, those as
   * well that come to be theirs later.
   */
  HandoverStarted: z.object({
    from: z.string(),
    cause: z.enum(['departure', 'transfer']),
    rule: HandoverRule,
    /** Who said so: the command, or the ownership policy of the version named beside. */
    ruleBy: z.enum(['command', 'policy']),
    /** Only of a transfer; absent: all. */
    only: Selection.optional(),
    /** Who recorded the departure, or sent the transfer. */
    startedBy: z.string(),
    reason: Personal(z.string()).nullable(),
  }),
  /** None is left: so many went to colleagues, so many to the pool, and of these so many because nobody of the rule could take them. */
  HandoverCompleted: z.object({ moved: z.int(), pooled: z.int(), unplaced: z.int() }),
}
export type HandoverEvent = EventOf<typeof events>

// State: only what decisions need.
export type Handover = { status: 'none' | 'running' | 'completed' }

export const handover: Decider<Handover, HandoverEvent> = {
  kind,
  events,
  parse: eventParser(events),
  initialState: { status: 'none' },
  evolve: (_state, event) => ({ status: event.type === 'HandoverStarted' ? 'running' : 'completed' }),
}

// Commands.
/** Sent when a departure was recorded; its id follows from the departure's. */
export const StartHandover = z.strictObject({ handoverId: Id, from: Id, handover: HandoverRule.nullable(), startedBy: z.string().max(200) })
export const TransferPortfolio = z.strictObject({
  from: Id.describe('Whose customers: those held at this moment'),
  handover: HandoverRule,
  reason: Reason,
  customerIds: z.array(Id).min(1).max(1000).optional().describe('Only these'),
  tier: z.string().max(64).optional().describe('Only those of this tier'),
  category: z.string().max(64).optional().describe('Only those of this category and the ones below it'),
})
export const CompleteHandover = z.strictObject({ handoverId: Id, moved: z.int().min(0), pooled: z.int().min(0), unplaced: z.int().min(0) })

// Decisions.
export const start = (state: Handover, command: z.infer<typeof StartHandover>, { organisation }: Context): Decision<HandoverEvent> => {
  if (state.status !== 'none') return noChange
  const { from, startedBy } = command
  const rule = command.handover ?? organisation.policies.ownership.value.handover
  return {
    events: [{ type: 'HandoverStarted', data: { from, cause: 'departure', rule, ruleBy: command.handover === null ? 'policy' : 'command', startedBy, reason: null } }],
    policies: [policyReference(organisation, 'ownership')],
  }
}

export const transferPortfolio = (state: Handover, command: z.infer<typeof TransferPortfolio>, { organisation, caller }: Context): Decision<HandoverEvent> => {
  if (state.status !== 'none') return noChange
  const { from, handover: rule, tier, category } = command
  const employee = organisation.employees.get(from)
  if (!employee) return reject('employee-not-found', 'No employee has the id from.')
  if (employee.departed) return reject('employee-departed', 'The employee has departed: the customers are handed over by the rule of the departure.')
  const errors = [
    ...ruleFaults(organisation, from, rule),
    ...(category !== undefined && !organisation.categories.has(category) ? [{ path: 'category', message: 'no category has this id' }] : []),
    ...unknownTier(tier, organisation.policies.tiers.value.tiers),
  ]
  if (errors.length > 0) return reject('unknown-reference', 'The transfer names somebody or something that is not there.', { errors })
  const only = selectionOf(command, organisation)
  return {
    events: [{
      type: 'HandoverStarted',
      data: { from, cause: 'transfer', rule, ruleBy: 'command', ...(only ? { only } : {}), startedBy: caller.actor, reason: personal(subject(from), command.reason) },
    }],
    policies: [policyReference(organisation, 'ownership')],
  }
}

/** Which customers a transfer is about; undefined: all. */
export const selectionOf = ({ customerIds, tier, category }: z.infer<typeof TransferPortfolio>, organisation: Organisation): Selection | undefined => {
  if (customerIds === undefined && tier === undefined && category === undefined) return undefined
  return {
    ...(customerIds ? { customerIds: [...new Set(customerIds)] } : {}), ...(tier === undefined ? {} : { tier }),
    ...(category === undefined ? {} : { categories: categoriesBelow(organisation, category) }),
  }
}

const unknownTier = (tier: string | undefined, tiers: readonly { name: string }[]): FieldProblem[] =>
  tier === undefined || tiers.some(({ name }) => name === tier) ? [] : [{ path: 'tier', message: 'no tier has this name' }]

export const complete = (state: Handover, { moved, pooled, unplaced }: z.infer<typeof CompleteHandover>): Decision<HandoverEvent> => {
  if (state.status === 'none') return reject('handover-not-found', 'No handover has this id.')
  return state.status === 'completed' ? noChange : { events: [{ type: 'HandoverCompleted', data: { moved, pooled, unplaced } }] }
}
