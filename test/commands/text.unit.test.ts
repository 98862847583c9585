import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { checkText } from '../../src/commands/text.ts'

const problemsOf = (value: unknown) => {
  const checked = checkText(value)
  return checked.ok ? [] : checked.problems
}
const nested = (levels: number, inside: unknown = 1): unknown => (levels === 0 ? inside : levels % 2 === 0 ? [nested(levels - 1, inside)] : { a: nested(levels - 1, inside) })
const parsed = (text: string): unknown => JSON.parse(text)

describe('text is accepted', () => {
  test('in Unicode NFC, keys included, and all else as it is', () => {
    expect(checkText({ 'e\u0301': ['e\u0301', 1, null, true, { deep: '\u1112\u1161\u11ab' }], empty: '', other: '王小明 😀\n\t' })).toEqual({ ok: true, value: { é: ['é', 1, null, true, { deep: '한' }], empty: '', other: '王小明 😀\n\t' } })
    for (const plain of ['x', 0, null, [], {}]) expect(checkText(plain)).toEqual({ ok: true, value: plain })
  })
  test('whatever JSON it is: the same in NFC, and checking it again changes nothing', () => {
    fc.assert(fc.property(fc.json({ maxDepth: 5, stringUnit: 'grapheme' }), (text) => {
      fc.pre(!/__proto__|\\u0000/.test(text))
      const once = checkText(parsed(text))
      expect(once).toEqual({ ok: true, value: parsed(JSON.stringify(parsed(text)).normalize('NFC')) })
      if (once.ok) expect(checkText(once.value)).toEqual(once)
    }), { seed: 20260303 })
  })
  test('and what was sent is left as it was', () => {
    const sent = { name: 'e\u0301' }
    checkText(sent)
    expect(sent).toEqual({ name: 'e\u0301' })
  })
})

describe('text is refused where it stands', () => {
  it.each<[string, unknown, string]>([
    ['U+0000 in a value', { a: [{ b: 'x\u0000y' }] }, 'a/0/b'], ['half a surrogate pair', { a: '\ud83d' }, 'a'], ['the other half', { a: 'x\udc00' }, 'a'], ['by itself', '\u0000', ''],
    ['U+0000 in a key', { a: { 'x\u0000': 1 } }, 'a/"x\\u0000"'], ['half a pair in a key', { '\ud83d': 1 }, '"\\ud83d"'],
    ['a key that would reach the prototype', parsed('{"a":{"__proto__":{"admin":true}}}'), 'a/"__proto__"'],
  ])('%s', (_what, value, path) => {
    const problems = problemsOf(value)
    expect(problems).toEqual([{ path, message: expect.any(String) }])
    expect(JSON.stringify(problems).isWellFormed()).toBe(true)
  })
  test('all of it at once, and a hundred faults at most', () => {
    expect(problemsOf({ a: '\u0000', b: ['ok', '\ud800'], c: { d: '\u0000' } }).map(({ path }) => path)).toEqual(['a', 'b/1', 'c/d'])
    expect(problemsOf(Array.from({ length: 1000 }, () => '\u0000'))).toHaveLength(100)
  })
  test('no message repeats the text', () => {
    expect(JSON.stringify(problemsOf({ name: '王小明\u0000' }))).not.toContain('王小明')
  })
})

describe('nesting', () => {
  test('of sixteen levels is accepted, of one more refused, naming where it begins', () => {
    expect(checkText(nested(16))).toEqual({ ok: true, value: nested(16) })
    const [problem, ...others] = problemsOf(nested(17))
    expect(problem).toMatchObject({ path: '0/a/0/a'.split('/').toReversed().join('/'), message: expect.stringContaining('16') })
    expect(others).toEqual([])
  })
  test('without end is refused before it is walked', () => {
    expect(problemsOf(parsed(`${'['.repeat(100_000)}1${']'.repeat(100_000)}`))).toHaveLength(1)
    expect(problemsOf(parsed(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`))).toHaveLength(1)
  })
})
