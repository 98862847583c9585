import fc from 'fast-check'
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import { describe, expect, it, test } from 'vitest'
import { z } from 'zod'
import { Identifier, normaliseIdentifier, parseIdentifierQuery, parsePhone } from '../../../src/domain/customer/identifier.ts'

type PlainKind = Exclude<Identifier['kind'], 'other'>
const normalise = (kind: PlainKind, value: string) => normaliseIdentifier({ kind, value })
const other = (issuer: string, value: string) => normaliseIdentifier({ kind: 'other', issuer, value })
const fullWidth = (text: string) => text.replace(/[!-~]/g, (character) => String.fromCodePoint(character.charCodeAt(0) + 0xfee0))
const refusal = (kind: PlainKind, value: string) => {
  const normalised = normalise(kind, value)
  return normalised.ok ? 'accepted' : normalised.message
}

// Written again here from the standards, apart from the code under test.
const alphabet = '0123456789ABCDEFGHJKLMNPQRTUWXY'
const usccOf = (body: string) => {
  const sum = [...body].reduce((total, character, index) => total + alphabet.indexOf(character) * Number(3n ** BigInt(index) % 31n), 0)
  return body + alphabet.charAt((31 - sum % 31) % 31)
}
const residentIdOf = (body: string) => {
  const remainder = [...body].reduce((total, digit, index) => total + Number(digit) * 2 ** (17 - index), 0) % 11
  return body + '10X98765432'.charAt(remainder)
}

const digitString = (length: number) => fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: length, maxLength: length })
const uscc = fc.tuple(fc.constantFrom(...'123456789ANY'), fc.constantFrom(...alphabet), digitString(6),
  fc.string({ unit: fc.constantFrom(...alphabet), minLength: 9, maxLength: 9 })).map((parts) => usccOf(parts.join('')))
const birthDate = fc.date({ min: new Date('1900-01-01T00:00:00Z'), max: new Date('2099-12-31T00:00:00Z'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10).replaceAll('-', ''))
const residentId = fc.tuple(digitString(6), birthDate, digitString(3)).map((parts) => residentIdOf(parts.join('')))
const mobile = fc.tuple(fc.constantFrom('138', '159', '177', '186', '199'), digitString(8)).map((parts) => parts.join(''))
const written: fc.Arbitrary<Identifier> = fc.oneof(
  mobile.map((value) => ({ kind: 'mobile' as const, value })),
  fc.emailAddress().map((value) => ({ kind: 'email' as const, value })),
  uscc.map((value) => ({ kind: 'uscc' as const, value: value.toLowerCase() })),
  residentId.map((value) => ({ kind: 'resident-id' as const, value: fullWidth(value) })),
)
const Pair = z.tuple([z.string(), z.string()])
const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })

describe('mobile', () => {
  it.each([
    '13800138000', '138 0013 8000', '138-0013-8000', '138—0013—8000', '+8613800138000', '+86 138-0013-8000', '0086 13800138000',
    '8613800138000', '（+86）13800138000', fullWidth('13800138000'), fullWidth('+86 13800138000'), '\u202d138 0013 8000\u202c',
  ])('%s is one and the same number', (value) => {
    expect(normalise('mobile', value)).toEqual({ ok: true, kind: 'mobile', value: '+8613800138000' })
  })
  it.each([['+852 9123 4567', '+85291234567'], ['+1 415 555 2671', '+14155552671'], ['00852 9123 4567', '+85291234567']])(
    '%s, from elsewhere, keeps its country', (value, normal) => {
      expect(normalise('mobile', value)).toMatchObject({ ok: true, value: normal })
    })
  it.each([
    ['010-62345678', 'landline'], ['400-810-6666', '400'], ['800-820-8820', '800'], ['+1 800 555 1234', 'toll-free'],
    ['1380013800', 'valid'], ['138001380000', 'valid'], ['95588', 'valid'], ['call 13800138000', 'valid'], ['无', 'valid'],
    ['13800138000;ext=3', 'extension'],
  ])('%s is refused, saying why', (value, why) => {
    expect(refusal('mobile', value)).toContain(why)
  })
})

describe('email', () => {
  it('is trimmed and lower-cased whole', () => {
    expect(normalise('email', ' Zhang.San+Kehu@Example.COM ')).toEqual({ ok: true, kind: 'email', value: 'zhang.san+kehu@example.com' })
    expect(normalise('email', fullWidth('zhang@example.com'))).toMatchObject({ value: 'zhang@example.com' })
    expect(normalise('email', 'a@xn--fsqu00a.xn--fiqs8s')).toMatchObject({ ok: true })
  })
  it.each(['a', 'a@', '@b.cn', 'a@b', 'a b@c.cn', 'a@b..cn', '.a@b.cn', 'a.@b.cn', 'a..b@c.cn', 'a@-b.cn', 'a@b.1', 'a@b@c.cn',
    '张三@例子.中国', `${'a'.repeat(65)}@b.cn`])('%s is refused', (value) => {
    expect(refusal('email', value)).toContain('email address')
  })
  it('has at most 254 characters', () => {
    expect(refusal('email', `a@${'b.'.repeat(126)}cn`)).toContain('254')
  })
})

describe('unified social credit code', () => {
  // Published in the tests of python-stdnum, Hutool and other validators; most are of registered organisations.
  it.each(['91350100M000100Y43', '91110000600037341L', '91440300708461136T', '91110000802100433B', '91350200MA2YJ1XR9G'])('%s is valid', (value) => {
    for (const form of [value, value.toLowerCase(), fullWidth(value), ` ${value.slice(0, 8)} ${value.slice(8)} `, `${value.slice(0, 2)}-${value.slice(2)}`])
      expect(normalise('uscc', form)).toEqual({ ok: true, kind: 'uscc', value })
  })
  it.each([
    ['91350100M000100Y4', '17'], ['91350100M000100Y431', '19'], ['9135010OM000100Y43', 'position 8'], ['91350100M0001O0Y43', 'position 14'],
    ['9135A100M000100Y43', 'position 5'], ['91350100M000张00Y43', 'position 13'], ['91350100M000100Y44', 'check character'],
    ['000000000000000000', 'begin with 0'],
  ])('%s is refused, saying where', (value, why) => {
    expect(refusal('uscc', value)).toContain(why)
  })
  test('changing one character of a valid code is always refused', () => {
    fc.assert(fc.property(uscc, fc.nat(17), fc.constantFrom(...alphabet, ...'IOSVZ'), (code, at, character) => {
      fc.pre(code.charAt(at) !== character)
      expect(normalise('uscc', code).ok).toBe(true)
      expect(normalise('uscc', code.slice(0, at) + character + code.slice(at + 1)).ok).toBe(false)
    }))
  })
})

describe('resident ID', () => {
  // 11010519491231002X is the example printed in GB 11643-1999.
  it.each(['11010519491231002X', '360426199101010071', residentIdOf('11010120000229001')])('%s is valid', (value) => {
    for (const form of [value, value.toLowerCase(), fullWidth(value), `${value.slice(0, 6)} ${value.slice(6, 14)} ${value.slice(14)}`])
      expect(normalise('resident-id', form)).toEqual({ ok: true, kind: 'resident-id', value })
  })
  it.each([
    ['110105194912310021', 'check character'], ['360426199101010070', 'check character'], ['110105491231002', 'old numbers'], ['1101051949123100', '16'],
    ['1101051949123100XX', 'position 17'], ['11010519491231002Y', 'or X'], [residentIdOf('11010119000229001'), 'birth date'],
    [residentIdOf('11010119991301001'), 'birth date'], ['440524188001010014', 'birth date'], ['000000000000000000', 'birth date'],
  ])('%s is refused, saying why', (value, why) => {
    expect(refusal('resident-id', value)).toContain(why)
  })
  test('transposing two different neighbours is always refused', () => {
    fc.assert(fc.property(residentId, fc.nat(16), (number, at) => {
      const [first, second] = [number.charAt(at), number.charAt(at + 1)]
      fc.pre(first !== second)
      expect(normalise('resident-id', number).ok).toBe(true)
      expect(normalise('resident-id', number.slice(0, at) + second + first + number.slice(at + 2)).ok).toBe(false)
    }))
  })
})

describe('other official number', () => {
  it('is a pair of issuer and number that cannot be ambiguous', () => {
    expect(other(' HK  Companies Registry ', ' ab　12 ')).toEqual({ ok: true, kind: 'other', value: '["HK Companies Registry","AB 12"]' })
    expect(other('a"', 'b')).not.toEqual(other('a', '"b'))
  })
  it.each([[' ', '1'], ['a', '\u200b'], ['a', '1\u0000'], ['a', '1\ud800'], ['a：b', '1']])('%j, %j is refused', (issuer, value) => {
    expect(other(issuer, value).ok).toBe(false)
  })
})

test('normalising a normalised value changes nothing', () => {
  fc.assert(fc.property(written, (identifier) => {
    const once = normaliseIdentifier(identifier)
    if (!once.ok || once.kind === 'other') return expect(identifier.kind).toBe('email')
    expect(normalise(once.kind, once.value)).toEqual(once)
  }), { numRuns: 500 })
  fc.assert(fc.property(anyText, anyText, (issuer, value) => {
    const once = other(issuer, value)
    if (!once.ok) return
    expect(other(...Pair.parse(JSON.parse(once.value)))).toEqual(once)
  }), { numRuns: 5_000 })
})

test('no message repeats the value', () => {
  fc.assert(fc.property(fc.constantFrom<PlainKind>('mobile', 'email', 'uscc', 'resident-id'), digitString(9), (kind, value) => {
    expect(refusal(kind, value)).not.toContain(value)
  }))
})

describe('an identifier in a query', () => {
  it.each([
    ['mobile:13800138000', { kind: 'mobile', value: '13800138000' }],
    ['uscc: 91350100M000100Y43 ', { kind: 'uscc', value: '91350100M000100Y43' }],
    ['mobile：13800138000', { kind: 'mobile', value: '13800138000' }],
    ['other:HKCR:12:34', { kind: 'other', issuer: 'HKCR', value: '12:34' }],
  ])('%s is read', (text, identifier) => {
    expect(parseIdentifierQuery(text)).toEqual({ ok: true, identifier })
  })
  it.each(['', 'mobile', 'mobile:', 'phone:1', '13800138000', 'other:HKCR', 'other::1', 'other:a:', `email:${'a'.repeat(301)}`])('%j is refused', (text) => {
    expect(parseIdentifierQuery(text).ok).toBe(false)
  })
})

test('unknown keys and kinds are not an identifier', () => {
  expect(Identifier.safeParse({ kind: 'mobile', value: '1', issuer: 'x' }).success).toBe(false)
  expect(Identifier.safeParse({ kind: 'fax', value: '1' }).success).toBe(false)
  expect(Identifier.safeParse({ kind: 'other', value: '1' }).success).toBe(false)
})

test('extensions are read as they are written in China', () => {
  for (const text of ['021-58888888转123', '021-58888888-123', '+86 21-58888888-123', '(021)58888888 分机 123', '021-58888888;ext=123'])
    expect(parsePhone(text)).toEqual({ number: '+862158888888', type: 'FIXED_LINE', ext: '123' })
})

test('what is written like a mobile number of China is one exactly if the library says so, whatever its first digits', () => {
  const rest = ['00000000', '12345678', '99999999']
  const prefixes = Array.from({ length: 100 }, (_, two) => `1${String(two).padStart(2, '0')}`)
  for (const written of prefixes.flatMap((prefix) => rest.map((digits) => `${prefix}${digits}`)).flatMap((number) => [number, `+86${number}`])) {
    const known = parsePhoneNumberFromString(written, { defaultCountry: 'CN', extract: false })
    expect(parsePhone(written), written).toEqual(known?.isValid() ? { number: known.number, type: known.getType(), ext: known.ext } : undefined)
  }
})
