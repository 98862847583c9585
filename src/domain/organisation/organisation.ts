import type { CategoryEvent, Definition } from '../category/category.ts'
import { mergeTemplates, type Template } from '../category/template.ts'
import type { Recorded } from '../decider.ts'
import type { DepartmentEvent } from '../department/department.ts'
import type { EmployeeEvent } from '../employee/employee.ts'
import { defaultPolicies } from '../policy/defaults.ts'
import { storedPolicies, type PolicyKind, type PolicyValues } from '../policy/kinds.ts'
import type { PolicyEvent } from '../policy/policy.ts'
import type { Log, SystemEvent } from '../system/system.ts'
import * as system from '../system/system.ts'
import type { Money } from '../values.ts'

/**
 * The organisation's own setup as its streams tell it: departments, employees, categories, policies. Decisions take
 * it as an argument; the version of what they used is written into their events.
 */
export type PolicyReference = { name: string; version: number }
export type Versioned<T> = { version: number; value: T }
export type CategoryInForce = { categoryId: string; version: number; definition: Definition }

export type Organisation = {
  log: Log | null
  departments: ReadonlyMap<string, { departmentId: string; name: string; parentId: string | null; revision: number }>
  employees: ReadonlyMap<string, { employeeId: string; departmentId: string; departed: boolean; authorityLimit: Money | null; revision: number }>
  categories: ReadonlyMap<string, CategoryInForce>
  policies: { [K in PolicyKind]: Versioned<PolicyValues[K]> }
}

/** Before anything is configured: version 0 of the default policies. */
export const emptyOrganisation: Organisation = {
  log: null,
  departments: new Map(),
  employees: new Map(),
  categories: new Map(),
  policies: {
    stages: { version: 0, value: defaultPolicies.stages },
    tiers: { version: 0, value: defaultPolicies.tiers },
    ownership: { version: 0, value: defaultPolicies.ownership },
    visibility: { version: 0, value: defaultPolicies.visibility },
    complaints: { version: 0, value: defaultPolicies.complaints },
    matching: { version: 0, value: defaultPolicies.matching },
    duplicates: { version: 0, value: defaultPolicies.duplicates },
    penalties: { version: 0, value: defaultPolicies.penalties },
  },
}

/** The kinds of stream it is made of. */
export const organisationKinds = ['category', 'department', 'employee', 'policy', 'system'] as const

export type OrganisationEvent =
  | { kind: 'system'; event: Recorded<SystemEvent> }
  | { kind: 'department'; id: string; event: Recorded<DepartmentEvent> }
  | { kind: 'employee'; id: string; event: Recorded<EmployeeEvent> }
  | { kind: 'category'; id: string; event: Recorded<CategoryEvent> }
  | { kind: 'policy'; id: string; event: Recorded<PolicyEvent> }

const withPolicy = <K extends PolicyKind>(policies: Organisation['policies'], kind: K, version: number, value: PolicyValues[K]): Organisation['policies'] => ({ ...policies, [kind]: { version, value } })

const revisePolicy = (policies: Organisation['policies'], { policy, version, value }: PolicyEvent['data']): Organisation['policies'] => {
  switch (policy) {
    case 'stages':
      return withPolicy(policies, policy, version, storedPolicies.stages.parse(value))
    case 'tiers':
      return withPolicy(policies, policy, version, storedPolicies.tiers.parse(value))
    case 'ownership':
      return withPolicy(policies, policy, version, storedPolicies.ownership.parse(value))
    case 'visibility':
      return withPolicy(policies, policy, version, storedPolicies.visibility.parse(value))
    case 'complaints':
      return withPolicy(policies, policy, version, storedPolicies.complaints.parse(value))
    case 'matching':
      return withPolicy(policies, policy, version, storedPolicies.matching.parse(value))
    case 'duplicates':
      return withPolicy(policies, policy, version, storedPolicies.duplicates.parse(value))
    case 'penalties':
      return withPolicy(policies, policy, version, storedPolicies.penalties.parse(value))
    default:
      return policies
  }
}

/** The organisation after these events, in log order. Copies each map once a batch, not once an event. */
export const evolveOrganisation = (before: Organisation, events: readonly OrganisationEvent[]): Organisation => {
  const departments = new Map(before.departments)
  const employees = new Map(before.employees)
  const categories = new Map(before.categories)
  let { log, policies } = before
  for (const one of events) {
    const { revision } = one.event
    switch (one.kind) {
      case 'system':
        log = system.evolve(log, one.event)
        break
      case 'department': {
        const { event, id } = one
        const known = departments.get(id)
        if (event.type === 'DepartmentRegistered') departments.set(id, { departmentId: id, ...event.data, revision })
        else if (known) departments.set(id, { ...known, parentId: event.data.to, revision })
        break
      }
      case 'employee': {
        const { event, id } = one
        const known = employees.get(id)
        if (event.type === 'EmployeeRegistered') employees.set(id, { employeeId: id, departmentId: event.data.departmentId, departed: false, authorityLimit: event.data.authorityLimit, revision })
        else if (known && event.type === 'EmployeeMoved') employees.set(id, { ...known, departmentId: event.data.to, revision })
        else if (known && event.type === 'EmployeeDeparted') employees.set(id, { ...known, departed: true, revision })
        else if (known && event.type === 'AuthorityLimitChanged') employees.set(id, { ...known, authorityLimit: event.data.to, revision })
        break
      }
      case 'category': {
        const { parentId, labels, criterion, kind, template, version } = one.event.data
        categories.set(one.id, { categoryId: one.id, version, definition: { parentId, labels, criterion, kind, template } })
        break
      }
      case 'policy':
        policies = revisePolicy(policies, one.event.data)
        break
    }
  }
  return { log, departments, employees, categories, policies }
}

/** Whether a department is `ancestorId` or lies below it. Two moves at once could make a ring: never walk it twice. */
export const isBelow = (organisation: Organisation, departmentId: string, ancestorId: string): boolean => {
  const seen = new Set<string>()
  for (let at: string | null = departmentId; at !== null && !seen.has(at); at = organisation.departments.get(at)?.parentId ?? null) {
    if (at === ancestorId) return true
    seen.add(at)
  }
  return false
}

/** The departments that are `departmentId` or lie below it. */
export const departmentsBelow = (organisation: Organisation, departmentId: string): string[] =>
  [...organisation.departments.keys()].filter((id) => isBelow(organisation, id, departmentId))

/** A category and those above it, root first; undefined when there is no such category. */
export const categoryChain = (organisation: Organisation, categoryId: string): CategoryInForce[] | undefined => {
  const chain: CategoryInForce[] = []
  for (let at: string | null = categoryId; at !== null && !chain.some((one) => one.categoryId === at); ) {
    const found: CategoryInForce | undefined = organisation.categories.get(at)
    if (!found) return undefined
    chain.unshift(found)
    at = found.definition.parentId
  }
  return chain
}

/** The categories that are `categoryId` or lie below it; none when there is no such category. */
export const categoriesBelow = (organisation: Organisation, categoryId: string): string[] =>
  [...organisation.categories.keys()].filter((id) => categoryChain(organisation, id)?.some((one) => one.categoryId === categoryId))

export type TemplateInForce = { template: Template; reference: { categoryId: string; version: number }[]; kind: Definition['kind'] }

/** The template in force for a category, its ancestors' fields first, and the versions it is made of. */
export const templateOf = (organisation: Organisation, categoryId: string): TemplateInForce | undefined => {
  // Asked by nearly every command of a customer, and the same until a category changes.
  const known = templates.get(organisation.categories) ?? new Map<string, TemplateInForce>()
  templates.set(organisation.categories, known)
  const found = known.get(categoryId) ?? mergedTemplate(organisation, categoryId)
  if (found) known.set(categoryId, found)
  return found
}

const templates = new WeakMap<Organisation['categories'], Map<string, TemplateInForce>>()

const mergedTemplate = (organisation: Organisation, categoryId: string): TemplateInForce | undefined => {
  const chain = categoryChain(organisation, categoryId)
  const last = chain?.at(-1)
  if (!chain || !last) return undefined
  const merged = mergeTemplates(chain.map((one) => one.definition.template))
  // Two revisions at once may leave a child repeating its parent's field: the parent's counts.
  const template = merged.ok ? merged.template : firstOfEachKey(chain.map((one) => one.definition.template))
  return { template, reference: chain.map(({ categoryId: id, version }) => ({ categoryId: id, version })), kind: last.definition.kind }
}

const firstOfEachKey = (templates: Template[]): Template => {
  const once = (fields: Template['fields']) => fields.filter((field, index) => fields.findIndex((other) => other.key === field.key) === index)
  return { fields: once(templates.flatMap((one) => one.fields)), contactFields: once(templates.flatMap((one) => one.contactFields)) }
}

export const policyReference = (organisation: Organisation, name: PolicyKind): PolicyReference => ({ name, version: organisation.policies[name].version })
