import { z } from 'zod'
import { eventParser, noChange, type Context, type Decider, type Decision, type EventOf } from '../decider.ts'
import { categoryChain } from '../organisation/organisation.ts'
import { reject } from '../rejection.ts'
import { Id, Labels, Reason, sameValue } from '../values.ts'
import { mergeTemplates, StoredTemplate, Template } from './template.ts'

export const streamName = (categoryId: string): string => `category-${categoryId}`

const Definition = z.object({
  parentId: z.string().nullable(),
  labels: Labels,
  criterion: Labels,
  kind: z.enum(['individual', 'organisation']),
  template: StoredTemplate,
})
export type Definition = z.infer<typeof Definition>

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  CategoryDefined: Definition.extend({ version: z.number().int() }),
  CategoryRevised: Definition.extend({ version: z.number().int(), reason: z.string() }),
}
export type CategoryEvent = EventOf<typeof events>

// State: only what decisions need.
export type Category = { version: number; definition: Definition | null }

export const category: Decider<Category, CategoryEvent> = {
  kind: 'category',
  events,
  parse: eventParser(events),
  initialState: { version: 0, definition: null },
  evolve: (_state, event) => {
    const { parentId, labels, criterion, kind, template } = event.data
    return { version: event.data.version, definition: { parentId, labels, criterion, kind, template } }
  },
}

// Commands. A revision states the whole definition: what is left out is gone.
const Stated = { parentId: Id.nullable().default(null), labels: Labels, criterion: Labels, kind: z.enum(['individual', 'organisation']), template: Template }
export const DefineCategory = z.strictObject({ categoryId: Id, ...Stated })
export const ReviseCategory = z.strictObject({ categoryId: Id, ...Stated, reason: Reason })

// Decisions.
const definitionOf = ({ parentId, labels, criterion, kind, template }: z.infer<typeof DefineCategory>): Definition => ({ parentId, labels, criterion, kind, template })

/** The template must merge with those above it and below it, require from stages there are, and the tree stay a tree. */
const checked = (categoryId: string, definition: Definition, { organisation }: Context) => {
  const above = definition.parentId === null ? [] : categoryChain(organisation, definition.parentId)
  if (above === undefined) return reject('unknown-reference', 'The parent category does not exist.', { errors: [{ path: 'parentId', message: 'no category has this id' }] })
  if (above.some((ancestor) => ancestor.categoryId === categoryId)) return reject('category-cycle', 'The parent is this category or lies below it.')
  const stages = new Set(organisation.policies.stages.value.stages.map((stage) => stage.name))
  const lists = [['fields', definition.template.fields], ['contactFields', definition.template.contactFields]] as const
  const errors = lists.flatMap(([list, fields]) =>
    fields.flatMap((field, index) => (field.requiredFrom === null || stages.has(field.requiredFrom) ? [] : [{ path: `template/${list}/${index}/requiredFrom`, message: 'no such stage in the stage policy' }])))
  if (errors.length > 0) return reject('invalid-template', 'The template requires fields from stages that do not exist.', { errors })
  const templates = above.map((ancestor) => ancestor.definition.template)
  const below = [...organisation.categories].flatMap(([id]) => {
    const chain = categoryChain(organisation, id) ?? []
    const at = chain.findIndex((one) => one.categoryId === categoryId)
    return at < 0 ? [] : [chain.slice(at + 1).map((one) => one.definition.template)]
  })
  for (const rest of [[], ...below]) {
    const merged = mergeTemplates([...templates, definition.template, ...rest])
    if (!merged.ok) return reject('invalid-template', 'The template does not merge with those above and below it in the tree.', { errors: [{ path: 'template', message: merged.message }] })
  }
  return undefined
}

export const define = (state: Category, command: z.infer<typeof DefineCategory>, context: Context): Decision<CategoryEvent> => {
  const definition = definitionOf(command)
  if (state.definition) return sameValue(state.definition, definition) ? noChange : reject('category-exists', `This category stands at version ${state.version}.`)
  return checked(command.categoryId, definition, context) ?? { events: [{ type: 'CategoryDefined', data: { ...definition, version: 1 } }] }
}

export const revise = (state: Category, command: z.infer<typeof ReviseCategory>, context: Context): Decision<CategoryEvent> => {
  const definition = definitionOf(command)
  if (!state.definition) return reject('category-not-found', 'No category has this id.')
  if (sameValue(state.definition, definition)) return noChange
  return checked(command.categoryId, definition, context) ?? { events: [{ type: 'CategoryRevised', data: { ...definition, version: state.version + 1, reason: command.reason } }] }
}
