import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical } from '../../src/event-store/canonical.ts'
import { isCanonicalText } from '../../src/event-store/canonical-text.ts'

/** As the format is defined: read, written anew, and compared. */
const byDefinition = (text: string): boolean => {
  try {
    return canonical(JSON.parse(text)) === text
  } catch {
    return false
  }
}

const key = fc.oneof(fc.string({ unit: 'binary', maxLength: 4 }), fc.constantFrom('a', 'b', '10', '9', '__proto__', '€', '😀', 'Ａ', '"', '\n', '王'))
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, fc.constant(null), fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.string({ unit: 'binary' }), fc.array(tie('value'), { maxLength: 4 }), fc.dictionary(key, tie('value'), { maxKeys: 5 })),
})).value
/** What somebody might do to a text: put a piece in, take one out, or put another in its place. */
const piece = fc.constantFrom(' ', '\n', '"', '\\', ',', ':', '{', '}', '[', ']', '0', '-', '1e3', '1.0', '+', '\\u000a', '\\u001f', '\\u001F', '\\/', '\\ud800', '\ud800', '\udc00', '\u0000', 'null', 'tru', '"a":1,', ',"a":1', '{"b":1,"a":2}', '')
const changed = fc.tuple(value, fc.nat(), fc.nat(3), piece).map(([of, at, taken, put]) => {
  const text = JSON.stringify(of)
  const place = at % (text.length + 1)
  return text.slice(0, place) + put + text.slice(place + taken)
})

describe('a canonical text is told from any other', () => {
  it('for any value, written canonically or in whatever order its keys came', () => {
    let inOrder = 0
    fc.assert(fc.property(value, (one) => {
      expect(isCanonicalText(canonical(one))).toBe(true)
      const text = JSON.stringify(one)
      expect(isCanonicalText(text), text).toBe(byDefinition(text))
      if (byDefinition(text)) inOrder += 1
    }), { numRuns: 600, seed: 20261125 })
    expect(inOrder).toBeLessThan(580)
  })

  it('for any text that somebody changed', () => {
    fc.assert(fc.property(changed, (text) => {
      expect(isCanonicalText(text), text).toBe(byDefinition(text))
    }), { numRuns: 2000, seed: 20261125 })
  })

  it.each([
    '', ' ', '{', '{}', '[]', '[,]', '{"a":1,}', '{"a":1,"a":1}', '{"b":1,"a":1}', '{"a":1 }', '{"10":1,"9":1}', '{"9":1,"10":1}', '-0', '1.0', '1e21', '1e+21', '01', '.5', '5.', '--1', 'e', '1e400', 'NaN', 'Infinity', '"\\u0041"', '"\\u000b"', '"\\u000B"',
    '"\\n"', '"\n"', '"\\x"', '"\\', '"', '"\u007f\u2028"', '"\\u2028"', 'nul', 'true', 'truefalse', '{"__proto__":1,"a":{}}', '{"\\n":1,"a":1}', '{"a":1,"\\n":1}', '[1,[2,[3]]]', '{a:1}', '1 2',
  ])('for %j', (text) => {
    expect(isCanonicalText(text)).toBe(byDefinition(text))
  })

  it('also when it is nested as deep as a stack does not go', () => {
    expect(isCanonicalText('['.repeat(1_000_000))).toBe(false)
  })
})
