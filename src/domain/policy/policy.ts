import { z } from 'zod'
import { eventParser, noChange, type Context, type Decider, type Decision, type EventOf } from '../decider.ts'
import { reject, type FieldProblem } from '../rejection.ts'
import { Reason, sameValue } from '../values.ts'
import { policyKindNames, policyKinds, type PolicyKind } from './kinds.ts'

/** One stream per kind of policy; its versions count 1, 2, 3 … */
export const streamName = (policy: string): string => `policy-${policy}`

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  PolicyDefined: z.object({ policy: z.string(), version: z.number().int(), value: z.record(z.string(), z.json()) }),
  PolicyRevised: z.object({ policy: z.string(), version: z.number().int(), value: z.record(z.string(), z.json()), reason: z.string() }),
}
export type PolicyEvent = EventOf<typeof events>

// State: only what decisions need.
export type Policy = { version: number; value: unknown }

export const policy: Decider<Policy, PolicyEvent> = {
  kind: 'policy',
  events,
  parse: eventParser(events),
  initialState: { version: 0, value: null },
  evolve: (_state, event) => ({ version: event.data.version, value: event.data.value }),
}

// Commands. A policy says nothing about a customer, so its reason is not sealed.
// Named: a schema that holds itself can be told in OpenAPI only by reference.
const Json: z.ZodType<z.infer<ReturnType<typeof z.json>>> = z.lazy(() => z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(Json), z.record(z.string(), Json)])).meta({ id: 'Json', description: 'Any JSON value' })
const Value = z.record(z.string(), Json)
export const DefinePolicy = z.strictObject({ policy: z.enum(policyKindNames), value: Value })
export const RevisePolicy = z.strictObject({ policy: z.enum(policyKindNames), value: Value, reason: Reason })

// Decisions.
const CategoriesNamed = z.object({ categories: z.record(z.string(), z.unknown()).default({}), protection: z.object({ byCategory: z.record(z.string(), z.unknown()).default({}) }).nullable().default(null) })

/** Categories a policy names that there are not: a slip would be a rule for nobody. */
const unknownCategories = (value: z.infer<typeof Value>, { organisation }: Context): FieldProblem[] => {
  const { categories, protection } = CategoriesNamed.parse(value)
  const named = [...Object.keys(categories).map((id) => [id, `value/categories/${id}`]), ...Object.keys(protection?.byCategory ?? {}).map((id) => [id, `value/protection/byCategory/${id}`])]
  return named.flatMap(([id = '', path = '']) => (organisation.categories.has(id) ? [] : [{ path, message: 'no category has this id' }]))
}

const checked = (kind: PolicyKind, value: z.infer<typeof Value>, context: Context) => {
  const parsed = policyKinds[kind].safeParse(value)
  if (parsed.success) {
    const errors = kind === 'duplicates' || kind === 'ownership' ? unknownCategories(value, context) : []
    return errors.length === 0 ? undefined : reject('invalid-policy', `The ${kind} policy names what there is not.`, { errors })
  }
  return reject('invalid-policy', `The ${kind} policy has ${parsed.error.issues.length} fault(s).`, { errors: parsed.error.issues.map((issue) => ({ path: ['value', ...issue.path].join('/'), message: issue.message })) })
}

export const define = (state: Policy, command: z.infer<typeof DefinePolicy>, context: Context): Decision<PolicyEvent> => {
  if (state.version > 0) return sameValue(state.value, command.value) ? noChange : reject('policy-exists', `The ${command.policy} policy stands at version ${state.version}.`)
  return checked(command.policy, command.value, context) ?? { events: [{ type: 'PolicyDefined', data: { policy: command.policy, version: 1, value: command.value } }] }
}

export const revise = (state: Policy, command: z.infer<typeof RevisePolicy>, context: Context): Decision<PolicyEvent> => {
  if (state.version === 0) return reject('policy-not-found', `No ${command.policy} policy has been defined.`)
  if (sameValue(state.value, command.value)) return noChange
  return checked(command.policy, command.value, context) ?? { events: [{ type: 'PolicyRevised', data: { policy: command.policy, version: state.version + 1, value: command.value, reason: command.reason } }] }
}
