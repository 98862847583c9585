import { z } from 'zod'
import { eventParser, Personal, reveal, type Decider, type EventOf, type Instant, type Recorded } from '../decider.ts'
import { Money } from '../values.ts'

export const kind = 'complaint'
export const streamName = (complaintId: string): string => `complaint-${complaintId}`

/** The five steps 五步, in order: a complaint is accepted 受理 as it is lodged, replied to 答复, acted on 行动, followed up 回访, improved upon 改进. */
export const steps = ['accept', 'reply', 'act', 'follow-up', 'improve'] as const
export type Step = (typeof steps)[number]
export const channels = ['visit', 'phone', 'letter', 'email', 'web', 'sms', 'chat', 'social'] as const
/** Why a complaint moves to a higher level: beyond the handler's authority, serious harm to reputation or finances, several departments, the customer rejects the resolution, a deadline passed. */
export const escalationReasons = ['beyond-authority', 'serious-harm', 'several-departments', 'rejected-resolution', 'deadline-passed'] as const
export type EscalationReason = (typeof escalationReasons)[number]

const FreeText = Personal(z.string())
const Complainant = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('customer'), customerId: z.string() }),
  z.object({ kind: z.literal('contact'), customerId: z.string(), contactId: z.string() }),
  z.object({ kind: z.literal('anonymous') }),
])
export type Complainant = z.infer<typeof Complainant>
/** Until when a step should be done (target), and must be (deadline). */
const Times = z.object({ target: z.string(), deadline: z.string() })
const Deadlines = z.object({ reply: Times, act: Times, 'follow-up': Times, improve: Times })
export type Deadlines = z.infer<typeof Deadlines>

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  ComplaintLodged: z.object({
    complainant: Complainant, class: z.string(), severity: z.string(), channel: z.enum(channels), description: FreeText, wants: FreeText.nullable(),
    departments: z.array(z.string()), level: z.number().int(), role: z.string(), handlerId: z.string().nullable(), deadlines: Deadlines,
  }),
  ComplaintReplied: z.object({ reply: FreeText }),
  ComplaintActed: z.object({ action: FreeText, compensation: Money.nullable() }),
  ComplaintFollowedUp: z.object({ outcome: FreeText, satisfied: z.boolean() }),
  ImprovementRecorded: z.object({ improvement: FreeText }),
  ComplaintEscalated: z.object({
    reason: z.enum(escalationReasons), fromLevel: z.number().int(), toLevel: z.number().int(), role: z.string(), handlerId: z.string().nullable(), note: FreeText.nullable(),
    /** For a deadline that passed: of which step. */
    step: z.enum(steps).nullable(),
  }),
  /** A deadline passed with no higher level to go to. */
  ComplaintDeadlineMissed: z.object({ step: z.enum(steps), deadline: z.string() }),
  ComplaintReassigned: z.object({ from: z.string().nullable(), to: z.string(), reason: FreeText }),
  ResolutionRejected: z.object({ reason: FreeText }),
  ComplaintClosed: z.object({ note: FreeText.nullable() }),
  ComplaintReopened: z.object({ reason: FreeText, deadlines: Deadlines }),
  /** The reversal of a merge gave it to the other of the two. */
  ComplainantCorrected: z.object({ complainant: Complainant, mergeId: z.string() }),
}
export type ComplaintEvent = EventOf<typeof events>

// State: only what decisions need.
export type OpenComplaint = {
  status: 'open' | 'closed'
  lodgedBy: string
  complainant: Complainant
  class: string
  severity: string
  channel: string
  departments: readonly string[]
  description: string | undefined
  level: number
  role: string
  handlerId: string | null
  /** The steps done, in order: the next one is the first that is missing. */
  done: readonly Step[]
  deadlines: Deadlines
  /** Steps whose deadline has passed and was dealt with. */
  passed: ReadonlySet<Step>
  /** Reasons it was escalated for since it was lodged or reopened. */
  escalatedFor: ReadonlySet<EscalationReason>
  /** What the last step of each kind said, to know a repeated command. */
  said: Readonly<Partial<Record<Step | 'rejection', string>>>
}
export type Complaint = { status: 'none' } | OpenComplaint

const did = (state: OpenComplaint, step: Step, said: string | undefined): OpenComplaint => ({ ...state, done: [...state.done, step], said: { ...state.said, ...(said === undefined ? {} : { [step]: said }) } })

const apply = (state: OpenComplaint, event: Recorded<Exclude<ComplaintEvent, { type: 'ComplaintLodged' }>>): OpenComplaint => {
  switch (event.type) {
    case 'ComplaintReplied':
      return did(state, 'reply', reveal(event.data.reply))
    case 'ComplaintActed':
      return did(state, 'act', reveal(event.data.action))
    case 'ComplaintFollowedUp':
      return did(state, 'follow-up', reveal(event.data.outcome))
    case 'ImprovementRecorded':
      return did(state, 'improve', reveal(event.data.improvement))
    case 'ComplaintEscalated':
      return {
        ...state, level: event.data.toLevel, role: event.data.role, handlerId: event.data.handlerId, escalatedFor: new Set(state.escalatedFor).add(event.data.reason),
        passed: event.data.step === null ? state.passed : new Set(state.passed).add(event.data.step),
      }
    case 'ComplaintDeadlineMissed':
      return { ...state, passed: new Set(state.passed).add(event.data.step) }
    case 'ComplaintReassigned':
      return { ...state, handlerId: event.data.to }
    case 'ResolutionRejected':
      // What was done is not enough: it is acted on, and followed up, again.
      return { ...state, done: state.done.slice(0, steps.indexOf('act')), said: { ...state.said, rejection: reveal(event.data.reason) ?? '' } }
    case 'ComplaintClosed':
      return { ...state, status: 'closed' }
    case 'ComplaintReopened':
      return { ...state, status: 'open', done: ['accept'], deadlines: event.data.deadlines, passed: new Set(), escalatedFor: new Set(), said: {} }
    case 'ComplainantCorrected':
      return { ...state, complainant: event.data.complainant }
  }
}

export const complaint: Decider<Complaint, ComplaintEvent> = {
  kind,
  events,
  parse: eventParser(events),
  initialState: { status: 'none' },
  evolve: (state, event) => {
    if (event.type === 'ComplaintLodged') {
      const { complainant, severity, channel, departments, description, level, role, handlerId, deadlines } = event.data
      return {
        status: 'open', lodgedBy: event.commandId, complainant, class: event.data.class, severity, channel, departments, description: reveal(description), level, role, handlerId, deadlines,
        done: ['accept'], passed: new Set(), escalatedFor: new Set(), said: {},
      }
    }
    return state.status === 'none' ? state : apply(state, event)
  },
}

/** Whose complaint it is; null for an anonymous one. */
export const complainingCustomer = ({ complainant }: OpenComplaint): string | null => (complainant.kind === 'anonymous' ? null : complainant.customerId)

/** The step that has to be done next; undefined when all are. */
export const nextStep = (state: OpenComplaint): Step | undefined => steps[state.done.length]

const DAY_MS = 86_400_000

/** The times of each step, counted from an instant, as the policy has them for a level. */
export const deadlinesFrom = (from: Instant, times: Record<keyof Deadlines, { targetDays: number; deadlineDays: number }>): Deadlines => {
  const after = (days: number): Instant => new Date(Date.parse(from) + Math.round(days * DAY_MS)).toISOString()
  const of = (step: keyof Deadlines) => ({ target: after(times[step].targetDays), deadline: after(times[step].deadlineDays) })
  return { reply: of('reply'), act: of('act'), 'follow-up': of('follow-up'), improve: of('improve') }
}
