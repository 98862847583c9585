import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { personal } from '../../src/domain/decider.ts'
import { categoryChain, departmentsBelow, emptyOrganisation, evolveOrganisation, isBelow, policyReference, templateOf, type OrganisationEvent } from '../../src/domain/organisation/organisation.ts'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { policyKindNames } from '../../src/domain/policy/kinds.ts'
import { departed, field, inForce, label, on, organisation, person, recorded, withCategory, withDepartment, withPolicy } from '../support/given.ts'

const category = (id: string, version: number, parentId: string | null): OrganisationEvent =>
  ({ kind: 'category', id, event: recorded({ type: 'CategoryRevised', data: { parentId, labels: label, criterion: label, kind: 'organisation', template: { fields: [], contactFields: [] }, version, reason: 'so' } }, version - 1) })
const opened: OrganisationEvent = { kind: 'system', event: recorded({ type: 'LogOpened', data: { logId: 'log', placeId: 'first', identityKey: 'print', timeZone: 'Asia/Shanghai' } }, 0) }
const copied: OrganisationEvent = { kind: 'system', event: recorded({ type: 'LogCopied', data: { fromPlaceId: 'first', placeId: 'second' } }, 1) }
const about = (id: string, revision: number, event: { type: 'EmployeeMoved'; data: { from: string; to: string } } | { type: 'AuthorityLimitChanged'; data: { from: null; to: null } } | { type: 'EmployeeDeparted'; data: { reason: ReturnType<typeof personal<string>> } }): OrganisationEvent =>
  ({ kind: 'employee', id, event: recorded(event, revision) })
const story: OrganisationEvent[] = [
  opened,
  { kind: 'department', id: 'a', event: recorded({ type: 'DepartmentRegistered', data: { name: 'A', parentId: null } }, 0) },
  { kind: 'department', id: 'b', event: recorded({ type: 'DepartmentRegistered', data: { name: 'B', parentId: 'a' } }, 0) },
  { kind: 'department', id: 'a', event: recorded({ type: 'DepartmentMoved', data: { from: null, to: 'b' } }, 1) },
  { kind: 'employee', id: 'e', event: recorded({ type: 'EmployeeRegistered', data: { name: personal('employee-e', person.employee), departmentId: 'a', authorityLimit: null } }, 0) },
  about('e', 1, { type: 'EmployeeMoved', data: { from: 'a', to: 'b' } }), about('e', 2, { type: 'AuthorityLimitChanged', data: { from: null, to: null } }),
  category('x', 1, null), category('y', 1, 'x'), category('x', 2, 'y'),
  { kind: 'policy', id: 'ownership', event: recorded({ type: 'PolicyDefined', data: { policy: 'ownership', version: 1, value: { backdatingDays: 5 } } }, 0) },
  { kind: 'policy', id: 'weather', event: recorded({ type: 'PolicyDefined', data: { policy: 'weather', version: 1, value: { rain: true } } }, 0) },
  about('e', 3, { type: 'EmployeeDeparted', data: { reason: personal('employee-e', person.said) } }),
  copied,
]

describe('the organisation as its streams tell it', () => {
  const told = evolveOrganisation(emptyOrganisation, story)
  test('is where each stands now, at the revision of its stream', () => {
    expect(Object.fromEntries(told.departments)).toEqual({ a: { departmentId: 'a', name: 'A', parentId: 'b', revision: 1 }, b: { departmentId: 'b', name: 'B', parentId: 'a', revision: 0 } })
    expect(Object.fromEntries(told.employees)).toMatchObject({ e: { employeeId: 'e', departmentId: 'b', departed: true, revision: 3 } })
    expect(told.log).toEqual({ logId: 'log', places: ['first', 'second'], identityKey: 'print', timeZone: 'Asia/Shanghai' })
    // Told before policies spoke of protection, pool and handover: nothing lapses, nothing is limited.
    expect(told.policies.ownership).toEqual({ version: 1, value: { backdatingDays: 5, protection: null, pool: { coolOffDays: null, dailyQuota: null, capacity: null, uncountedStages: [] }, handover: { to: 'pool' } } })
  })
  test('passes over what a later version put into a policy, at any depth', () => {
    const later = { backdatingDays: 5, moods: ['calm'], pool: { coolOffDays: 3, dailyQuota: null, capacity: null, uncountedStages: [], colour: 'blue' } }
    const told = evolveOrganisation(emptyOrganisation, [{ kind: 'policy', id: 'ownership', event: recorded({ type: 'PolicyDefined', data: { policy: 'ownership', version: 1, value: later } }, 0) }])
    expect(told.policies.ownership.value).toMatchObject({ backdatingDays: 5, pool: { coolOffDays: 3 } })
    expect(JSON.stringify(told.policies.ownership.value)).not.toMatch(/moods|colour/)
  })
  test('holds no name of a person', () => {
    expect(JSON.stringify([...told.employees])).not.toContain(person.employee)
  })
  test('is the same however the log is cut into batches, and leaves what was known before alone', () => {
    fc.assert(fc.property(fc.array(fc.boolean(), { minLength: story.length, maxLength: story.length }), (cuts) => {
      let after = emptyOrganisation
      let batch: OrganisationEvent[] = []
      story.forEach((event, index) => {
        batch.push(event)
        if (!cuts[index]) return
        after = evolveOrganisation(after, batch)
        batch = []
      })
      expect(evolveOrganisation(after, batch)).toEqual(told)
    }))
    expect(emptyOrganisation.departments.size + emptyOrganisation.employees.size + emptyOrganisation.categories.size).toBe(0)
  })
  test('before anything is configured decides by version 0 of the defaults', () => {
    for (const kind of policyKindNames) expect(emptyOrganisation.policies[kind]).toEqual({ version: 0, value: defaultPolicies[kind] })
  })
  test('names the version of each policy in force', () => {
    expect(policyKindNames.map((kind) => policyReference(organisation, kind))).toEqual(inForce(...policyKindNames))
    expect(policyReference(withPolicy('ownership', { backdatingDays: 1 }), 'ownership')).toEqual({ name: 'ownership', version: 7 })
  })
  test('ignores what happened to somebody it does not know', () => {
    const strange = evolveOrganisation(emptyOrganisation, [about('nobody', 0, { type: 'EmployeeMoved', data: { from: 'a', to: 'b' } }), { kind: 'department', id: 'nowhere', event: recorded({ type: 'DepartmentMoved', data: { from: null, to: 'a' } }, 0) }, copied])
    expect(strange).toEqual(emptyOrganisation)
  })
})

describe('the tree of departments', () => {
  test('knows what lies below what, itself included', () => {
    expect(['head-office', 'shenzhen', 'nanshan'].map((above) => isBelow(organisation, 'nanshan', above))).toEqual([true, true, true])
    expect([isBelow(organisation, 'shenzhen', 'nanshan'), isBelow(organisation, 'nanshan', 'guangzhou'), isBelow(organisation, 'nowhere', 'head-office')]).toEqual([false, false, false])
    expect(departmentsBelow(organisation, 'shenzhen')).toEqual(['shenzhen', 'nanshan'])
    expect(departmentsBelow(organisation, 'nowhere')).toEqual([])
  })
  test('may be a ring after two moves at once: nothing walks it for ever', () => {
    const ring = withDepartment('shenzhen', 'nanshan')
    expect([isBelow(ring, 'nanshan', 'head-office'), isBelow(ring, 'nanshan', 'shenzhen'), isBelow(ring, 'shenzhen', 'nanshan')]).toEqual([false, true, true])
    expect(departmentsBelow(ring, 'nanshan')).toEqual(['shenzhen', 'nanshan'])
  })
})

describe('the tree of categories', () => {
  test('gives each the chain above it, root first', () => {
    expect(categoryChain(organisation, 'supplier-software')?.map(({ categoryId }) => categoryId)).toEqual(['supplier', 'supplier-software'])
    expect(categoryChain(organisation, 'nowhere')).toBeUndefined()
    expect(categoryChain(withCategory({ categoryId: 'orphan', parentId: 'nowhere' }), 'orphan')).toBeUndefined()
    expect(templateOf(withCategory({ categoryId: 'orphan', parentId: 'nowhere' }), 'orphan')).toBeUndefined()
  })
  test('may be a ring after two revisions at once: nothing walks it for ever', () => {
    const ring = withCategory({ categoryId: 'x', parentId: 'y' }, withCategory({ categoryId: 'y', parentId: 'x' }))
    expect(categoryChain(ring, 'x')?.map(({ categoryId }) => categoryId)).toEqual(['y', 'x'])
  })
  test('when two revisions at once leave a child repeating its parent\'s field, the parent\'s counts', () => {
    const twice = withCategory({ categoryId: 'child', parentId: 'parent', fields: [field('size', { type: 'number' }), field('colour')] }, withCategory({ categoryId: 'parent', fields: [field('size')], contactFields: [field('rank')] }))
    expect(templateOf(twice, 'child')?.template).toEqual({ fields: [field('size'), field('colour')], contactFields: [field('rank')] })
  })
})

test('an employee who departed stays on record', () => {
  expect(departed('clerk').employees.get('clerk')).toMatchObject({ departmentId: 'nanshan', departed: true })
  expect(on(1)).toBe('2026-03-01T09:00:00.000Z')
})
