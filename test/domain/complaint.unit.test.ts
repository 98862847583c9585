import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { complaint, deadlinesFrom, nextStep, steps, type Complaint, type ComplaintEvent } from '../../src/domain/complaint/complaint.ts'
import * as handling from '../../src/domain/complaint/handling.ts'
import { customer } from '../../src/domain/customer/customer.ts'
import { personal, type Context, type Decision, type Recorded } from '../../src/domain/decider.ts'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { isRejection } from '../../src/domain/rejection.ts'
import { by, completeContact, contactAdded, created, fold, given, inForce, on, organisation, person, personalInClear, recorded, refusedAt, today, withPolicy } from '../support/given.ts'

const policy = defaultPolicies.complaints
const times = deadlinesFrom(on(1), policy.levels[0]?.steps ?? { reply: { targetDays: 1, deadlineDays: 1 }, act: { targetDays: 1, deadlineDays: 1 }, 'follow-up': { targetDays: 1, deadlineDays: 1 }, improve: { targetDays: 1, deadlineDays: 1 } })
const text = (value: string) => personal('customer-c', value)
const known = fold(customer, [recorded(created(), 0), recorded(contactAdded('contact-1', completeContact('contact-1')), 1)])

const lodged = (more: Partial<(ComplaintEvent & { type: 'ComplaintLodged' })['data']> = {}): ComplaintEvent => ({
  type: 'ComplaintLodged',
  data: { complainant: { kind: 'customer', customerId: 'c' }, class: 'service', severity: 'minor', channel: 'phone', description: text(person.said), wants: null, departments: [], level: 1, role: 'clerk', handlerId: 'clerk', deadlines: times, ...more },
})
const replied: ComplaintEvent = { type: 'ComplaintReplied', data: { reply: text(person.said) } }
const acted: ComplaintEvent = { type: 'ComplaintActed', data: { action: text(person.said), compensation: null } }
const followedUp: ComplaintEvent = { type: 'ComplaintFollowedUp', data: { outcome: text(person.said), satisfied: true } }
const improved: ComplaintEvent = { type: 'ImprovementRecorded', data: { improvement: text(person.said) } }
const closed: ComplaintEvent = { type: 'ComplaintClosed', data: { note: null } }
const escalated = (more: Partial<(ComplaintEvent & { type: 'ComplaintEscalated' })['data']> = {}): ComplaintEvent => ({
  type: 'ComplaintEscalated', data: { reason: 'beyond-authority', fromLevel: 1, toLevel: 2, role: 'manager', handlerId: null, note: null, step: null, ...more },
})
const lodge = (state: Complaint, command: Parameters<typeof handling.lodge>[1], context: Context): Decision<ComplaintEvent> => handling.lodge(state, command, context, command.customerId === undefined ? null : known)
const complaintOf = (more: object = {}) => handling.LodgeComplaint.parse({ complaintId: 'k', customerId: 'c', class: 'service', severity: 'minor', channel: 'phone', description: person.said, ...more })
const yuan = (amount: number) => ({ amount: amount * 100, currency: 'CNY' })

describe('lodging a complaint', () => {
  it('accepts it, with a target and a deadline for each step, under the policy in force', () => {
    given(complaint, []).when(lodge, complaintOf()).then([lodged({ deadlines: deadlinesFrom(today, policy.levels[0]?.steps ?? fail()) })], { policies: inForce('complaints') })
  })
  it('counts the deadlines from when it was raised', () => {
    given(complaint, []).when(lodge, complaintOf({ lodgedAt: on(20) })).then([lodged({ deadlines: deadlinesFrom(on(20), policy.levels[0]?.steps ?? fail()) })], { effectiveAt: on(20) })
  })
  it('escalates at once when several departments are involved', () => {
    given(complaint, []).when(lodge, complaintOf({ departments: ['shenzhen', 'guangzhou'] })).then([
      lodged({ departments: ['shenzhen', 'guangzhou'], deadlines: deadlinesFrom(today, policy.levels[0]?.steps ?? fail()) }), escalated({ reason: 'several-departments' }),
    ])
  })
  it('seals an anonymous one under a key of its own, and a contact’s under theirs', () => {
    const anonymous = given(complaint, []).when(lodge, complaintOf({ customerId: undefined })).decision
    expect(anonymous).toMatchObject({ events: [{ data: { complainant: { kind: 'anonymous' }, description: { personal: 'complaint-k' } } }] })
    const contact = given(complaint, []).when(lodge, complaintOf({ contactId: 'contact-1' })).decision
    expect(contact).toMatchObject({ events: [{ data: { complainant: { kind: 'contact', contactId: 'contact-1' }, description: { personal: 'contact-contact-1' } } }] })
  })
  it('names everything that does not exist at once', () => {
    given(complaint, []).when(lodge, complaintOf({ class: 'weather', severity: 'mild', contactId: 'nobody', departments: ['moon'], handlerId: 'nobody', lodgedAt: on(28) })).then(
      refusedAt('unknown-reference', 'class', 'severity', 'contactId', 'departments/0', 'handlerId', 'lodgedAt'),
    )
  })
  it('starts where the severity says', () => {
    expect(given(complaint, []).when(lodge, complaintOf({ severity: 'critical' })).decision).toMatchObject({ events: [{ data: { level: 2, role: 'manager' } }] })
  })
})

const fail = (): never => {
  throw new Error('the default policy has a first level')
}

describe('the five steps', () => {
  it('are done in order', () => {
    given(complaint, [lodged()]).when(handling.reply, { complaintId: 'k', reply: person.said }).then([replied])
    given(complaint, [lodged(), replied]).when(handling.act, { complaintId: 'k', action: person.said }).then([acted])
    given(complaint, [lodged(), replied, acted]).when(handling.followUp, { complaintId: 'k', outcome: person.said, satisfied: true }).then([followedUp])
    given(complaint, [lodged(), replied, acted, followedUp]).when(handling.improve, { complaintId: 'k', improvement: person.said }).then([improved])
    given(complaint, [lodged(), replied, acted, followedUp, improved]).when(handling.close, { complaintId: 'k' }).then([closed])
  })
  it.each([
    ['act', [lodged()], handling.act, { complaintId: 'k', action: person.said }, 'reply'],
    ['close', [lodged(), replied, acted, followedUp], handling.close, { complaintId: 'k' }, 'improve'],
  ] as const)('%s is refused before its turn, and told what comes next', (_name, past, decide, command, next) => {
    const state = fold(complaint, past.map(recorded))
    expect(decide(state, { action: '', ...command }, by('clerk'))).toMatchObject({ rejected: 'wrong-step', extensions: { next } })
  })
  it('a closed complaint takes no more, until it is reopened with new deadlines', () => {
    const done = [lodged(), replied, acted, followedUp, improved, closed]
    given(complaint, done).when(handling.reassign, { complaintId: 'k', to: 'colleague', reason: person.said }).then({ rejected: 'complaint-closed' })
    given(complaint, done).when(handling.reopen, { complaintId: 'k', reason: person.said }).then([{ type: 'ComplaintReopened', data: { reason: text(person.said), deadlines: deadlinesFrom(today, policy.levels[0]?.steps ?? fail()) } }])
  })
})

describe('escalation', () => {
  it('follows from compensation above the handler’s limit, in the same decision, to the first level that may grant it', () => {
    given(complaint, [lodged(), replied]).when(handling.act, { complaintId: 'k', action: person.said, compensation: yuan(2_000) }).then([
      { type: 'ComplaintActed', data: { action: text(person.said), compensation: yuan(2_000) } }, escalated(),
    ])
    given(complaint, [lodged(), replied]).when(handling.act, { complaintId: 'k', action: person.said, compensation: yuan(20_000) }).then([
      { type: 'ComplaintActed', data: { action: text(person.said), compensation: yuan(20_000) } }, escalated({ toLevel: 3 }),
    ])
    given(complaint, [lodged(), replied]).when(handling.act, { complaintId: 'k', action: person.said, compensation: yuan(500) }).then([{ type: 'ComplaintActed', data: { action: text(person.said), compensation: yuan(500) } }])
  })
  it('a sum in another currency is beyond anyone’s authority', () => {
    expect(given(complaint, [lodged(), replied]).when(handling.act, { complaintId: 'k', action: person.said, compensation: { amount: 1, currency: 'USD' } }).decision).toMatchObject({ events: [{}, { data: { toLevel: 3 } }] })
  })
  it('the handler’s own limit counts before the level’s', () => {
    const clerk = organisation.employees.get('clerk') ?? fail()
    const trusted = { ...organisation, employees: new Map(organisation.employees).set('clerk', { ...clerk, authorityLimit: yuan(3_000) }) }
    const past = [lodged(), replied].map(recorded)
    expect(handling.act(fold(complaint, past), { complaintId: 'k', action: person.said, compensation: yuan(2_000) }, by('clerk', { organisation: trusted }))).toMatchObject({ events: [{ type: 'ComplaintActed' }] })
  })
  it('goes up when the resolution is rejected, and what was done is done again under the same deadlines', () => {
    const { state } = given(complaint, [lodged(), replied, acted, { type: 'ResolutionRejected', data: { reason: text(person.said) } }, escalated({ reason: 'rejected-resolution' })])
    expect(state).toMatchObject({ level: 2, done: ['accept', 'reply'], deadlines: times })
    given(complaint, [lodged(), replied, acted]).when(handling.rejectResolution, { complaintId: 'k', reason: person.said }).then([{ type: 'ResolutionRejected', data: { reason: text(person.said) } }, escalated({ reason: 'rejected-resolution' })])
    given(complaint, [lodged(), replied]).when(handling.rejectResolution, { complaintId: 'k', reason: person.said }).then({ rejected: 'wrong-step' })
  })
  it('by command goes to the next level once for each reason, further only by name, and not beyond the top', () => {
    given(complaint, [lodged()]).when(handling.escalate, { complaintId: 'k', reason: 'serious-harm' }).then([escalated({ reason: 'serious-harm' })])
    given(complaint, [lodged(), escalated({ reason: 'serious-harm' })]).when(handling.escalate, { complaintId: 'k', reason: 'serious-harm' }).then([])
    given(complaint, [lodged(), escalated({ reason: 'serious-harm' })]).when(handling.escalate, { complaintId: 'k', reason: 'serious-harm', toLevel: 3 }).then([escalated({ reason: 'serious-harm', fromLevel: 2, toLevel: 3 })])
    given(complaint, [lodged({ level: 3, role: 'manager' })]).when(handling.escalate, { complaintId: 'k', reason: 'serious-harm' }).then({ rejected: 'top-level' })
    given(complaint, [lodged()]).when(handling.escalate, { complaintId: 'k', reason: 'serious-harm', toLevel: 9 }).then({ rejected: 'unknown-reference' })
  })
  it('hands over to whom the policy names, if they are here', () => {
    const named = withPolicy('complaints', { ...policy, levels: policy.levels.map((level) => (level.level === 2 ? { ...level, handlerId: 'chief' } : level)) })
    const state = fold(complaint, [recorded(lodged(), 0)])
    expect(handling.escalate(state, { complaintId: 'k', reason: 'serious-harm' }, by('clerk', { organisation: named }))).toMatchObject({ events: [{ data: { handlerId: 'chief', role: 'manager' } }] })
  })
})

describe('a deadline that passes', () => {
  const pass = (step: 'reply' | 'act' | 'follow-up' | 'improve') => ({ complaintId: 'k', step, deadline: times[step].deadline })
  it('escalates, once for each step, and leaves the deadlines as they were', () => {
    given(complaint, [lodged()]).when(handling.passDeadline, pass('reply')).then([escalated({ reason: 'deadline-passed', step: 'reply' })])
    expect(given(complaint, [lodged(), escalated({ reason: 'deadline-passed', step: 'reply' })]).state).toMatchObject({ deadlines: times })
  })
  it('is recorded as missed at the highest level', () => {
    given(complaint, [lodged({ level: 3, role: 'manager' })]).when(handling.passDeadline, pass('act')).then([{ type: 'ComplaintDeadlineMissed', data: { step: 'act', deadline: times.act.deadline } }])
  })
  it('means nothing for a step that was done, another deadline, or a closed complaint', () => {
    given(complaint, [lodged(), replied]).when(handling.passDeadline, pass('reply')).then([])
    given(complaint, [lodged()]).when(handling.passDeadline, { ...pass('reply'), deadline: on(2) }).then([])
    given(complaint, [lodged(), replied, acted, followedUp, improved, closed]).when(handling.passDeadline, pass('improve')).then([])
  })
  it('does nothing before its time', () => {
    expect(handling.passDeadline(fold(complaint, [recorded(lodged(), 0)]), pass('improve'), by('clerk', { now: on(2) }))).toMatchObject({ rejected: 'not-due' })
  })
})

describe('whatever is sent, in whatever order', () => {
  const step = fc.constantFrom('reply', 'act', 'follow-up', 'improve')
  const words = fc.constantFrom(person.said, person.evidence)
  type Send = (state: Complaint, context: Context) => Decision<ComplaintEvent>
  const send: fc.Arbitrary<Send> = fc.oneof(
    fc.record({ departments: fc.subarray(['shenzhen', 'guangzhou']), severity: fc.constantFrom('minor', 'critical') }).map((more): Send => (state, context) => lodge(state, complaintOf(more), context)),
    words.map((reply): Send => (state, context) => handling.reply(state, { complaintId: 'k', reply }, context)),
    fc.tuple(words, fc.option(fc.nat(30_000), { nil: undefined })).map(([action, sum]): Send => (state, context) => handling.act(state, { complaintId: 'k', action, compensation: sum === undefined ? undefined : yuan(sum) }, context)),
    words.map((outcome): Send => (state, context) => handling.followUp(state, { complaintId: 'k', outcome, satisfied: true }, context)),
    words.map((improvement): Send => (state, context) => handling.improve(state, { complaintId: 'k', improvement }, context)),
    fc.record({ reason: fc.constantFrom('serious-harm', 'several-departments', 'beyond-authority'), toLevel: fc.option(fc.integer({ min: 2, max: 4 }), { nil: undefined }) }).map((more): Send => (state, context) => handling.escalate(state, { complaintId: 'k', ...more }, context)),
    step.map((of): Send => (state, context) => handling.passDeadline(state, { complaintId: 'k', step: of, deadline: state.status === 'none' ? on(1) : state.deadlines[of].deadline }, context)),
    words.map((reason): Send => (state, context) => handling.rejectResolution(state, { complaintId: 'k', reason }, context)),
    fc.constantFrom('colleague', 'chief', 'nobody').map((to): Send => (state, context) => handling.reassign(state, { complaintId: 'k', to, reason: person.said }, context)),
    fc.constant<Send>((state, context) => handling.close(state, { complaintId: 'k' }, context)),
    words.map((reason): Send => (state, context) => handling.reopen(state, { complaintId: 'k', reason }, context)),
  )
  it('no step is skipped, no deadline is lost, the level never falls, repeating changes nothing, and nothing personal is in clear', () => {
    fc.assert(fc.property(fc.array(fc.tuple(send, fc.integer({ min: 0, max: 5 })), { minLength: 1, maxLength: 40 }), (sends) => {
      let state: Complaint = complaint.initialState
      let revision = 0
      let day = 1
      for (const [index, [decide, days]] of sends.entries()) {
        day += days
        const now = new Date(Date.parse(on(1)) + day * 86_400_000).toISOString()
        const context = by('clerk', { now, commandId: `command-${index}` })
        const before = state
        const decision = decide(state, context)
        expect(personalInClear(decision)).toEqual([])
        if (isRejection(decision)) continue
        for (const event of decision.events) {
          const stored: Recorded<ComplaintEvent> = { ...event, revision, recordedAt: now, effectiveAt: decision.effectiveAt ?? now, actor: 'clerk', onBehalfOf: null, commandId: context.commandId, policies: [] }
          state = complaint.evolve(state, stored)
          revision += 1
        }
        expect(decide(state, context)).toMatchObject({ events: [] })
        if (state.status === 'none') continue
        expect(steps.slice(0, state.done.length)).toEqual(state.done)
        if (state.status === 'closed') expect(nextStep(state)).toBeUndefined()
        if (before.status === 'none') continue
        expect(state.level).toBeGreaterThanOrEqual(before.level)
        if (!decision.events.some((event) => event.type === 'ComplaintReopened')) expect(state.deadlines).toEqual(before.deadlines)
      }
    }), { numRuns: 300, seed: 20260325 })
  })
})
