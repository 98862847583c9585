import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical } from '../../src/event-store/canonical.ts'

/** Keys that objects reorder, that sort after surrogate pairs, and that mean something to JavaScript. */
const key = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('10', '9', '01', '1a', '__proto__', 'constructor', 'toJSON', '\u{1F600}', '\ufb33', 'a', 'B', ''))
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, fc.string({ unit: 'grapheme' }), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.boolean(), fc.constant(null), fc.constantFrom('\\ud800', '"\\', '\u2028'),
    fc.array(tie('value'), { maxLength: 4 }), fc.array(fc.tuple(key, tie('value')), { maxLength: 6 }).map((entries) => JSON.parse(`{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`) as unknown)),
})).value

describe('the canonical form of a JSON value', () => {
  it('is what the RFC says, whatever the keys', () => {
    fc.assert(fc.property(json, (value) => {
      expect(canonical(value)).toBe(canonicalize(value))
    }), { numRuns: 500 })
  })

  it('is the same whichever order the keys were given in, and leaves what it is given alone', () => {
    fc.assert(fc.property(fc.dictionary(key, json), (value) => {
      const before = JSON.stringify(value)
      const turned = Object.fromEntries(Object.entries(value).toReversed())
      expect(canonical(turned)).toBe(canonical(value))
      expect(JSON.stringify(value)).toBe(before)
    }))
  })

  it('has no properties that are undefined, and no form for what JSON cannot say', () => {
    expect(canonical({ b: undefined, a: 1, '1': undefined })).toBe('{"a":1}')
    expect(canonical([undefined, 1])).toBe('[null,1]')
    for (const value of [undefined, NaN, Infinity, { a: -Infinity }, [() => 1], { a: 1n }, 'a\ud800', { ['\udc00']: 1 }, ['ok', { x: ['\ud83d'] }], { 1: '\ud800' }]) expect(() => canonical(value), String(value)).toThrow(TypeError)
  })
})
