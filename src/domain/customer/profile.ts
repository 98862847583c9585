import { z } from 'zod'
import { noChange, personal, type Context, type Decision } from '../decider.ts'
import { checkFields, FieldValue, type Field } from '../category/template.ts'
import { policyReference, templateOf, type Organisation, type TemplateInForce } from '../organisation/organisation.ts'
import { isRejection, reject, type FieldProblem, type Rejection } from '../rejection.ts'
import { Id, InstantInput, Name, Reason, sameValue } from '../values.ts'
import type { Customer, FieldValues } from './customer.ts'
import { contactSubject, subject, type CustomerEvent, type StoredFields } from './events.ts'
import { Identifier, normaliseIdentifier, type IdentifierKind } from './identifier.ts'
import { Acknowledgement, judgeNearMatches } from './near-matches.ts'
import { checkEffectiveTime } from './ownership.ts'

// Commands.
const Fields = z.record(z.string().max(64), FieldValue)
const NewContact = z.strictObject({ name: Name, fields: Fields.default({}) })

export const CreateCustomer = z.strictObject({
  customerId: Id.optional(),
  category: Id,
  name: Name,
  identifiers: z.array(Identifier).max(20).default([]),
  fields: Fields.default({}),
  contacts: z.array(NewContact).max(100).default([]),
  claim: z.boolean().default(true).describe('Who enters owns it; false leaves it in the public pool 公海'),
  enteredBy: Id.optional().describe('Who first entered it elsewhere, for a record taken over'),
  enteredAt: InstantInput.optional(),
  effectiveAt: InstantInput.optional(),
  acknowledgement: Acknowledgement.optional(),
  nearMatchCheck: z.boolean().default(true).describe('Systems may say false: nobody is looked up who is like it, and the event says so'),
})
export const ChangeProfile = z.strictObject({ customerId: Id, name: Name.optional(), fields: Fields.default({}) })
export const RecategoriseCustomer = z.strictObject({ customerId: Id, category: Id, reason: Reason, fields: Fields.default({}) })
export const AddContact = z.strictObject({ customerId: Id, ...NewContact.shape })
export const ChangeContact = z.strictObject({ customerId: Id, contactId: Id, name: Name.optional(), fields: Fields.default({}) })
export const RemoveContact = z.strictObject({ customerId: Id, contactId: Id, reason: Reason.optional() })

// What a record must hold at a stage.
const completeness = (organisation: Organisation, stage: string): number | undefined =>
  organisation.policies.stages.value.stages.find((one) => one.name === stage)?.completeness

/**
 * Whether a field is required at a stage: one required from a stage is required wherever as much must be told. One
 * required from a stage the policy has no more is required nowhere, until its template says otherwise.
 */
export const requiredAt = (organisation: Organisation, stage: string) => (field: Field): boolean => {
  const from = field.requiredFrom === null ? undefined : completeness(organisation, field.requiredFrom)
  return from !== undefined && (completeness(organisation, stage) ?? 0) >= from
}

/** The stages say how complete a record must be: whatever is checked against a template is decided under them. */
const decidedUnder = ({ organisation }: Context) => [policyReference(organisation, 'stages')]

type Checked = { values: FieldValues; problems: FieldProblem[] }

/**
 * The fields as they would be, against the template: problems are those of fields just sent, and of required ones.
 * What is stored under a key the template no longer has is left alone.
 */
const checkChange = (fields: Field[], before: FieldValues, change: z.infer<typeof Fields>, required: (field: Field) => boolean, path: string): Checked => {
  const known = new Map(fields.map((field) => [field.key, field]))
  const kept = Object.entries(before).filter(([key]) => known.has(key))
  const { values, problems } = checkFields(fields, Object.fromEntries([...kept, ...Object.entries(change)]), required, path)
  const sent = new Set(Object.keys(change).map((key) => `${path}/${key}`))
  const relevant = problems.filter((problem) => {
    const field = known.get(problem.path.slice(path.length + 1))
    return sent.has(problem.path) || (field !== undefined && required(field))
  })
  return { values, problems: relevant }
}

/** What has to be recorded to come from one set of values to another; null clears. */
const difference = (fields: Field[], before: FieldValues, after: FieldValues, of: string, cleared: readonly string[] = []): StoredFields => {
  const isPersonal = new Set(fields.filter((field) => field.personal).map((field) => field.key))
  const changed: [string, StoredFields[string]][] = []
  for (const [key, value] of Object.entries(after)) {
    if (!sameValue(before[key], value)) changed.push([key, isPersonal.has(key) ? personal(of, value) : value])
  }
  for (const key of cleared) if (Object.hasOwn(before, key) && !Object.hasOwn(after, key)) changed.push([key, null])
  return Object.fromEntries(changed)
}

/** Every field the stage requires that the customer or one of its contacts lacks. */
export const missingAt = (state: Customer, stage: string, inForce: TemplateInForce, organisation: Organisation): FieldProblem[] => {
  const required = requiredAt(organisation, stage)
  return [
    ...checkChange(inForce.template.fields, state.fields, {}, required, 'fields').problems,
    ...[...state.contacts].flatMap(([contactId, contact]) => checkChange(inForce.template.contactFields, contact.fields, {}, required, `contacts/${contactId}/fields`).problems),
  ]
}

const incomplete = (problems: FieldProblem[]): Rejection => reject('invalid-fields', `${problems.length} field(s) are missing or malformed.`, { errors: problems })
const noCategory = reject('unknown-reference', 'The category does not exist.', { errors: [{ path: 'category', message: 'no category has this id' }] })
const notFound = reject('customer-not-found', 'No customer has this id.')

/** Whether an id tells an identifier, signs and case aside: of a mobile number its last eight digits are enough. */
const tells = (id: string, { kind, value: written }: Identifier, normal: string): boolean => {
  const bare = (text: string) => text.normalize('NFKC').toLowerCase().replace(/[^\p{L}\p{N}]/gu, '')
  const value = bare(kind === 'other' ? written : kind === 'mobile' ? normal.slice(-8) : normal)
  return value.length >= 6 && bare(id).includes(value)
}

/** Identifiers in their normal form, and what is wrong with the others, or with the id somebody chose for the customer. */
const checkIdentifiers = (identifiers: Identifier[], context: Pick<Context, 'identityOf'>, chosenId = '') => {
  const problems: FieldProblem[] = []
  const held = new Map<string, { kind: IdentifierKind; identity: string; value: string }>()
  identifiers.forEach((identifier, index) => {
    const normal = normaliseIdentifier(identifier)
    if (!normal.ok) return problems.push({ path: `identifiers/${index}/value`, message: normal.message })
    if (tells(chosenId, identifier, normal.value)) problems.push({ path: 'customerId', message: `contains the value of identifiers/${index}: an id is seen by those who may not see the customer` })
    const identity = context.identityOf(normal.kind, normal.value)
    return held.set(identity, { kind: normal.kind, identity, value: normal.value })
  })
  return { problems, held: [...held.values()] }
}

// Decisions.
export const create = (state: Customer, command: z.infer<typeof CreateCustomer>, context: Context): Decision<CustomerEvent> => {
  const { organisation, caller, now } = context
  const customerId = command.customerId ?? context.newId('customer')
  if (state.status === 'entered') return state.createdBy === context.commandId ? noChange : reject('customer-exists', 'A customer with this id was created before.')
  if (command.claim && caller.employeeId === null) return reject('on-behalf-of-required', 'Who enters a customer owns it, and no employee is named. Name one, or send "claim": false to leave it in the pool.')
  const inForce = templateOf(organisation, command.category)
  if (!inForce) return noCategory
  const { stages, tiers } = organisation.policies
  const stage = stages.value.initial
  const tier = tiers.value.tiers[0]?.name ?? ''
  const required = requiredAt(organisation, stage)

  const profile = checkFields(inForce.template.fields, command.fields, required, 'fields')
  const contacts = command.contacts.map((contact, index) => ({ ...contact, contactId: context.newId(`contact/${index}`), ...checkFields(inForce.template.contactFields, contact.fields, required, `contacts/${index}/fields`) }))
  const identifiers = checkIdentifiers(command.identifiers, context, command.customerId)
  const problems = [...identifiers.problems, ...profile.problems, ...contacts.flatMap((contact) => contact.problems)]
  if (problems.length > 0) return incomplete(problems)
  const wrongTime = checkEffectiveTime(state, command.effectiveAt, context)
  const notYet = command.enteredAt !== undefined && command.enteredAt > now ? [{ path: 'enteredAt', message: 'must not be in the future' }] : []
  if (wrongTime || notYet.length > 0) return reject('invalid-effective-time', wrongTime?.detail ?? 'enteredAt lies in the future.', { errors: [...(wrongTime?.errors ?? []), ...notYet] })

  const of = subject(customerId)
  const judged = judgeNearMatches(command, of, context)
  if (isRejection(judged)) return judged
  const { nearMatches, warnings } = judged
  const created: CustomerEvent = {
    type: 'CustomerCreated',
    data: {
      category: command.category,
      template: inForce.reference,
      name: personal(of, command.name),
      fields: difference(inForce.template.fields, {}, profile.values, of),
      identifiers: identifiers.held.map(({ kind, identity, value }) => ({ kind, identity, value: personal(of, value) })),
      contacts: contacts.map(({ contactId, name, values }) => ({ contactId, name: personal(contactSubject(contactId), name), fields: difference(inForce.template.contactFields, {}, values, contactSubject(contactId)) })),
      stage,
      tier,
      enteredBy: command.enteredBy ?? caller.employeeId,
      enteredAt: command.enteredAt ?? null,
      ...(nearMatches ? { nearMatches } : {}),
    },
  }
  const claimed: CustomerEvent[] = command.claim && caller.employeeId !== null ? [{ type: 'OwnershipClaimed', data: { ownerId: caller.employeeId, basis: 'first-entry', reason: null } }] : []
  return {
    events: [created, ...claimed],
    ...(command.effectiveAt ? { effectiveAt: command.effectiveAt } : {}),
    policies: [policyReference(organisation, 'stages'), policyReference(organisation, 'tiers'), policyReference(organisation, 'ownership')],
    warnings,
  }
}

export const changeProfile = (state: Customer, command: z.infer<typeof ChangeProfile>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const inForce = templateOf(context.organisation, state.category)
  if (!inForce) return noCategory
  const { values, problems } = checkChange(inForce.template.fields, state.fields, command.fields, requiredAt(context.organisation, state.stage), 'fields')
  if (problems.length > 0) return incomplete(problems)
  const of = subject(command.customerId)
  const fields = difference(inForce.template.fields, state.fields, values, of, Object.keys(command.fields))
  const renamed = command.name !== undefined && command.name !== state.name ? { name: personal(of, command.name) } : {}
  if (Object.keys(fields).length === 0 && !('name' in renamed)) return noChange
  return { events: [{ type: 'ProfileChanged', data: { ...renamed, fields, template: inForce.reference } }], policies: decidedUnder(context) }
}

export const recategorise = (state: Customer, command: z.infer<typeof RecategoriseCustomer>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  if (state.category === command.category) return noChange
  const inForce = templateOf(context.organisation, command.category)
  if (!inForce) return noCategory
  const { values, problems } = checkChange(inForce.template.fields, state.fields, command.fields, requiredAt(context.organisation, state.stage), 'fields')
  if (problems.length > 0) return incomplete(problems)
  const of = subject(command.customerId)
  // What the new template has no field for is cleared, in the open: it stays in the history.
  const fields = difference(inForce.template.fields, state.fields, values, of, Object.keys(state.fields))
  return { events: [{ type: 'CustomerRecategorised', data: { from: state.category, to: command.category, reason: personal(of, command.reason), fields, template: inForce.reference } }], policies: decidedUnder(context) }
}

/** What placing adds to a command that was addressed to an absorbed customer and is carried out on its survivor. */
export type EnteredFor = { enteredFor?: string | undefined }
export const enteredFor = (command: EnteredFor): { enteredFor?: string } => (command.enteredFor === undefined ? {} : { enteredFor: command.enteredFor })

export const addContact = (state: Customer, command: z.infer<typeof AddContact> & EnteredFor, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const contactId = context.newId('contact')
  if (state.contacts.has(contactId) || state.removedContacts.has(contactId)) return noChange
  const inForce = templateOf(context.organisation, state.category)
  if (!inForce) return noCategory
  const { values, problems } = checkFields(inForce.template.contactFields, command.fields, requiredAt(context.organisation, state.stage), 'fields')
  if (problems.length > 0) return incomplete(problems)
  const of = contactSubject(contactId)
  return { events: [{ type: 'ContactAdded', data: { contactId, name: personal(of, command.name), fields: difference(inForce.template.contactFields, {}, values, of), template: inForce.reference, ...enteredFor(command) } }], policies: decidedUnder(context) }
}

export const changeContact = (state: Customer, command: z.infer<typeof ChangeContact>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const before = state.contacts.get(command.contactId)
  if (!before) return reject('contact-not-found', 'This customer has no contact with this id.')
  const inForce = templateOf(context.organisation, state.category)
  if (!inForce) return noCategory
  const { values, problems } = checkChange(inForce.template.contactFields, before.fields, command.fields, requiredAt(context.organisation, state.stage), 'fields')
  if (problems.length > 0) return incomplete(problems)
  const of = contactSubject(command.contactId)
  const fields = difference(inForce.template.contactFields, before.fields, values, of, Object.keys(command.fields))
  const renamed = command.name !== undefined && command.name !== before.name ? { name: personal(of, command.name) } : {}
  if (Object.keys(fields).length === 0 && !('name' in renamed)) return noChange
  return { events: [{ type: 'ContactChanged', data: { contactId: command.contactId, ...renamed, fields, template: inForce.reference } }], policies: decidedUnder(context) }
}

export const removeContact = (state: Customer, command: z.infer<typeof RemoveContact>): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  if (state.removedContacts.has(command.contactId)) return noChange
  if (!state.contacts.has(command.contactId)) return reject('contact-not-found', 'This customer has no contact with this id.')
  return { events: [{ type: 'ContactRemoved', data: { contactId: command.contactId, reason: command.reason === undefined ? null : personal(contactSubject(command.contactId), command.reason) } }] }
}

export { checkIdentifiers, incomplete, notFound }
