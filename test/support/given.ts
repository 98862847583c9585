import { expect } from 'vitest'
import type { z } from 'zod'
import { makeKeyedHash } from '../../src/commands/keyed-hash.ts'
import { defaultCategories } from '../../src/domain/category/defaults.ts'
import type { Field, Template } from '../../src/domain/category/template.ts'
import { contactSubject, subject, type CustomerEvent, type SharedWith, type events as customerEvents } from '../../src/domain/customer/events.ts'
import { personal, type Caller, type Context, type Decider, type Decision, type Instant, type Recorded } from '../../src/domain/decider.ts'
import { emptyOrganisation, evolveOrganisation, type Organisation, type OrganisationEvent, type PolicyReference } from '../../src/domain/organisation/organisation.ts'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { policyKindNames, type PolicyKind, type policyKinds } from '../../src/domain/policy/kinds.ts'
import { isRejection, type Rejection, type RejectionName } from '../../src/domain/rejection.ts'

/*
 * given(decider, what happened).when(decision, command, context).then(events, or a refusal)
 *
 * The nth event of the past was recorded on the nth of March 2026 in the morning; the command comes on the 25th.
 * Whatever the outcome, `then` also checks what every decision promises: the same again from the same state, safe to
 * repeat, events that fit their schemas, and no personal value of these fixtures in clear.
 */

// Times.
export const on = (day: number, time = '09:00:00.000'): Instant => `2026-03-${String(day).padStart(2, '0')}T${time}Z`
export const today = on(25)

// What must never be seen in clear: tests use these wherever a person is meant.
export const person = {
  name: '王小明', newName: '王晓明', mobile: '13800138000', secondMobile: '13900139000', email: 'xiaoming.wang@example.cn', residentId: '11010519491231002X',
  licence: 'P88231907', address: '深圳市南山区科技路1号', newAddress: '广州市天河区体育东路2号', occupation: '钢琴老师', phone: '+8675526881234',
  contact: '韩梅梅', newContact: '李雷', contactMobile: '13700137000', contactEmail: 'meimei.han@example.cn', title: '采购总监',
  said: '说要搬到上海去', evidence: '存款证明编号 7731', employee: '张伟',
} as const
const sensitive = [...Object.values(person), '+86138', '26881234']

/** Every text, key or value, that is not under the key of a data subject. */
export const inClear = (value: unknown): string[] => {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap(inClear)
  const keys = Object.keys(value)
  if (keys.length === 2 && 'personal' in value && 'value' in value) return inClear(value.personal)
  return [...keys, ...Object.values(value).flatMap(inClear)]
}
export const personalInClear = (value: unknown): string[] => inClear(value).filter((text) => sensitive.some((secret) => text.includes(secret)))

// What the log knows of an event besides what it says.
export type When = { recordedAt?: Instant; effectiveAt?: Instant; actor?: string; commandId?: string; policies?: PolicyReference[] }

export const recorded = <Event extends { type: string }>(event: Event & When, revision: number) => {
  const recordedAt = event.recordedAt ?? on(revision + 1)
  return { ...event, revision, recordedAt, effectiveAt: event.effectiveAt ?? recordedAt, actor: event.actor ?? 'clerk', onBehalfOf: null, commandId: event.commandId ?? `command-${revision}`, policies: event.policies ?? [] }
}

export const fold = <State, Event extends { type: string; data: object }>(decider: Decider<State, Event>, past: readonly Recorded<Event>[], from: State = decider.initialState): State =>
  past.reduce((state, event) => decider.evolve(state, event), from)

// The test itself.
export type Refused = { rejected: RejectionName; detail?: unknown; errors?: unknown; extensions?: unknown }
type Basis = { effectiveAt?: Instant; policies?: readonly PolicyReference[] }

/** The refusal that names exactly these fields, in any order. */
export const refusedAt = (rejected: RejectionName, ...paths: string[]): Refused => ({
  rejected, errors: [...paths].sort().map((path) => ({ path, message: expect.any(String) })),
})

const sortedErrors = (rejection: Rejection): Rejection => (rejection.errors ? { ...rejection, errors: rejection.errors.toSorted((a, b) => (a.path < b.path ? -1 : 1)) } : rejection)

export const given = <State, Event extends { type: string; data: object }>(decider: Decider<State, Event>, past: readonly (Event & When)[]) => {
  const state = fold(decider, past.map(recorded))
  return {
    state,
    when: <Command>(decide: (state: State, command: Command, context: Context) => Decision<Event>, command: NoInfer<Command>, context: Context = by('clerk')) => {
      const decision = decide(state, command, context)
      const keepsPromises = () => {
        expect(decide(state, command, context), 'deterministic').toEqual(decision)
        expect(personalInClear(decision), 'personal values in clear').toEqual([])
        if (isRejection(decision)) return
        for (const { type, data } of decision.events) expect(decider.parse(type, data), 'fits its schema').toEqual({ type, data })
        const after = fold(decider, decision.events.map((event, index) => ({
          ...event, revision: past.length + index, recordedAt: context.now, effectiveAt: decision.effectiveAt ?? context.now, actor: context.caller.actor, onBehalfOf: null, commandId: context.commandId, policies: [],
        })), state)
        expect(decide(after, command, { ...context, now: on(26) }), 'safe to repeat').toMatchObject({ events: [] })
      }
      return {
        decision,
        then: (expected: readonly Event[] | Refused, basis: Basis = {}) => {
          if ('rejected' in expected) expect(isRejection(decision) ? sortedErrors(decision) : decision).toMatchObject(expected)
          else {
            expect(isRejection(decision) ? decision : decision.events).toEqual(expected)
            expect(decision).toMatchObject(basis)
          }
          keepsPromises()
        },
      }
    },
  }
}

// The organisation: head-office > shenzhen > nanshan, and guangzhou beside shenzhen.
const policyVersions = { stages: 4, tiers: 5, ownership: 6, visibility: 7, complaints: 8, matching: 9, duplicates: 10, penalties: 11 } as const
export const inForce = (...names: PolicyKind[]): PolicyReference[] => names.map((name) => ({ name, version: policyVersions[name] }))

const department = (id: string, parentId: string | null): OrganisationEvent => ({ kind: 'department', id, event: recorded({ type: 'DepartmentRegistered', data: { name: id, parentId } }, 0) })
const employee = (id: string, departmentId: string): OrganisationEvent => ({ kind: 'employee', id, event: recorded({ type: 'EmployeeRegistered', data: { name: personal(`employee-${id}`, person.employee), departmentId, authorityLimit: null } }, 0) })
const departure = (id: string): OrganisationEvent => ({ kind: 'employee', id, event: recorded({ type: 'EmployeeDeparted', data: { reason: personal(`employee-${id}`, person.said) } }, 1) })
type Stated<K extends PolicyKind> = z.input<(typeof policyKinds)[K]>
const policyInForce = <K extends PolicyKind>(policy: K, value: Stated<K>, version: number): OrganisationEvent =>
  ({ kind: 'policy', id: policy, event: recorded({ type: 'PolicyRevised', data: { policy, version, value: { ...value }, reason: 'as the tests want it' } }, version - 1) })

export const label = { en: 'Label', zh: '标签' }
export const field = (key: string, more: Partial<Field> = {}): Field => ({ key, labels: label, type: 'text', requiredFrom: null, listed: false, personal: false, ...more })

export type NewCategory = { categoryId: string; parentId?: string | null; kind?: 'individual' | 'organisation'; version?: number } & Partial<Template>
const categoryInForce = ({ categoryId, parentId = null, kind = 'organisation', version = 1, fields = [], contactFields = [] }: NewCategory): OrganisationEvent =>
  ({ kind: 'category', id: categoryId, event: recorded({ type: 'CategoryDefined', data: { parentId, labels: label, criterion: label, kind, template: { fields, contactFields }, version } }, 0) })

export const organisation: Organisation = evolveOrganisation(emptyOrganisation, [
  ...policyKindNames.map((name) => policyInForce(name, defaultPolicies[name], policyVersions[name])),
  ...defaultCategories.map(({ categoryId, parentId, kind, template }, index) => categoryInForce({ categoryId, parentId, kind, version: index + 1, ...template })),
  department('head-office', null), department('shenzhen', 'head-office'), department('nanshan', 'shenzhen'), department('guangzhou', 'head-office'),
  employee('chief', 'head-office'), employee('manager', 'shenzhen'), employee('clerk', 'nanshan'), employee('colleague', 'nanshan'), employee('rival', 'guangzhou'),
  employee('gone', 'nanshan'), departure('gone'),
])
/** The versions the template of a default category is made of. */
export const templateVersions = {
  'individual-retail': [{ categoryId: 'individual-retail', version: 1 }],
  enterprise: [{ categoryId: 'enterprise', version: 2 }],
  'supplier-software': [{ categoryId: 'supplier', version: 3 }, { categoryId: 'supplier-software', version: 4 }],
} as const

export const withPolicy = <K extends PolicyKind>(kind: K, value: Stated<K>, before = organisation): Organisation =>
  evolveOrganisation(before, [policyInForce(kind, value, before.policies[kind].version + 1)])
export const withCategory = (category: NewCategory, before = organisation): Organisation => evolveOrganisation(before, [categoryInForce(category)])
export const withDepartment = (id: string, parentId: string | null, before = organisation): Organisation => evolveOrganisation(before, [department(id, parentId)])
export const withEmployee = (id: string, departmentId: string, before = organisation): Organisation => evolveOrganisation(before, [employee(id, departmentId)])
export const departed = (id: string, before = organisation): Organisation => evolveOrganisation(before, [departure(id)])

// Contexts.
const keyedHash = makeKeyedHash(Buffer.alloc(32, 7))
export const identityOf = keyedHash.identity

const contextOf = (caller: Caller, more: Partial<Context>): Context => {
  const commandId = more.commandId ?? 'this-command'
  return { now: today, caller, organisation, commandId, newId: (what) => `${commandId}-${what.replace('/', '-')}`, identityOf, ...more }
}
/** An employee in a role; a clerk unless told, and the manager a manager. */
export const by = (employeeId: string, { role = employeeId === 'manager' ? 'manager' : 'clerk', ...more }: Partial<Context> & { role?: Caller['role'] } = {}): Context =>
  contextOf({ actor: employeeId, role, employeeId, onBehalfOf: null }, more)
/** A system, for an employee or for nobody. */
export const bySystem = (onBehalfOf: string | null = null, more: Partial<Context> = {}): Context =>
  contextOf({ actor: 'importer', role: 'system', employeeId: onBehalfOf, onBehalfOf }, more)
export const byAdmin = (more: Partial<Context> = {}): Context => contextOf({ actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }, more)

// Events of the customer 'c', as given and as expected.
type Data<Type extends keyof typeof customerEvents> = z.infer<(typeof customerEvents)[Type]>
type Of<Type extends CustomerEvent['type']> = Extract<CustomerEvent, { type: Type }> & When

export const sealed = <T>(value: T) => personal(subject('c'), value)
export const sealedOf = <T>(contactId: string, value: T) => personal(contactSubject(contactId), value)
const words = (reason: string | null) => (reason === null ? null : sealed(reason))

export const mobile = (value: string) => ({ kind: 'mobile', identity: identityOf('mobile', `+86${value}`), value: sealed(`+86${value}`) } as const)

/** A target of category individual-retail in the public pool, entered by the clerk. */
export const created = (more: Partial<Data<'CustomerCreated'>> = {}, when: When = {}): Of<'CustomerCreated'> => ({
  type: 'CustomerCreated',
  data: {
    category: 'individual-retail', template: [...templateVersions['individual-retail']], name: sealed(person.name), fields: {}, identifiers: [], contacts: [],
    stage: 'target', tier: 'standard', enteredBy: 'clerk', enteredAt: null, ...more,
  },
  ...when,
})
export const claimed = (ownerId: string, { basis = 'claim', reason = null, ...when }: { basis?: 'first-entry' | 'claim'; reason?: string | null } & When = {}): Of<'OwnershipClaimed'> => ({ type: 'OwnershipClaimed', data: { ownerId, basis, reason: words(reason) }, ...when })
export const assigned = (ownerId: string, reason: string | null = null, when: When = {}): Of<'OwnershipAssigned'> => ({ type: 'OwnershipAssigned', data: { ownerId, basis: 'assignment', reason: words(reason) }, ...when })
export const transferred = (from: string, ownerId: string, reason: string | null = person.said, when: When = {}): Of<'OwnershipTransferred'> => ({ type: 'OwnershipTransferred', data: { from, ownerId, basis: 'transfer', reason: words(reason) }, ...when })
export const released = (from: string, reason: string | null = person.said, when: When = {}): Of<'OwnershipReleased'> => ({ type: 'OwnershipReleased', data: { from, basis: 'voluntary-release', reason: words(reason) }, ...when })
export const corrected = (correctsRevision: number, from: string | null, ownerId: string | null, when: When = {}): Of<'OwnershipCorrected'> =>
  ({ type: 'OwnershipCorrected', data: { corrects: eventIdOf(correctsRevision), correctsRevision, from, ownerId, basis: 'correction', reason: sealed(person.said) }, ...when })
export const eventIdOf = (revision: number): string => `00000000-0000-4000-8000-${String(revision).padStart(12, '0')}`
export const shared = (kind: SharedWith['kind'], id: string, access: 'read' | 'work', reason: string | null = null): Of<'CustomerShared'> => ({ type: 'CustomerShared', data: { with: { kind, id }, access, reason: words(reason) } })
export const unshared = (kind: SharedWith['kind'], id: string, reason: string | null = null): Of<'ShareRevoked'> => ({ type: 'ShareRevoked', data: { with: { kind, id }, reason: words(reason) } })
export const staged = (from: string, to: string, move: string, reason: string | null = null): Of<'StageChanged'> => ({ type: 'StageChanged', data: { from, to, move, cause: 'command', reason: words(reason) } })
export const identifierAdded = (value: string): Of<'IdentifierAdded'> => ({ type: 'IdentifierAdded', data: mobile(value) })
export const identifierReleased = (value: string, reason: string | null = null): Of<'IdentifierReleased'> => ({ type: 'IdentifierReleased', data: { kind: 'mobile', identity: mobile(value).identity, reason: words(reason) } })
export const fenced = (by = 'a-rival'): Of<'EntryAbandoned'> => ({ type: 'EntryAbandoned', data: { by } })
export const contactAdded = (contactId: string, fields: Data<'ContactAdded'>['fields'] = {}, name: string = person.contact): Of<'ContactAdded'> =>
  ({ type: 'ContactAdded', data: { contactId, name: sealedOf(contactId, name), fields, template: [...templateVersions['individual-retail']] } })
export const contactRemoved = (contactId: string, reason: string | null = null): Of<'ContactRemoved'> => ({ type: 'ContactRemoved', data: { contactId, reason: reason === null ? null : sealedOf(contactId, reason) } })

/** All that a customer of category individual-retail, and a contact, must have told from stage active on. */
export const complete = { address: sealed(person.address), importance: 'A', source: 'referral' }
export const completeContact = (contactId: string) => ({ title: sealedOf(contactId, person.title), role: 'insider', mobile: sealedOf(contactId, `+86${person.contactMobile}`), email: sealedOf(contactId, person.contactEmail) })
