import { isPlaceholder, type Template } from '../category/template.ts'
import { customer as customerDecider, type Customer, type FieldValues } from './customer.ts'
import { missingAt, requiredAt } from './profile.ts'
import { templateOf, type Organisation } from '../organisation/organisation.ts'
import type { FieldProblem } from '../rejection.ts'

/** What is read of a customer to tell whether its record is complete. */
export type Held = { name: string | null; category: string; stage: string; fields: FieldValues; contacts: readonly { contactId: string; name: string | null; fields: FieldValues }[] }

/** What is read of a customer, as its own state has it. */
export const heldOf = ({ name, category, stage, fields, contacts }: Customer): Held => ({
  name: name ?? null, category, stage, fields, contacts: [...contacts].map(([contactId, contact]) => ({ contactId, name: contact.name ?? null, fields: contact.fields })),
})

/** Whether anything is asked of a record: the stage asks for completeness, or the template for a field there. */
const asks = (organisation: Organisation, template: Template, stage: string): boolean =>
  (organisation.policies.stages.value.stages.find((one) => one.name === stage)?.completeness ?? 0) > 0 || [...template.fields, ...template.contactFields].some(requiredAt(organisation, stage))

/** The categories and stages at which a record is complete whatever it holds: nobody need look at customers there. */
export const askingNothing = (organisation: Organisation): { category: string; stage: string }[] =>
  [...organisation.categories.keys()].flatMap((category) => {
    const inForce = templateOf(organisation, category)
    return organisation.policies.stages.value.stages.flatMap((stage) => (inForce && asks(organisation, inForce.template, stage.name) ? [] : [{ category, stage: stage.name }]))
  })

const placeholder = (path: string, name: string | null): FieldProblem[] =>
  name !== null && isPlaceholder(name) ? [{ path, message: 'is required, and a placeholder is not a value' }] : []

/** A contact is reached by any phone or email its template has: by default mobile, email, office phone. */
const unreachable = (template: Template, { contactId, fields }: Held['contacts'][number]): FieldProblem[] => {
  const ways = template.contactFields.filter((field) => field.type === 'phone' || field.type === 'email').map((field) => field.key)
  const reached = ways.some((key) => {
    const value = fields[key]
    return typeof value === 'string' && !isPlaceholder(value)
  })
  return reached || ways.length === 0 ? [] : [{ path: `contacts/${contactId}/fields`, message: `cannot be reached: has none of ${ways.join(', ')}` }]
}

/**
 * What a record lacks of what the template in force requires at its stage (domain rule 3): fields missing or malformed,
 * also those the template has asked for since; a placeholder for a value; a contact who cannot be reached.
 */
export const missingOf = (held: Held, organisation: Organisation): FieldProblem[] => {
  const { name, category, stage, fields, contacts } = held
  const inForce = templateOf(organisation, category)
  // Without a name it was erased: nothing is asked of it any more.
  if (!inForce || name === null || !asks(organisation, inForce.template, stage)) return []
  const state = { ...customerDecider.initialState, category, stage, fields, contacts: new Map(contacts.map((contact) => [contact.contactId, { name: contact.name ?? undefined, fields: contact.fields }])) }
  return [
    ...placeholder('name', name),
    ...contacts.flatMap((contact) => placeholder(`contacts/${contact.contactId}/name`, contact.name)),
    ...missingAt(state, stage, inForce, organisation),
    ...contacts.flatMap((contact) => unreachable(inForce.template, contact)),
  ]
}
