import { describe, expect, it, test } from 'vitest'
import type { z } from 'zod'
import { category, define, DefineCategory, revise, ReviseCategory, type CategoryEvent, type Definition } from '../../src/domain/category/category.ts'
import { templateOf } from '../../src/domain/organisation/organisation.ts'
import { byAdmin, field, given, label, organisation, refusedAt, withCategory, withPolicy, type NewCategory } from '../support/given.ts'

const criterion = { en: 'Buys from us by the ship.', zh: '整船采购。' }
const definition = (more: Partial<Definition> = {}): Definition => ({ parentId: null, labels: label, criterion, kind: 'organisation', template: { fields: [field('tonnage')], contactFields: [] }, ...more })
const defined = (more: Partial<Definition> = {}, version = 1): CategoryEvent => ({ type: 'CategoryDefined', data: { ...definition(more), version } })
const revised = (version: number, more: Partial<Definition> = {}): CategoryEvent => ({ type: 'CategoryRevised', data: { ...definition(more), version, reason: 'asked for by the board' } })
const defining = (more: Partial<Definition> = {}, categoryId = 'shipping'): z.infer<typeof DefineCategory> => ({ categoryId, ...definition(more) })
const revising = (more: Partial<Definition> = {}, categoryId = 'shipping'): z.infer<typeof ReviseCategory> => ({ ...defining(more, categoryId), reason: 'asked for by the board' })
const knowing = (...categories: NewCategory[]) => byAdmin({ organisation: categories.reduce((before, one) => withCategory(one, before), organisation) })
const template = (...keys: string[]) => ({ fields: keys.map((key) => field(key)), contactFields: [] })

describe('defining a category', () => {
  test('states its place in the tree, its criterion and its template, as version 1', () => {
    given(category, []).when(define, defining(), byAdmin()).then([defined()])
    given(category, []).when(define, defining({ parentId: 'supplier' }), byAdmin()).then([defined({ parentId: 'supplier' })])
  })
  test('again the same way changes nothing; otherwise the id is taken', () => {
    given(category, [defined()]).when(define, defining(), byAdmin()).then([])
    for (const other of [{ parentId: 'supplier' }, { labels: criterion }, { kind: 'individual' as const }, { template: template() }]) given(category, [defined()]).when(define, defining(other), byAdmin()).then({ rejected: 'category-exists' })
  })
  test('below one that does not exist is refused, itself included', () => {
    for (const parentId of ['nowhere', 'shipping']) given(category, []).when(define, defining({ parentId }), byAdmin()).then(refusedAt('unknown-reference', 'parentId'))
  })
})

describe('revising a category', () => {
  const known = knowing({ categoryId: 'shipping', fields: [field('tonnage')] }, { categoryId: 'coastal', parentId: 'shipping', fields: [field('harbour')] }, { categoryId: 'ferries', parentId: 'coastal', fields: [field('seats')] })
  test('states the whole definition anew, as the next version, with a reason', () => {
    given(category, [defined()]).when(revise, revising({ template: template('tonnage', 'flag') }), known).then([revised(2, { template: template('tonnage', 'flag') })])
    given(category, [defined(), revised(2, { template: template() })]).when(revise, revising({ parentId: 'partner' }), known).then([revised(3, { parentId: 'partner' })])
    expect(ReviseCategory.safeParse(defining()).success).toBe(false)
  })
  test('to what it is changes nothing, however its keys are ordered', () => {
    given(category, [defined()]).when(revise, { ...revising(), labels: { zh: label.zh, en: label.en } }, known).then([])
  })
  test('that does not exist is refused', () => {
    given(category, []).when(revise, revising(), byAdmin()).then({ rejected: 'category-not-found' })
  })
  test('cannot put it below itself, at any depth, or below nothing', () => {
    for (const parentId of ['shipping', 'coastal', 'ferries']) given(category, [defined()]).when(revise, revising({ parentId }), known).then({ rejected: 'category-cycle' })
    given(category, [defined()]).when(revise, revising({ parentId: 'nowhere' }), known).then(refusedAt('unknown-reference', 'parentId'))
  })
})

describe('a child adds to its parent\'s fields and redefines none', () => {
  const tree = knowing({ categoryId: 'shipping', fields: [field('tonnage')], contactFields: [field('rank')] }, { categoryId: 'coastal', parentId: 'shipping', fields: [field('harbour')] }, { categoryId: 'ferries', parentId: 'coastal', fields: [field('seats')] })
  const refused = refusedAt('invalid-template', 'template')
  test('defined below another', () => {
    given(category, []).when(define, defining({ parentId: 'ferries', template: template('lanes') }, 'car-ferries'), tree).then([defined({ parentId: 'ferries', template: template('lanes') })])
    for (const inherited of ['tonnage', 'harbour', 'seats']) given(category, []).when(define, defining({ parentId: 'ferries', template: template(inherited) }, 'car-ferries'), tree).then(refused)
    given(category, []).when(define, defining({ parentId: 'ferries', template: { fields: [], contactFields: [field('rank')] } }, 'car-ferries'), tree).then(refused)
    given(category, []).when(define, defining({ parentId: 'ferries', template: { fields: [field('rank')], contactFields: [field('seats')] } }, 'car-ferries'), tree)
      .then([defined({ parentId: 'ferries', template: { fields: [field('rank')], contactFields: [field('seats')] } })])
  })
  test('revised above another', () => {
    for (const below of ['harbour', 'seats']) given(category, [defined()]).when(revise, revising({ template: template('tonnage', below) }), tree).then(refused)
  })
  test('moved below another', () => {
    const coastal = given(category, [defined({ parentId: 'shipping', template: template('harbour') })])
    const other = knowing({ categoryId: 'shipping', fields: [field('tonnage')] }, { categoryId: 'coastal', parentId: 'shipping', fields: [field('harbour')] }, { categoryId: 'ferries', parentId: 'coastal', fields: [field('seats')] }, { categoryId: 'rail', fields: [field('seats')] }, { categoryId: 'road', fields: [field('lanes')] })
    coastal.when(revise, revising({ parentId: 'rail', template: template('harbour') }, 'coastal'), other).then(refused)
    coastal.when(revise, revising({ parentId: 'road', template: template('harbour') }, 'coastal'), other).then([revised(2, { parentId: 'road', template: template('harbour') })])
  })
  test('and has, in the order of the tree, the fields of all above it, with their versions', () => {
    expect(templateOf(tree.organisation, 'ferries')).toEqual({
      template: { fields: [field('tonnage'), field('harbour'), field('seats')], contactFields: [field('rank')] }, kind: 'organisation',
      reference: [{ categoryId: 'shipping', version: 1 }, { categoryId: 'coastal', version: 1 }, { categoryId: 'ferries', version: 1 }],
    })
    expect(templateOf(tree.organisation, 'shipping')?.template.fields).toEqual([field('tonnage')])
  })
})

describe('a template', () => {
  test('requires fields from stages there are', () => {
    const strict = { fields: [field('a', { requiredFrom: 'active' }), field('b', { requiredFrom: 'growth' })], contactFields: [field('c', { requiredFrom: 'growth' })] }
    const refused = refusedAt('invalid-template', 'template/fields/1/requiredFrom', 'template/contactFields/0/requiredFrom')
    given(category, []).when(define, defining({ template: strict }), byAdmin()).then(refused)
    given(category, [defined()]).when(revise, revising({ template: strict }), knowing({ categoryId: 'shipping' })).then(refused)
    const stages = organisation.policies.stages.value.stages
    const growth = withPolicy('stages', { ...organisation.policies.stages.value, stages: [...stages, { name: 'growth', labels: label, completeness: 1 }] })
    given(category, []).when(define, defining({ template: strict }), byAdmin({ organisation: growth })).then([defined({ template: strict })])
  })
  it.each<[string, object]>([
    ['a key twice', { fields: [field('a'), field('a')] }], ['a choice without options', { fields: [field('a', { type: 'one-of' })] }],
    ['a pattern that may take for ever', { contactFields: [field('a', { pattern: '(a+)+' })] }], ['a property nobody knows', { fields: [{ ...field('a'), colour: 'red' }] }],
  ])('has not %s', (_what, fault) => {
    expect(DefineCategory.safeParse(defining({ template: { fields: [], contactFields: [], ...fault } })).success).toBe(false)
  })
})

test('a category states a criterion, in both languages', () => {
  expect(DefineCategory.safeParse(defining()).success).toBe(true)
  for (const missing of [{ criterion: undefined }, { criterion: { en: 'x' } }, { labels: { zh: 'x', en: '' } }, { kind: 'thing' }]) expect(DefineCategory.safeParse({ ...defining(), ...missing }).success).toBe(false)
})
