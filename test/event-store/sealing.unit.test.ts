import { createCipheriv, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical } from '../../src/event-store/canonical.ts'
import type { Json, JsonObject } from '../../src/event-store/port.ts'
import { decrypt, MissingKey, open, seal, SubjectErased, subjectsOf, type SubjectKey, type SubjectKeys } from '../../src/event-store/sealing.ts'

const stream = 'customer-c1'
const eventId = '0199f5c2-7a01-7c3e-9a55-0d1f6c2b7e10'
const keys: SubjectKeys = new Map<string, SubjectKey>([['customer-c1', randomBytes(32)], ['contact-k1', randomBytes(32)], ['employee-e1', 'destroyed']])

const personal = (value: Json, subject = 'customer-c1'): JsonObject => ({ personal: subject, value })
const sealOf = (data: JsonObject) => seal(stream, eventId, data, keys)
const openOf = (data: JsonObject, at: { stream?: string; eventId?: string; keys?: SubjectKeys } = {}) => open(at.stream ?? stream, at.eventId ?? eventId, data, at.keys ?? keys)

const customer: JsonObject = {
  category: 'individual-retail',
  name: personal('王小明'),
  fields: { notes: personal('喜欢 "茶"; 😀\n'), source: 'referral', 'a/b~c': personal({ amount: 5, currency: 'CNY' }) },
  identifiers: [{ kind: 'mobile', identity: 'mobile-v1-ab', value: personal('+8613800138000') }],
  contacts: [{ contactId: 'k1', name: personal('李四', 'contact-k1'), fields: { tags: personal(['甲', '乙'], 'contact-k1') } }],
  nothing: null, empty: {}, list: [[[personal(null)]]],
}

const sealedJson = (data: JsonObject) => JSON.stringify(sealOf(data))

describe('sealing', () => {
  it('opens to what was sealed, wherever it stands: in objects, in nested lists, in Chinese', () => {
    expect(openOf(sealOf(customer))).toEqual(customer)
  })

  it('leaves nothing of a personal value in the log, and everything else as it was', () => {
    const text = sealedJson(customer)
    for (const secret of ['王', '茶', '13800138000', '李四', '甲', '"personal"']) expect(text).not.toContain(secret)
    expect(sealOf(customer)).toMatchObject({ category: 'individual-retail', fields: { source: 'referral' }, identifiers: [{ kind: 'mobile', identity: 'mobile-v1-ab' }], nothing: null, empty: {} })
    expect(sealOf(customer)['name']).toEqual({ sealed: 1, key: 'customer-c1', nonce: expect.any(String), ciphertext: expect.any(String) })
  })

  it('seals each time with another nonce, so equal values look different', () => {
    const same = sealOf({ a: personal('甲'), b: personal('甲') })
    expect(JSON.stringify(same['a'])).not.toBe(JSON.stringify(same['b']))
    expect(sealedJson(customer)).not.toBe(sealedJson(customer))
  })

  it('names the subjects whose keys it needs, before and after', () => {
    expect(subjectsOf(customer).toSorted()).toEqual(['contact-k1', 'customer-c1'])
    expect(subjectsOf(sealOf(customer)).toSorted()).toEqual(['contact-k1', 'customer-c1'])
    expect(subjectsOf({ plain: [1, { deep: true }] })).toEqual([])
  })

  it('holds a value to its stream, its event and its place: moved, it does not open', () => {
    const sealed = sealOf({ a: personal('甲'), b: personal('乙'), list: [personal('丙'), 1] })
    expect(() => openOf({ ...sealed, a: sealed['b'] ?? null, b: sealed['a'] ?? null })).toThrow()
    expect(() => openOf({ c: sealed['a'] ?? null })).toThrow()
    expect(() => openOf({ list: [1, Array.isArray(sealed['list']) ? (sealed['list'][0] ?? null) : null] })).toThrow()
    expect(() => openOf(sealed, { stream: 'customer-c2' })).toThrow()
    expect(() => openOf(sealed, { eventId: '0199f5c2-7a01-7c3e-9a55-0d1f6c2b7e11' })).toThrow()
    expect(() => openOf(sealed, { keys: new Map([['customer-c1', randomBytes(32)]]) })).toThrow()
    expect(openOf(sealed)).toEqual({ a: personal('甲'), b: personal('乙'), list: [personal('丙'), 1] })
  })

  it('does not take one place for another whose names run together', () => {
    const sealed = sealOf({ 'a/b': personal('甲') })
    expect(openOf(sealed)).toEqual({ 'a/b': personal('甲') })
    expect(() => openOf({ a: { b: sealed['a/b'] ?? null } })).toThrow()
  })

  it('does not open a value that was changed or cut short, and says where it stands', () => {
    const { name } = sealOf({ name: personal('王小明') })
    if (typeof name !== 'object' || name === null || Array.isArray(name)) throw new Error('not sealed')
    const bytes = Buffer.from(String(name['ciphertext']), 'base64')
    const flipped = Buffer.from(bytes)
    flipped[0] = (flipped[0] ?? 0) ^ 1
    for (const changed of [flipped, bytes.subarray(0, -1), bytes.subarray(0, 16), bytes.subarray(-12), bytes.subarray(-4), Buffer.alloc(0)]) {
      expect(() => openOf({ name: { ...name, ciphertext: changed.toString('base64') } })).toThrow(`the sealed value at /name of event ${eventId} in ${stream} cannot be opened`)
    }
    expect(() => openOf({ name: { ...name, nonce: randomBytes(12).toString('base64') } })).toThrow('cannot be opened')
  })

  it('takes no part of a tag for a tag', () => {
    const [key, nonce, place] = [randomBytes(32), randomBytes(12), Buffer.from('place')]
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(place)
    cipher.final()
    const ciphertext = cipher.getAuthTag().subarray(0, 4).toString('base64')
    expect(() => decrypt(key, { nonce: nonce.toString('base64'), ciphertext }, place)).toThrow()
  })

  it('reads { erased: true } wherever the subject’s key was destroyed, and goes on reading the others', () => {
    const after = new Map(keys).set('customer-c1', 'destroyed')
    expect(openOf(sealOf(customer), { keys: after })).toEqual({
      ...customer,
      name: { erased: true },
      fields: { notes: { erased: true }, source: 'referral', 'a/b~c': { erased: true } },
      identifiers: [{ kind: 'mobile', identity: 'mobile-v1-ab', value: { erased: true } }],
      list: [[[{ erased: true }]]],
    })
  })

  it('seals nothing more about an erased subject', () => {
    expect(() => sealOf({ ok: personal('甲'), name: personal('乙', 'employee-e1') })).toThrow(SubjectErased)
  })

  it('takes a key that is missing for a fault, never for an erasure', () => {
    expect(() => sealOf({ name: personal('乙', 'customer-unknown') })).toThrow(MissingKey)
    expect(() => openOf(sealOf(customer), { keys: new Map([['customer-c1', keys.get('customer-c1') ?? 'destroyed']]) })).toThrow(MissingKey)
  })

  it('brings back any JSON value, at any place', () => {
    const json = (maxDepth: number) => fc.jsonValue({ maxDepth, stringUnit: 'grapheme' }).map((value): Json => JSON.parse(JSON.stringify(value)))
    const keyNames = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 6 }), fc.constantFrom('/', '~', '~1', 'a/b', '', '__proto__', 'constructor', 'toString'))
    const { data } = fc.letrec<{ data: JsonObject; node: Json }>((tie) => ({
      node: fc.oneof({ maxDepth: 4, depthSize: 'small' }, json(1), json(2).map((value): Json => personal(value)), fc.array(tie('node'), { maxLength: 3 }), tie('data')),
      data: fc.array(fc.tuple(keyNames, tie('node')), { maxLength: 4 }).map((entries): JsonObject => Object.fromEntries(entries)),
    }))
    fc.assert(fc.property(data, (plain) => {
      const sealed: JsonObject = JSON.parse(JSON.stringify(sealOf(plain)))
      expect(canonical(openOf(sealed))).toBe(canonical(plain))
    }), { numRuns: 300 })
  })
})
