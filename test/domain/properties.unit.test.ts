import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import * as category from '../../src/domain/category/category.ts'
import { mergeTemplates } from '../../src/domain/category/template.ts'
import { customer, ownerOf, ownershipAt, ownershipNow, type Customer } from '../../src/domain/customer/customer.ts'
import { settleDispute, SettleDispute } from '../../src/domain/customer/dispute.ts'
import type { CustomerEvent } from '../../src/domain/customer/events.ts'
import * as correction from '../../src/domain/customer/correction.ts'
import { handOver, HandOverCustomer } from '../../src/domain/customer/hand-over.ts'
import * as identifiers from '../../src/domain/customer/identifiers.ts'
import * as lifecycle from '../../src/domain/customer/lifecycle.ts'
import * as ownership from '../../src/domain/customer/ownership.ts'
import * as protecting from '../../src/domain/customer/protecting.ts'
import { standingOf } from '../../src/domain/customer/protection.ts'
import * as profile from '../../src/domain/customer/profile.ts'
import { EndShare, endShare } from '../../src/domain/customer/shares.ts'
import type { Caller, Context, Decider, Decision, Instant, Recorded } from '../../src/domain/decider.ts'
import * as department from '../../src/domain/department/department.ts'
import * as employee from '../../src/domain/employee/employee.ts'
import { identity } from '../../src/domain/identity/identity.ts'
import { categoryChain, evolveOrganisation, type Organisation, type OrganisationEvent } from '../../src/domain/organisation/organisation.ts'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { policyKinds } from '../../src/domain/policy/kinds.ts'
import * as policy from '../../src/domain/policy/policy.ts'
import * as reports from '../../src/domain/record-report/judging.ts'
import { aboutOf, recordReport, reportIdOf, type RecordReport, type RecordReportEvent } from '../../src/domain/record-report/record-report.ts'
import { isRejection } from '../../src/domain/rejection.ts'
import { listed } from '../../src/domain/customer/ownership-changes.ts'
import { byAdmin, created, departed, eventIdOf, field, fold, identityOf, label, organisation, person, personalInClear, recorded, withCategory, withPolicy } from '../support/given.ts'

/*
 * Commands at random, one after the other, on the state the earlier ones led to. Whatever they are and whatever
 * becomes of them, every decision of every stream kind keeps what `attempt` checks.
 */
const SEED = 20260303

/** A decision on a body whose keys stand as they were written, or otherwise. */
type Run<State, Event> = (state: State, context: Context, arrange: (body: unknown) => unknown) => Decision<Event>
const run = <State, Event, Command>(schema: z.ZodType<Command>, decide: (state: State, command: Command, context: Context) => Decision<Event>, body: object): Run<State, Event> =>
  (state, context, arrange) => decide(state, schema.parse(arrange(body)), context)

const asWritten = (value: unknown): unknown => value
const reversed = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(reversed)
  return Object.fromEntries(Object.entries(value).toReversed().map(([key, item]) => [key, reversed(item)]))
}
const tidy = <Event>(decision: Decision<Event>): Decision<Event> =>
  isRejection(decision) && decision.errors ? { ...decision, errors: decision.errors.toSorted((a, b) => (a.path + a.message < b.path + b.message ? -1 : 1)) } : decision

type Stream<State, Event> = {
  state: State
  /** The same, from events whose keys stood in the opposite order. */
  mirror: State
  log: Recorded<Event>[]
}

/** The streams of one kind, and the kinds of outcome met. */
const tracker = <State, Event extends { type: string; data: object }>(decider: Decider<State, Event>, met: Set<string>) => {
  const streams = new Map<string, Stream<State, Event>>()
  const stream = (id: string): Stream<State, Event> => streams.get(id) ?? { state: decider.initialState, mirror: decider.initialState, log: [] }

  const attempt = (id: string, decide: Run<State, Event>, context: Context): Recorded<Event>[] => {
    const before = stream(id)
    const decision = decide(before.state, context, asWritten)
    expect(decide(before.state, context, asWritten), 'the same again').toEqual(decision)
    expect(tidy(decide(before.mirror, context, reversed)), 'whatever the order of keys').toEqual(tidy(decision))
    expect(personalInClear(decision), 'no personal value in clear').toEqual([])
    if (isRejection(decision)) {
      met.add(decision.rejected)
      return []
    }
    const decided = decision.events.map((event, index): Recorded<Event> => ({
      ...event, revision: before.log.length + index, recordedAt: context.now, effectiveAt: decision.effectiveAt ?? context.now, actor: context.caller.actor,
      onBehalfOf: context.caller.onBehalfOf, commandId: context.commandId, policies: decision.policies ?? [],
    }))
    const turned = decided.map((event): Recorded<Event> => {
      expect(decider.parse(event.type, event.data), 'fits its schema').toEqual({ type: event.type, data: event.data })
      return { ...event, ...decider.parse(event.type, reversed(event.data)) }
    })
    const after = { state: fold(decider, decided, before.state), mirror: fold(decider, turned, before.mirror), log: [...before.log, ...decided] }
    streams.set(id, after)
    for (const { type } of decided) met.add(type)
    const again = decide(after.state, { ...context, now: later(context.now) }, asWritten)
    expect(isRejection(again) ? again.rejected : again.events, 'safe to repeat').toEqual(isRejection(again) ? 'invalid-effective-time' : [])
    return decided
  }
  return { stream, attempt, ids: () => [...streams.keys()] }
}

// Time goes on in steps of six hours, or not at all; what takes effect may do so at any of them.
const start = Date.parse('2026-03-01T00:00:00Z')
const instant = (steps: number): Instant => new Date(start + steps * 6 * 3_600_000).toISOString()
const later = (at: Instant): Instant => new Date(Date.parse(at) + 1000).toISOString()
const effectiveAt = fc.option(fc.integer({ min: -4, max: 60 }).map(instant), { nil: undefined, freq: 2 })

// Bodies of commands for customers.
const employeeId = fc.constantFrom('clerk', 'colleague', 'rival', 'chief', 'gone', 'nobody')
const reason = fc.constantFrom(person.said, undefined)
const identifier = fc.constantFrom<z.input<typeof identifiers.AddIdentifier>['identifier'][]>(
  { kind: 'mobile', value: person.mobile }, { kind: 'mobile', value: `+86 ${person.mobile}` }, { kind: 'mobile', value: person.secondMobile }, { kind: 'email', value: person.email },
  { kind: 'resident-id', value: person.residentId }, { kind: 'other', issuer: '外交部', value: person.licence }, { kind: 'mobile', value: '1380013800' },
)
const common = { address: person.address, importance: 'A', source: 'referral' }
const fieldValues = fc.oneof(
  { arbitrary: fc.subarray(Object.entries(common), { minLength: 1 }).map((some) => Object.fromEntries(some)), weight: 4 },
  { arbitrary: fc.constant({ ...common, companyPhone: person.phone, numberOfComputers: 3 }), weight: 2 },
  fc.record({
    address: fc.constantFrom(person.address, person.newAddress, `${person.address}\u3000`, null, '无'), source: fc.constantFrom('referral', 'advertisement', null),
    importance: fc.constantFrom('A', 'B', null), occupation: fc.constantFrom(person.occupation, null), salesModel: fc.constantFrom(['project', 'wholesale'], []),
    registeredCapital: fc.constant({ amount: 5, currency: 'CNY' }), creditGrade: fc.constant('A'), birthday: fc.constant('1990-02-28'),
  }, { requiredKeys: [] }),
  fc.constantFrom({ colour: 'red', source: 'dream' }, { importance: 'Z', birthday: 'yesterday' }),
)
const contactFields = fc.oneof(
  fc.constant({ title: person.title, role: 'insider', mobile: person.contactMobile, email: person.contactEmail }),
  fc.record({ title: fc.constantFrom(person.title, null), role: fc.constantFrom('insider', 'opponent', 'friend', null), mobile: fc.constantFrom(person.contactMobile, '暂无', null), email: fc.constant(person.contactEmail) }, { requiredKeys: [] }),
)
const categoryId = fc.constantFrom('individual-retail', 'enterprise', 'supplier-software', 'other', 'strict', 'nowhere')
const name = fc.constantFrom(person.name, person.newName)
const recipient = fc.oneof(fc.constantFrom('rival', 'gone', 'nobody').map((id) => ({ employeeId: id })), fc.constantFrom('shenzhen', 'nowhere').map((id) => ({ departmentId: id })))
const shareEnd = fc.option(fc.integer({ min: 0, max: 60 }).map(instant), { nil: undefined })
const evidence = fc.constantFrom<(string | Record<string, string | number>)[]>(person.evidence, { document: person.evidence, amount: 7 })
const tier = fc.constantFrom('standard', 'preferred', 'premier', 'standard', 'preferred', 'premier', 'platinum')
const basis = fc.constantFrom('balance', 'spend', 'approval', 'correction', 'sympathy')

/** A step is chosen before the state is known: the contact it means is picked when it comes to it. */
type CustomerStep = (state: Customer) => Run<Customer, CustomerEvent>
const of = <Command>(schema: z.ZodType<Command>, decide: (state: Customer, command: Command, context: Context) => Decision<CustomerEvent>, body: fc.Arbitrary<object>): fc.Arbitrary<CustomerStep> =>
  body.map((given) => () => run(schema, decide, { customerId: 'c', ...given }))
const ofContact = <Command>(schema: z.ZodType<Command>, decide: (state: Customer, command: Command, context: Context) => Decision<CustomerEvent>, body: fc.Arbitrary<object>): fc.Arbitrary<CustomerStep> =>
  fc.tuple(fc.nat(3), body).map(([pick, given]) => (state) => run(schema, decide, { customerId: 'c', contactId: [...state.contacts.keys(), ...state.removedContacts][pick] ?? 'nobody', ...given }))

/** Corrects one of the changes in force, or an event that is none of them. */
const correctStep: fc.Arbitrary<CustomerStep> = fc.record({ pick: fc.nat(9), ownerId: fc.option(employeeId), effectiveAt, correctedBy: fc.constantFrom('an event', null) }).map(({ pick, ownerId, correctedBy, ...when }) => (before) => {
  const changes = listed(before.ownership)
  const changed = changes[pick % (changes.length + 1)]
  const named = { revision: changed?.revision ?? pick, correctedBy: changed ? null : correctedBy }
  return (state, context, arrange) => correction.correctOwnership(state, { ...correction.CorrectOwnership.parse(arrange({ customerId: 'c', corrects: eventIdOf(named.revision), ownerId, ...when, reason: person.said })), named }, context)
})

/** What time does to protection, on the period there is when it comes to it, or on one that has never been. */
const ofPeriod = (decide: typeof protecting.lapse): fc.Arbitrary<CustomerStep> =>
  fc.record({ followedUpAt: fc.option(fc.integer({ min: -4, max: 60 }).map(instant)), boughtAt: fc.option(fc.integer({ min: -4, max: 60 }).map(instant)), openComplaint: fc.oneof({ arbitrary: fc.constant(false), weight: 4 }, fc.boolean()), other: fc.oneof({ arbitrary: fc.constant(false), weight: 4 }, fc.boolean()) })
    .map(({ other, ...facts }) => () => {
      let meant: object | undefined
      return (state, context, arrange) => {
        const standing = standingOf(state, facts, context.organisation, context.now)
        meant ??= { customerId: 'c', ownerId: ownerOf(state) ?? 'clerk', since: standing?.since ?? instant(0), lapsesAt: (other ? undefined : standing?.lapsesAt) ?? instant(1) }
        return decide(state, { ...protecting.LapseProtection.parse(arrange(meant)), facts }, context)
      }
    })

const createStep = (category: fc.Arbitrary<string>) => of(profile.CreateCustomer, profile.create, fc.record({
  category, name, identifiers: fc.array(identifier, { maxLength: 2 }), fields: fieldValues, contacts: fc.array(fc.record({ name: fc.constant(person.contact), fields: contactFields }), { maxLength: 2 }),
  claim: fc.boolean(), enteredBy: fc.constantFrom('clerk', 'somebody-else', undefined), enteredAt: effectiveAt, effectiveAt: fc.constantFrom(undefined, instant(-2), instant(0), instant(40)),
}))
const customerStep: fc.Arbitrary<CustomerStep> = fc.oneof(
  createStep(categoryId),
  of(profile.ChangeProfile, profile.changeProfile, fc.record({ name, fields: fieldValues }, { requiredKeys: [] })),
  of(profile.RecategoriseCustomer, profile.recategorise, fc.record({ category: categoryId, reason: fc.constant(person.said), fields: fieldValues })),
  of(profile.AddContact, profile.addContact, fc.record({ name: fc.constant(person.contact), fields: contactFields })),
  ofContact(profile.ChangeContact, profile.changeContact, fc.record({ name: fc.constantFrom(person.contact, person.newContact), fields: contactFields })),
  ofContact(profile.RemoveContact, profile.removeContact, fc.record({ reason })),
  of(identifiers.AddIdentifier, identifiers.addIdentifier, fc.record({ identifier })),
  of(identifiers.ChangeIdentifier, identifiers.changeIdentifier, fc.record({ from: identifier, to: identifier, reason })),
  of(identifiers.ReleaseIdentifier, identifiers.releaseIdentifier, fc.record({ identifier, reason: fc.constant(person.said) })),
  { arbitrary: of(ownership.ClaimOwnership, ownership.claim, fc.record({ reason, effectiveAt })), weight: 3 },
  { arbitrary: of(ownership.AssignOwnership, ownership.assign, fc.record({ to: employeeId, reason, effectiveAt })), weight: 2 },
  { arbitrary: of(ownership.TransferOwnership, ownership.transfer, fc.record({ to: employeeId, reason: fc.constant(person.said), effectiveAt })), weight: 3 },
  of(SettleDispute, settleDispute, fc.record({ to: employeeId, reportId: fc.constantFrom('5d3c1f5e-0c1b-5f0a-9a3e-7b1d2c4e6f80', '6e4d2a6f-1d2c-5a1b-8b4f-8c2e3d5f7a91') })),
  { arbitrary: of(ownership.ReleaseOwnership, ownership.release, fc.record({ reason: fc.constant(person.said), effectiveAt })), weight: 3 },
  { arbitrary: of(HandOverCustomer, handOver, fc.record({ handoverId: fc.constant('h'), from: employeeId, to: fc.option(employeeId), basis: fc.constantFrom('departure', 'transfer'), heldSince: fc.option(fc.nat(20), { nil: undefined }) })), weight: 2 },
  { arbitrary: correctStep, weight: 4 },
  of(ownership.ShareCustomer, ownership.share, fc.tuple(recipient, fc.constantFrom('read', 'work'), shareEnd).map(([whom, access, until]) => ({ ...whom, access, until }))),
  { arbitrary: of(EndShare, endShare, fc.tuple(recipient, fc.integer({ min: 0, max: 60 }).map(instant)).map(([whom, until]) => ({ ...whom, until }))), weight: 3 },
  of(protecting.RenewProtection, protecting.renew, fc.record({ reason: fc.constant(person.said) })),
  of(protecting.LockProtection, protecting.lock, fc.record({ reason: fc.constant(person.said), until: shareEnd })),
  of(protecting.UnlockProtection, protecting.unlock, fc.record({ reason: fc.constant(person.said) })),
  { arbitrary: ofPeriod(protecting.lapse), weight: 3 },
  { arbitrary: ofPeriod(protecting.warn), weight: 5 },
  { arbitrary: of(ownership.RevokeShare, ownership.revokeShare, recipient), weight: 2 },
  { arbitrary: of(lifecycle.ChangeStage, lifecycle.changeStage, fc.record({ to: fc.constantFrom('target', 'target', 'prospect', 'prospect', 'active', 'dormant', 'lost', 'growth'), reason })), weight: 3 },
  { arbitrary: of(lifecycle.UpgradeTier, lifecycle.upgradeTier, fc.record({ to: tier, basis, evidence })), weight: 2 },
  { arbitrary: of(lifecycle.DowngradeTier, lifecycle.downgradeTier, fc.record({ to: tier, basis, evidence })), weight: 2 },
  // A rival voids what this customer had reserved.
  fc.constant<CustomerStep>((state) => (_state, context) => (state.epoch > 2 || _state.epoch !== state.epoch ? { events: [] } : { events: [{ type: 'EntryAbandoned', data: { by: context.commandId } }] })),
)

const strict = withCategory({ categoryId: 'strict', fields: [field('source'), field('address', { personal: true, requiredFrom: 'prospect' })], contactFields: [field('role', { requiredFrom: 'prospect' })] })
const organisations: Organisation[] = [strict, withPolicy('ownership', { backdatingDays: 3, protection: { days: 1, warnDays: 0.9, exempt: { openComplaint: true, recentPurchaseDays: 1 } }, pool: { coolOffDays: 20 } }, strict), departed('rival', withPolicy('ownership', { backdatingDays: 40, protection: { days: 2, warnDays: 2, exempt: { openComplaint: true, recentPurchaseDays: null } }, pool: { coolOffDays: 40 } }, strict)), withCategory({ categoryId: 'strict', version: 2, fields: [field('source', { requiredFrom: 'target' })] }, strict)]
const caller = fc.oneof(
  { arbitrary: employeeId.map((id): Caller => ({ actor: id, role: 'clerk', employeeId: id, onBehalfOf: null })), weight: 4 },
  fc.constantFrom('clerk', null).map((id): Caller => ({ actor: 'importer', role: 'system', employeeId: id, onBehalfOf: id })),
)
const contextOf = (index: number, now: Instant, one: Caller, among: Organisation): Context =>
  ({ now, caller: one, organisation: among, commandId: `command-${index}`, newId: (what) => `command-${index}-${what.replace('/', '-')}`, identityOf })

/** The latest by effective time that is not after D, ties by place: from the events alone. A correction takes the place of what it names, or one of its own at another time. */
const ownerByDefinition = (log: readonly Recorded<CustomerEvent>[], at: Instant): string | null | undefined => {
  const changes = new Map<number, { at: Instant; place: number; ownerId: string | null }>()
  for (const event of log) {
    const change = { at: event.effectiveAt, place: event.revision }
    if (event.type === 'CustomerCreated' || event.type === 'OwnershipReleased') changes.set(event.revision, { ...change, ownerId: null })
    if (event.type === 'OwnershipClaimed' || event.type === 'OwnershipAssigned' || event.type === 'OwnershipTransferred') changes.set(event.revision, { ...change, ownerId: event.data.ownerId })
    if (event.type === 'OwnershipCorrected') {
      const corrected = changes.get(event.data.correctsRevision)
      changes.delete(event.data.correctsRevision)
      changes.set(event.revision, { ...change, ...(corrected?.at === change.at ? { place: corrected.place } : {}), ownerId: event.data.ownerId })
    }
  }
  return [...changes.values()].filter((one) => one.at <= at).toSorted((a, b) => (a.at === b.at ? a.place - b.place : a.at < b.at ? -1 : 1)).at(-1)?.ownerId
}

describe('a customer, whatever was done to it', () => {
  const met = new Set<string>()
  test('keeps its promises, and has at every instant the one owner its events say', () => {
    const steps = fc.array(fc.record({ step: customerStep, pause: fc.nat(3), caller, among: fc.constantFrom(...organisations) }), { minLength: 4, maxLength: 30, size: 'max' })
    fc.assert(fc.property(createStep(fc.constantFrom('individual-retail', 'enterprise')), steps, fc.array(fc.nat()), (first, rest, order) => {
      const { stream, attempt } = tracker(customer, met)
      let steps = 0
      const all = [{ step: first, pause: 0, caller: { actor: 'clerk', role: 'clerk', employeeId: 'clerk', onBehalfOf: null } as const, among: strict }, ...rest]
      all.forEach(({ step, pause, caller: one, among }, index) => {
        steps += pause
        attempt('c', step(stream('c').state), contextOf(index, instant(steps), one, among))
        const { state, log } = stream('c')
        const changes = listed(state.ownership)
        expect(changes.every((change, place) => place === 0 || change.at >= (changes[place - 1]?.at ?? ''))).toBe(true)
        expect(new Set(changes.map(({ revision }) => revision)).size).toBe(changes.length)
        expect(changes[0]?.at).toBe(log.find(({ type }) => type === 'CustomerCreated')?.effectiveAt)
        for (const at of changes.flatMap((change) => [change.at, new Date(Date.parse(change.at) - 1).toISOString(), later(change.at)])) expect(ownershipAt(state, at)?.ownerId).toBe(ownerByDefinition(log, at))
        expect(ownershipNow(state)).toBe(ownershipAt(state, instant(steps)))
        // Whoever is protected is who holds it, also after a correction.
        if (changes.length > 0) expect(state.protection.holder).toEqual({ ownerId: ownershipNow(state)?.ownerId, at: ownershipNow(state)?.at })
      })
      // In any order and with any left out, as no log has them, events are folded without an error.
      const { log } = stream('c')
      fold(customer, order.flatMap((at) => log[at % Math.max(1, log.length)] ?? []))
    }), { numRuns: 700, seed: SEED })
  })
  test('and was led to every kind of event and refusal there is', () => {
    expect([...met]).toEqual(expect.arrayContaining([
      'CustomerCreated', 'ProfileChanged', 'CustomerRecategorised', 'ContactAdded', 'ContactChanged', 'ContactRemoved', 'IdentifierAdded', 'IdentifierReleased', 'EntryAbandoned', 'OwnershipClaimed',
      'OwnershipAssigned', 'OwnershipTransferred', 'OwnershipReleased', 'OwnershipCorrected', 'CustomerShared', 'ShareRevoked', 'ProtectionLapseWarned', 'ProtectionRenewed', 'ProtectionLocked', 'ProtectionUnlocked', 'StageChanged', 'TierUpgraded', 'TierDowngraded',
      'customer-not-found', 'contact-not-found', 'unknown-reference', 'invalid-fields', 'invalid-effective-time', 'on-behalf-of-required', 'customer-exists', 'identifier-not-held', 'already-owned',
      'not-owned', 'already-corrected', 'move-not-allowed', 'reason-required', 'not-an-upgrade', 'not-a-downgrade', 'employee-departed', 'cool-off', 'not-due', 'time-passed',
    ]))
  })
})

// The organisation: every stream of it, each command decided on what the earlier ones made of the whole.
const idOf = (kind: string, count: number) => fc.nat(count - 1).map((index) => `${kind}-${index}`)
const parent = (kind: string, count: number) => fc.option(idOf(kind, count + 1), { nil: null })
const template = fc.record({
  fields: fc.uniqueArray(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'constructor'), requiredFrom: fc.constantFrom(null, 'target', 'growth') }), { selector: (one) => one.key, maxLength: 2 }).map((fields) => fields.map(({ key, requiredFrom }) => field(key, { requiredFrom }))),
  contactFields: fc.subarray(['x', 'y'], { maxLength: 1 }).map((keys) => keys.map((key) => field(key))),
})
const limit = fc.constantFrom(null, { amount: 5, currency: 'CNY' }, { amount: 5, currency: 'HKD' })
const stagesWith = (...names: string[]) => ({ initial: names[0], stages: names.map((one, index) => ({ name: one, labels: label, completeness: index })), moves: [] })
const policyValue = fc.constantFrom<{ policy: string; value: object }[]>(
  { policy: 'stages', value: stagesWith('target', 'active') }, { policy: 'stages', value: stagesWith('growth', 'target') }, { policy: 'stages', value: {} },
  { policy: 'ownership', value: { backdatingDays: 3 } }, { policy: 'ownership', value: { backdatingDays: 4 } }, { policy: 'ownership', value: { backdatingDays: -3 } }, { policy: 'tiers', value: JSON.parse(JSON.stringify(defaultPolicies.tiers)) },
)
const definition = fc.record({ categoryId: idOf('category', 4), parentId: parent('category', 4), labels: fc.constant(label), criterion: fc.constant(label), kind: fc.constant('organisation'), template })
const board = { reason: 'the board decided so' }

test('an organisation, whatever was done to it, keeps its promises: its trees stay trees and its versions count', () => {
  const met = new Set<string>()
  type Trackers = { departments: ReturnType<typeof tracker<department.Department, department.DepartmentEvent>>; employees: ReturnType<typeof tracker<employee.Employee, employee.EmployeeEvent>>; categories: ReturnType<typeof tracker<category.Category, category.CategoryEvent>>; policies: ReturnType<typeof tracker<policy.Policy, policy.PolicyEvent>> }
  type Step = (trackers: Trackers, context: Context) => OrganisationEvent[]
  const ofDepartment = (decide: (body: { departmentId: string; parentId: string | null }) => Run<department.Department, department.DepartmentEvent>) => fc.record({ departmentId: idOf('department', 4), parentId: fc.oneof(parent('department', 4), fc.constantFrom('shenzhen', 'nanshan')) })
    .map((body): Step => ({ departments }, context) => departments.attempt(body.departmentId, decide(body), context).map((event) => ({ kind: 'department', id: body.departmentId, event })))
  const ofEmployee = (arbitrary: fc.Arbitrary<Run<employee.Employee, employee.EmployeeEvent>>, idFirst = idOf('employee', 3)) => fc.tuple(idFirst, arbitrary)
    .map(([id, decide]): Step => ({ employees }, context) => employees.attempt(id, decide, context).map((event) => ({ kind: 'employee', id, event })))
  const ofCategory = (decide: (body: { categoryId: string }) => Run<category.Category, category.CategoryEvent>) => definition
    .map((body): Step => ({ categories }, context) => categories.attempt(body.categoryId, decide(body), context).map((event) => ({ kind: 'category', id: body.categoryId, event })))
  const ofPolicy = (decide: (body: { policy: string; value: object }) => Run<policy.Policy, policy.PolicyEvent>) => policyValue
    .map((body): Step => ({ policies }, context) => policies.attempt(body.policy, decide(body), context).map((event) => ({ kind: 'policy', id: body.policy, event })))
  const departmentId = fc.oneof(fc.constantFrom('shenzhen', 'nanshan', 'guangzhou'), idOf('department', 4))
  const step = fc.oneof(
    ofDepartment((body) => run(department.RegisterDepartment, department.register, { ...body, name: body.departmentId })),
    ofDepartment((body) => run(department.MoveDepartment, department.move, body)),
    ofEmployee(fc.record({ name, departmentId, authorityLimit: limit }).map((body) => run(employee.RegisterEmployee, employee.register, { employeeId: 'e', ...body }))),
    ofEmployee(departmentId.map((to) => run(employee.MoveEmployee, employee.move, { employeeId: 'e', departmentId: to }))),
    ofEmployee(limit.map((authorityLimit) => run(employee.ChangeAuthorityLimit, employee.changeAuthorityLimit, { employeeId: 'e', authorityLimit }))),
    ofEmployee(fc.constantFrom<(object | undefined)[]>(undefined, { to: 'pool' }, { to: 'successor', employeeId: 'clerk' }, { to: 'successor', employeeId: 'gone' }, { to: 'department', departmentId: 'nowhere', by: 'load' }).map((handover) => run(employee.DepartEmployee, employee.depart, { employeeId: 'e', reason: person.said, ...(handover ? { handover } : {}) }))),
    { arbitrary: ofCategory((body) => run(category.DefineCategory, category.define, body)), weight: 2 },
    { arbitrary: ofCategory((body) => run(category.ReviseCategory, category.revise, { ...body, ...board })), weight: 2 },
    ofPolicy((body) => run(policy.DefinePolicy, policy.define, body)),
    ofPolicy((body) => run(policy.RevisePolicy, policy.revise, { ...body, ...board })),
  )
  const versionsCount = (log: readonly { data: { version: number } }[]) => expect(log.map((event) => event.data.version)).toEqual(log.map((_event, index) => index + 1))

  fc.assert(fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
    const trackers: Trackers = { departments: tracker(department.department, met), employees: tracker(employee.employee, met), categories: tracker(category.category, met), policies: tracker(policy.policy, met) }
    let told = organisation
    steps.forEach((take, index) => {
      told = evolveOrganisation(told, take(trackers, byAdmin({ organisation: told, now: instant(index), commandId: `command-${index}` })))
    })
    for (const { departmentId: id } of told.departments.values()) {
      const above = new Set<string>()
      for (let at: string | null = id; at !== null; at = told.departments.get(at)?.parentId ?? null) {
        expect(above.has(at), `${at} lies below itself`).toBe(false)
        above.add(at)
      }
    }
    for (const { categoryId: id } of told.categories.values()) {
      const chain = categoryChain(told, id)
      expect(chain?.[0]?.definition.parentId).toBeNull()
      expect(mergeTemplates((chain ?? []).map((one) => one.definition.template)).ok).toBe(true)
    }
    for (const id of trackers.categories.ids()) versionsCount(trackers.categories.stream(id).log)
    for (const id of trackers.policies.ids()) versionsCount(trackers.policies.stream(id).log)
    expect(policyKinds.stages.safeParse(told.policies.stages.value).success).toBe(true)
  }), { numRuns: 300, seed: SEED })

  expect([...met]).toEqual(expect.arrayContaining([
    'DepartmentRegistered', 'DepartmentMoved', 'EmployeeRegistered', 'EmployeeMoved', 'AuthorityLimitChanged', 'EmployeeDeparted', 'CategoryDefined', 'CategoryRevised', 'PolicyDefined', 'PolicyRevised',
    'department-exists', 'department-not-found', 'department-cycle', 'employee-exists', 'employee-not-found', 'employee-departed', 'category-exists', 'category-not-found', 'category-cycle',
    'policy-exists', 'policy-not-found', 'invalid-policy', 'invalid-template', 'unknown-reference',
  ]))
})

test('a record report, whatever is sent, costs a penalty once for a fault, and none after a dismissal', () => {
  const met = new Set<string>()
  const entered = (more: object) => fold(customer, [recorded(created({ stage: 'active', fields: { source: 'referral' }, ...more }), 0)])
  const records = [entered({ enteredBy: 'rival' }), entered({ enteredBy: 'rival', fields: { source: 'referral', importance: 'A' } }), entered({ enteredBy: null, category: 'enterprise' }), entered({ stage: 'target' }), null]
  const reportId = reportIdOf({ customerId: 'c', kind: 'incomplete' })
  type Step = Run<RecordReport, RecordReportEvent>
  const reporting = fc.tuple(
    fc.constantFrom({ kind: 'incomplete' }, { kind: 'wrong-category', categoryId: 'enterprise' }, { kind: 'duplicate', duplicateOf: 'e' }), fc.constantFrom(...records), fc.constantFrom(...records), fc.constantFrom(person.said, undefined),
  )
  const step = (kind: string) => fc.oneof(
    { arbitrary: reporting.filter(([what]) => what.kind === kind).map(([what, record, other, newEvidence]): Step => run(reports.ReportRecord, (state: RecordReport, command, context) => reports.report(state, command, context, record, [record, other]), { customerId: 'c', note: person.said, newEvidence, ...what })), weight: 3 },
    { arbitrary: fc.tuple(fc.boolean(), fc.constantFrom('clerk', 'gone', 'rival', null)).map(([moveOwnership, ownerId]): Step => run(reports.UpholdReport, (state: RecordReport, command, context) => reports.uphold(state, { ...command, earlier: { customerId: 'e', ownerId } }, context, null, [records[0] ?? null, records[1] ?? null]), { reportId, decision: person.said, moveOwnership })), weight: 2 },
    fc.constant<Step>(run(reports.DismissReport, reports.dismiss, { reportId, reason: person.said })),
    fc.constantFrom(true, true, false).map((isDue): Step => (state, context, arrange) =>
      run(reports.PassReportDeadline, reports.passDeadline, { reportId, deadlineAt: state.status === 'none' || !isDue ? instant(1) : state.deadlineAt })(state, context, arrange)),
  )
  const steps = fc.constantFrom('incomplete', 'wrong-category', 'duplicate').chain((kind) => fc.array(fc.record({ step: step(kind), pause: fc.nat(20), caller }), { maxLength: 20, size: 'max' }))
  fc.assert(fc.property(steps, (taken) => {
    const { stream, attempt } = tracker(recordReport, met)
    let at = 0
    taken.forEach(({ step: take, pause, caller: one }, index) => {
      at += pause
      attempt(reportId, take, contextOf(index, instant(at), one, organisation))
    })
    const { log } = stream(reportId)
    const fined = new Set<string>()
    let about: string[] = []
    log.forEach((event, index) => {
      if (event.type === 'RecordReported') about = aboutOf(event.data)
      const before = log.slice(0, index).findLast((one) => one.type !== 'ReportOverdue')?.type
      // Each judgement is of a report that waits for one, and what waits is judged before it is reported again.
      expect(before === 'RecordReported').toBe(event.type !== 'RecordReported')
      if (event.type !== 'ReportUpheld') return
      expect(about.some((fault) => !fined.has(fault)), 'something that was not upheld before').toBe(true)
      about.forEach((fault) => fined.add(fault))
    })
    if (log.some((event) => event.type === 'RecordReported' && event.data.kind === 'duplicate')) expect(log.filter((event) => event.type === 'ReportUpheld').length).toBeLessThanOrEqual(1)
  }), { numRuns: 150, seed: SEED })
  expect([...met]).toEqual(expect.arrayContaining([
    'RecordReported', 'ReportOverdue', 'ReportUpheld', 'ReportDismissed', 'report-not-found', 'report-judged', 'no-such-fault', 'fault-upheld', 'no-dispute', 'not-due', 'customer-not-found', 'reason-required',
  ]))
})

test('an identity is reserved for whom its last reservation names, until it is released', () => {
  const event = fc.oneof(
    fc.record({ customerId: fc.constantFrom('x', 'y'), epoch: fc.nat(3) }).map((data) => ({ type: 'IdentityReserved' as const, data: { ...data, commandId: 'k' } })),
    fc.constantFrom('x', 'y').map((customerId) => ({ type: 'IdentityReleased' as const, data: { customerId, commandId: 'k' } })),
  )
  fc.assert(fc.property(fc.array(event), (events) => {
    const state = fold(identity, events.map((one, revision) => ({ ...one, revision, recordedAt: instant(0), effectiveAt: instant(0), actor: 'clerk', onBehalfOf: null, commandId: 'k', policies: [] })))
    const last = events.at(-1)
    expect(state).toEqual({ reservedFor: last?.type === 'IdentityReserved' ? { customerId: last.data.customerId, epoch: last.data.epoch } : null })
  }), { seed: SEED })
})
