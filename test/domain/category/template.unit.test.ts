import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { z } from 'zod'
import { defaultCategories } from '../../../src/domain/category/defaults.ts'
import { checkFields, Field, FieldType, FieldValue, isPlaceholder, mergeTemplates, patternFault, Template } from '../../../src/domain/category/template.ts'

const labels = { en: 'Label', zh: '标签' }
const options = ['A', 'B', 'none'].map((value) => ({ value, labels }))
const field = (type: FieldType, more: Partial<Field> = {}): Field => ({
  key: 'it', labels, type, requiredFrom: null, listed: false, personal: false,
  ...(type === 'one-of' || type === 'some-of' ? { options } : {}), ...more,
})
const always = () => true
const never = () => false
const check = (type: FieldType, value: FieldValue, required = never, more: Partial<Field> = {}) => checkFields([field(type, more)], { it: value }, required)
const accepted = (type: FieldType, value: FieldValue) => {
  const { values, problems } = check(type, value)
  expect(problems).toEqual([])
  return values.it
}
const template = (keys: string[], contactKeys: string[] = []): Template =>
  ({ fields: keys.map((key) => field('text', { key })), contactFields: contactKeys.map((key) => field('text', { key })) })

describe('the schema of a field', () => {
  const valid = (candidate: unknown) => Field.safeParse(candidate).success
  it.each(FieldType.options)('takes a field of type %s', (type) => {
    expect(valid(field(type))).toBe(true)
  })
  it.each<[string, unknown]>([
    ['a key in kebab case', field('text', { key: 'home-page' })], ['a key that begins with a capital', field('text', { key: 'Home' })],
    ['a choice without options', { ...field('one-of'), options: undefined }], ['options without a choice', field('text', { options })],
    ['an option twice', field('some-of', { options: [...options, ...options] })], ['a pattern on a number', field('number', { pattern: 'a' })],
    ['a pattern that does not compile', field('text', { pattern: '(' })], ['a pattern that may take for ever', field('text', { pattern: '(a+)+' })],
    ['a property nobody knows', { ...field('text'), colour: 'red' }], ['no label in Chinese', { ...field('text'), labels: { en: 'x' } }],
    ['an unknown type', { ...field('text'), type: 'colour' }],
  ])('refuses %s', (_what, candidate) => {
    expect(valid(candidate)).toBe(false)
  })
})

describe('a pattern cannot take for ever', () => {
  it.each(['[A-Z]{2}\\d{6,10}', '(?:[A-Z]{2}\\d{3},)*', '[\\p{Script=Han}\\u{4E00}]+', '(?:京|津|沪|渝)[A-Z]-?\\w{5,6}', '\\d+-\\d+-\\d+',
    '(?<year>\\d{4})年', '(?=.*\\d).{6,20}', '\\(a+\\)+', '[(a+)]+', '(a+)?'])('%s is accepted', (pattern) => {
    expect(patternFault(pattern)).toBeUndefined()
  })
  it.each(['(a+)+', '(a*)*b', '(a|a)*', '(?:a?){40}', '((a){2,3})+', '(?<x>a+){2}', '([a-z]+)*', '((?:ab)+c)+', 'a?'.repeat(40), '(a|a)'.repeat(40),
    '.*.*.*.*x', '((()){100}){100}', '(', '[', '{', 'a{2', '\\p{Nope}'])('%s is refused', (pattern) => {
    expect(patternFault(pattern)).toBeTypeOf('string')
  })
  test('whatever it accepts answers fast', () => {
    const part = fc.constantFrom('a', 'a?', 'a+', 'a*', '.*', '(a|a)', '(a|aa)', '(a+)', '(aa)+', '(a+)+', '(a?)*', 'a{1,9}', '(?:a|b)?', '(a){5}', '(?=a*)')
    fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 20 }), (parts) => {
      const pattern = parts.join('')
      if (patternFault(pattern) !== undefined) return
      const start = performance.now()
      check('text', `${'a'.repeat(99)}!`, never, { pattern })
      expect(performance.now() - start).toBeLessThan(2_000)
    }), { numRuns: 2_000 })
  })
})

describe('a template', () => {
  test('has each key once, among the fields and among the contact fields', () => {
    expect(Template.safeParse(template(['a', 'b'], ['a'])).success).toBe(true)
    expect(Template.safeParse(template(['a', 'a'])).success).toBe(false)
    expect(Template.safeParse(template([], ['a', 'a'])).success).toBe(false)
  })
  test('of a child adds to its parent, root first', () => {
    expect(mergeTemplates([template(['a'], ['x']), template(['b']), template(['c'], ['y'])])).toEqual({ ok: true, template: template(['a', 'b', 'c'], ['x', 'y']) })
    expect(mergeTemplates([])).toEqual({ ok: true, template: template([]) })
  })
  test('of a child may not redefine what its parent has', () => {
    expect(mergeTemplates([template(['a', 'b']), template(['b'])])).toMatchObject({ ok: false, message: expect.stringContaining('field b') })
    expect(mergeTemplates([template([], ['x']), template([]), template([], ['x'])])).toMatchObject({ ok: false, message: expect.stringContaining('contact field x') })
  })
})

describe('values are normalised', () => {
  it.each<[FieldType, FieldValue, FieldValue]>([
    ['text', ' e\u0301\n北京 ', 'é\n北京'], ['number', -1.5, -1.5], ['money', { amount: 100_000, currency: 'CNY' }, { amount: 100_000, currency: 'CNY' }],
    ['date', '2024-02-29', '2024-02-29'], ['phone', '138 0013 8000', '+8613800138000'], ['phone', '010-62345678', '+861062345678'],
    ['phone', '０２１－５８８８８８８８转１２', '+862158888888;ext=12'], ['phone', '+862158888888;ext=12', '+862158888888;ext=12'],
    ['phone', '400-810-6666', '+864008106666'], ['phone', '8008208820', '+868008208820'], ['phone', '+44 20 7946 0958', '+442079460958'],
    ['email', ' Zhang@Example.CN ', 'zhang@example.cn'], ['url', ' HTTPS://Example.com/A?b=1 ', 'https://example.com/A?b=1'],
    ['one-of', ' A ', 'A'], ['one-of', 'none', 'none'], ['some-of', ['B', 'A', 'B'], ['A', 'B']], ['yes-no', false, false],
  ])('%s %j becomes %j', (type, value, normal) => {
    expect(accepted(type, value)).toEqual(normal)
    expect(accepted(type, accepted(type, value) ?? null)).toEqual(normal)
  })
})

describe('values that do not fit are named', () => {
  it.each<[FieldType, FieldValue]>([
    ['text', 1], ['text', ['a']], ['text', 'a\u0000b'], ['text', 'a\ud800'], ['number', '1'], ['number', Number.NaN], ['number', Number.POSITIVE_INFINITY],
    ['money', 100], ['money', { amount: 1.5, currency: 'CNY' }], ['money', { amount: 1, currency: 'cny' }], ['date', '2023-02-29'], ['date', '2024-2-9'],
    ['date', '0000-01-01'], ['date', '2024-01-01T00:00:00Z'], ['phone', '62345678'], ['phone', '1380013800'], ['phone', 'call me'], ['email', 'zhang@'],
    ['url', 'example.com'], ['url', 'ftp://example.com'], ['url', 'javascript:alert(1)'], ['url', 'https://me:secret@example.com'], ['url', 'https://nowhere'],
    ['one-of', 'D'], ['one-of', ['A']], ['some-of', 'A'], ['some-of', ['A', 'D']], ['yes-no', 'true'], ['yes-no', 1],
  ])('%s %j', (type, value) => {
    const { values, problems } = check(type, value)
    expect(values).toEqual({})
    expect(problems).toEqual([{ path: 'fields/it', message: expect.stringMatching(/^must/) }])
  })
  test('a pattern is for the whole text', () => {
    expect(check('text', '京A12345', never, { pattern: '[京津][A-Z]\\w{5}' }).problems).toEqual([])
    expect(check('text', 'x京A12345', never, { pattern: '[京津][A-Z]\\w{5}' }).problems).toHaveLength(1)
    expect(check('text', 'ab', never, { pattern: 'a|b' }).problems).toHaveLength(1)
    expect(check('text', 'a'.repeat(101), never, { pattern: 'a+' }).problems).toHaveLength(1)
  })
})

describe('what is required', () => {
  it.each<[FieldType, FieldValue]>([
    ['text', ''], ['text', ' \u3000'], ['text', null], ['some-of', []], ['number', null], ['phone', ''],
    ['text', '无'], ['text', '暂无'], ['text', ' n/a '], ['text', 'Ｎ／Ａ'], ['text', 'TEST'], ['text', '-'], ['text', '——'], ['text', '不详'], ['text', '未知'],
    ['text', '\u200b'], ['phone', '无'], ['email', '-'], ['date', '未知'],
  ])('%s %j is missing, and named once', (type, value) => {
    expect(check(type, value, always)).toEqual({ values: {}, problems: [{ path: 'fields/it', message: expect.stringMatching(/^is required/) }] })
  })
  it.each<[FieldType, FieldValue]>([['text', '无锡路1号'], ['text', 'A'], ['number', 0], ['yes-no', false], ['one-of', 'none']])('%s %j is there', (type, value) => {
    expect(check(type, value, always).problems).toEqual([])
  })
  test('an optional field may be empty, and is then left out', () => {
    for (const value of ['', null, []]) expect(check('phone', value)).toEqual({ values: {}, problems: [] })
    expect(accepted('text', '无')).toBe('无')
  })
  test('isPlaceholder knows a filler from a value', () => {
    expect(['无', '***', 'Unknown', '?'].map(isPlaceholder)).toEqual([true, true, true, true])
    expect(['无锡', 'testing', 'A-1'].map(isPlaceholder)).toEqual([false, false, false])
  })
})

test('every problem is named at once: missing, malformed and unknown', () => {
  const fields = [field('text', { key: 'address' }), field('one-of', { key: 'importance' }), field('phone', { key: 'phone' }), field('text', { key: 'toString' })]
  const { values, problems } = checkFields(fields, { importance: 'Z', phone: '13800138000', colour: 'red', constructor: 'x' }, always, 'contacts/0/fields')
  expect(values).toEqual({ phone: '+8613800138000' })
  expect(problems.map((problem) => problem.path)).toEqual(
    ['contacts/0/fields/address', 'contacts/0/fields/importance', 'contacts/0/fields/toString', 'contacts/0/fields/colour', 'contacts/0/fields/constructor'])
})

test('no message repeats the value', () => {
  fc.assert(fc.property(fc.constantFrom(...FieldType.options), fc.stringMatching(/^[0-9]{9}$/), (type, value) => {
    for (const { message } of check(type, value).problems) expect(message).not.toContain(value)
  }))
})

test('checking accepted values again changes nothing', () => {
  const fields = FieldType.options.map((type, index) => field(type, { key: `f${index}` }))
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl(), fc.emailAddress(), fc.constantFrom('A', 'B'), fc.double(), fc.boolean(), fc.subarray(['B', 'A']))
  fc.assert(fc.property(fc.array(value, { minLength: fields.length, maxLength: fields.length }), (given) => {
    const once = checkFields(fields, Object.fromEntries(given.map((item, index) => [`f${index}`, item])), never)
    expect(checkFields(fields, once.values, never)).toEqual({ values: once.values, problems: [] })
    expect(z.record(z.string(), FieldValue).safeParse(once.values).success).toBe(true)
  }), { numRuns: 1_000 })
})

describe('the default categories', () => {
  const byId = new Map(defaultCategories.map((category) => [category.categoryId, category]))
  const ancestors = (categoryId: string): Template[] => {
    const category = byId.get(categoryId)
    return category ? [...(category.parentId === null ? [] : ancestors(category.parentId)), category.template] : []
  }
  const merged = (categoryId: string) => {
    const result = mergeTemplates(ancestors(categoryId))
    return result.ok ? result.template : template([])
  }
  it.each(defaultCategories)('$categoryId fits the schema and merges with its parents', ({ categoryId, parentId, template: own, kind }) => {
    expect(Template.safeParse(own).error).toBeUndefined()
    expect(parentId === null || byId.get(parentId)?.kind === kind).toBe(true)
    expect(mergeTemplates(ancestors(categoryId)).ok).toBe(true)
    expect(merged(categoryId).contactFields).toHaveLength(14)
    expect(merged(categoryId).fields).toHaveLength({ enterprise: 15, 'individual-retail': 9 }[categoryId] ?? 12)
  })
  it('are named once, with one criterion each', () => {
    expect(byId.size).toBe(8)
    expect(new Set(defaultCategories.map(({ criterion }) => criterion.en)).size).toBe(8)
    expect(new Set(defaultCategories.map(({ criterion }) => criterion.zh)).size).toBe(8)
  })
  it('require of a deal closed what the handbook requires', () => {
    const required = (fields: Field[]) => fields.filter((each) => each.requiredFrom === 'active').map((each) => each.key)
    expect(required(merged('supplier-software').fields)).toEqual(['address', 'companyPhone', 'importance', 'source'])
    expect(required(merged('enterprise').fields)).toEqual(['address', 'companyPhone', 'importance', 'source', 'numberOfComputers'])
    expect(required(merged('individual-retail').fields)).toEqual(['address', 'importance', 'source'])
    expect(required(merged('other').contactFields)).toEqual(['title', 'role', 'mobile', 'email'])
  })
  it('list nothing personal', () => {
    const all = defaultCategories.flatMap((category) => [...category.template.fields, ...category.template.contactFields])
    expect(all.filter((each) => each.listed && each.personal)).toEqual([])
    expect([...new Set(all.filter((each) => !each.personal).map((each) => each.key))].sort()).toEqual(
      ['cooperationStart', 'creditGrade', 'importance', 'industry', 'numberOfComputers', 'numberOfShops', 'registeredCapital', 'role', 'salesModel', 'source'])
  })
})
