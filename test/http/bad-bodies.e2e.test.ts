import { Readable } from 'node:stream'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { problemOf, startService, type TestService } from '../support/http.ts'
import { enter, organise } from './people.ts'

// Whatever is wrong in a body holds this, so that an answer which quotes it is found.
const SECRET = '王秘密'
const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
const person = (more: object) => ({ category: 'individual-retail', name: '某人', ...more })
const withFields = (fields: object, category = 'individual-retail') => ({ category, name: '某人', fields })
const identifier = (kind: string, value: unknown, more: object = {}) => person({ identifiers: [{ kind, value, ...more }] })

type Case = [what: string, command: string, body: unknown, status: number, problem: string, paths: string[]]
const invalid = (what: string, command: string, body: unknown, paths: string[]): Case => [what, command, body, 422, 'invalid-body', paths]
const wrongField = (what: string, body: unknown, paths: string[]): Case => [what, 'create-customer', body, 422, 'invalid-fields', paths]

// A text is sent as it is, anything else as JSON.
const cases: Case[] = [
  ['JSON that ends too early', 'create-customer', `{"name": "${SECRET}`, 400, 'malformed-json', []],
  ['an empty body', 'create-customer', '', 400, 'malformed-json', []],
  ['an unquoted word', 'create-customer', `{"name": ${SECRET}}`, 400, 'malformed-json', []],
  ['two values', 'create-customer', `{} ${SECRET}`, 400, 'malformed-json', []],
  ['single quotes', 'create-customer', `{'name': '${SECRET}'}`, 400, 'malformed-json', []],
  ['NaN', 'create-customer', `{"name": NaN, "x": "${SECRET}"}`, 400, 'malformed-json', []],
  invalid('a list', 'create-customer', [SECRET], ['']),
  invalid('a text', 'create-customer', `"${SECRET}"`, ['']),
  invalid('null', 'create-customer', 'null', ['']),
  invalid('nothing that is needed', 'create-customer', {}, ['category', 'name']),
  invalid('every type wrong at once', 'create-customer', { category: [SECRET], name: { a: SECRET }, identifiers: SECRET, fields: [SECRET], contacts: { a: SECRET }, claim: SECRET, customerId: 7, enteredAt: 3, effectiveAt: SECRET }, ['category', 'claim', 'contacts', 'customerId', 'effectiveAt', 'enteredAt', 'fields', 'identifiers', 'name']),
  invalid('unknown fields, everywhere', 'create-customer', person({ nmae: SECRET, identifiers: [{ kind: 'mobile', value: '13800138000', note: SECRET }], contacts: [{ name: '某', phone: SECRET }] }), ['contacts/0/phone', 'identifiers/0/note', 'nmae']),
  wrongField('a field the category has not', withFields({ shoeSize: SECRET, constructor: SECRET }), ['fields/constructor', 'fields/shoeSize']),
  invalid('empty and blank texts', 'create-customer', { category: '', name: '   ', customerId: '', identifiers: [{ kind: 'mobile', value: '' }], contacts: [{ name: '' }] }, ['category', 'contacts/0/name', 'customerId', 'identifiers/0/value', 'name']),
  invalid('an empty reason', 'release-ownership', { customerId: 'mine', reason: ' ' }, ['reason']),
  invalid('too much of everything', 'create-customer', person({ name: SECRET.repeat(70), identifiers: Array.from({ length: 21 }, () => ({ kind: 'email', value: 'a@b.cn' })), contacts: Array.from({ length: 101 }, () => ({ name: '某' })) }), ['contacts', 'identifiers', 'name']),
  invalid('ids that are none', 'create-customer', person({ customerId: `../${SECRET}`, enteredBy: SECRET, category: 'a b' }), ['category', 'customerId', 'enteredBy']),
  invalid('an id that is too long', 'claim-ownership', { customerId: 'x'.repeat(65) }, ['customerId']),
  invalid('U+0000 in a value and in a key', 'create-customer', `{"category":"individual-retail","name":"${SECRET}\\u0000","fields":{"a\\u0000b":"x"}}`, ['fields/"a\\u0000b"', 'name']),
  invalid('half a surrogate pair', 'create-customer', `{"category":"individual-retail","name":"${SECRET}\\ud83d","contacts":[{"name":"\\udc00${SECRET}"}]}`, ['contacts/0/name', 'name']),
  invalid('__proto__', 'create-customer', `{"category":"individual-retail","name":"某","__proto__":{"claim":"${SECRET}"},"fields":{"__proto__":"${SECRET}"}}`, ['"__proto__"', 'fields/"__proto__"']),
  invalid('constructor and prototype', 'create-customer', `{"category":"individual-retail","name":"某","constructor":{"prototype":{"x":"${SECRET}"}}}`, ['constructor']),
  invalid('a hundred thousand lists in each other', 'create-customer', `{"category":"individual-retail","name":"某","fields":{"a":${nested(100_000)}}}`, ['fields/a/0/0']),
  invalid('a hundred thousand objects in each other', 'create-customer', `{"category":"individual-retail","name":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`, ['name/a/a/a']),
  invalid('depth in evidence', 'upgrade-tier', `{"customerId":"mine","to":"premier","basis":"spend","evidence":{"a":${nested(50_000)}}}`, ['evidence/a/0/0']),
  invalid('a kind of identifier there is not', 'create-customer', identifier('passport', SECRET), ['identifiers/0/kind']),
  invalid('an official number without its issuer', 'create-customer', identifier('other', SECRET), ['identifiers/0/issuer']),
  wrongField('a mobile that is none', identifier('mobile', `1380013800${SECRET}`), ['identifiers/0/value']),
  wrongField('a landline as a mobile', identifier('mobile', '010-62345678'), ['identifiers/0/value']),
  wrongField('an email that is none', identifier('email', `${SECRET}@`), ['identifiers/0/value']),
  wrongField('a credit code with a wrong check character', identifier('uscc', '91350100M000100Y44'), ['identifiers/0/value']),
  wrongField('a resident id with a wrong check digit', identifier('resident-id', '110105194912310021'), ['identifiers/0/value']),
  wrongField('a resident id with a birth date that never was', identifier('resident-id', '11010519490231002X'), ['identifiers/0/value']),
  wrongField('every identifier at once', person({ identifiers: [{ kind: 'mobile', value: '1' }, { kind: 'email', value: 'x' }, { kind: 'uscc', value: '2' }] }), ['identifiers/0/value', 'identifiers/1/value', 'identifiers/2/value']),
  wrongField('an id that tells the mobile', person({ customerId: 'c-13912345678', identifiers: [{ kind: 'mobile', value: '13912345678' }] }), ['customerId']),
  wrongField('fields of individuals', withFields({ birthday: '2026-02-30', importance: SECRET, sex: SECRET, source: 7, notes: ['x'] }), ['fields/birthday', 'fields/importance', 'fields/notes', 'fields/sex', 'fields/source']),
  wrongField('fields of enterprises', withFields({ homePage: `javascript:${SECRET}`, email: SECRET, companyPhone: SECRET, cooperationStart: '0000-01-01', salesModel: [SECRET], numberOfShops: SECRET }, 'enterprise'), ['fields/companyPhone', 'fields/cooperationStart', 'fields/email', 'fields/homePage', 'fields/numberOfShops', 'fields/salesModel']),
  wrongField('fields of contacts', person({ contacts: [{ name: '某', fields: { email: SECRET, role: SECRET, mobile: '12' } }] }), ['contacts/0/fields/email', 'contacts/0/fields/mobile', 'contacts/0/fields/role']),
  invalid('numbers beyond all measure', 'create-customer', '{"category":"enterprise","name":"某","fields":{"numberOfShops":1e400,"registeredCapital":{"amount":9007199254740993,"currency":"CNY"}}}', ['fields/numberOfShops', 'fields/registeredCapital/amount']),
  invalid('a sum in fractions, in no currency', 'change-authority-limit', { employeeId: 'zhao', authorityLimit: { amount: 0.1, currency: SECRET } }, ['authorityLimit/amount', 'authorityLimit/currency']),
  invalid('times that never were', 'create-customer', person({ enteredAt: '2026-02-30T00:00:00Z', effectiveAt: '2026-01-01T25:00:00Z' }), ['effectiveAt', 'enteredAt']),
  invalid('a time without its zone, a time beyond all years', 'create-customer', person({ enteredAt: '2026-01-01T00:00:00', effectiveAt: '+275760-09-13T00:00:00Z' }), ['effectiveAt', 'enteredAt']),
  ['a time to come', 'create-customer', person({ enteredAt: '2999-01-01T00:00:00Z', effectiveAt: '2999-01-01T00:00:00Z' }), 422, 'invalid-effective-time', ['effectiveAt', 'enteredAt']],
  invalid('a share with nobody', 'share-customer', { customerId: 'mine', access: 'read' }, ['employeeId']),
  invalid('a share with two', 'share-customer', { customerId: 'mine', employeeId: 'qian', departmentId: 'north', access: 'own' }, ['access', 'employeeId']),
  ['an unknown category', 'create-customer', person({ category: 'no-such' }), 422, 'unknown-reference', ['category']],
  ['an unknown customer', 'claim-ownership', { customerId: 'no-such' }, 404, 'customer-not-found', []],
  ['an unknown contact', 'change-contact', { customerId: 'mine', contactId: 'no-such', name: SECRET }, 404, 'contact-not-found', []],
  ['an unknown new owner', 'transfer-ownership', { customerId: 'mine', to: 'no-such', reason: SECRET }, 422, 'unknown-reference', ['to']],
  ['an unknown department to share with', 'share-customer', { customerId: 'mine', departmentId: 'no-such', access: 'read' }, 422, 'unknown-reference', ['departmentId']],
  ['an unknown stage', 'change-stage', { customerId: 'mine', to: 'no-such', reason: SECRET }, 422, 'unknown-reference', ['to']],
  ['an unknown tier and basis', 'upgrade-tier', { customerId: 'mine', to: 'no-such', basis: 'no-such', evidence: SECRET }, 422, 'unknown-reference', ['basis', 'to']],
  ['an unknown department of an employee', 'register-employee', { name: SECRET, departmentId: 'no-such' }, 422, 'unknown-reference', ['departmentId']],
  ['an unknown parent', 'register-department', { name: SECRET, parentId: 'no-such' }, 422, 'unknown-reference', ['parentId']],
  ['an unknown employee', 'depart-employee', { employeeId: 'no-such', reason: SECRET }, 404, 'employee-not-found', []],
  invalid('a kind of policy there is not', 'revise-policy', { policy: SECRET, value: {}, reason: '试' }, ['policy']),
  ['a policy that does not fit its kind', 'revise-policy', { policy: 'ownership', value: { backdatingDays: 1e9, note: SECRET }, reason: '试' }, 422, 'invalid-policy', ['value', 'value/backdatingDays']],
  invalid('a template that makes no sense', 'define-category', { categoryId: 'c', labels: { en: 'c', zh: '' }, criterion: { en: 'c' }, kind: 'ghost', template: { fields: [{ key: 'K', type: 'secret' }], contactFields: [] } }, ['criterion/zh', 'kind', 'labels/zh', 'template/fields/0/key', 'template/fields/0/labels', 'template/fields/0/listed', 'template/fields/0/personal', 'template/fields/0/requiredFrom', 'template/fields/0/type']),
]

describe('bodies that are not accepted', () => {
  let service: TestService
  let head: number
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null }, { zhao: 'north', qian: 'north' })
    await enter(service.as('clerk', 'zhao'), { customerId: 'mine' })
    head = await service.head()
  })
  afterAll(() => service.close())

  const json = { 'content-type': 'application/json' }
  const admins = ['register-employee', 'register-department', 'depart-employee', 'revise-policy', 'define-category', 'change-authority-limit']

  it.each(cases)('%s', async (_what, command, body, status, problem, paths) => {
    const sender = admins.includes(command) ? service.as('admin') : service.as('clerk', 'zhao')
    const answer = await sender.request('POST', `/commands/${command}`, { headers: json, body: typeof body === 'string' ? body : JSON.stringify(body) })
    const got = problemOf(answer)
    expect({ status: answer.status, problem: got.name, paths: [...new Set(got.errors.map((error) => error.path))].sort() }).toEqual({ status, problem, paths })
    expect(answer.text).not.toContain(SECRET)
    expect(await service.head()).toBe(head)
  })

  it('what is not UTF-8 is refused rather than stored as question marks', async () => {
    const gbk = Buffer.concat([Buffer.from('{"category":"individual-retail","name":"'), Buffer.from([0xcd, 0xf5]), Buffer.from('"}')])
    const answer = await service.as('clerk', 'zhao').request('POST', '/commands/create-customer', { headers: json, body: gbk })
    expect([answer.status, problemOf(answer).name]).toEqual([400, 'malformed-json'])
  })

  it('a would-be customer is checked as strictly', async () => {
    const answer = await service.as('clerk', 'zhao').post('/duplicates/check', { identifiers: [{ kind: 'mobile', value: SECRET }], nmae: SECRET, name: '' })
    expect([answer.status, problemOf(answer).errors.map((error) => error.path).sort(), answer.text.includes(SECRET)]).toEqual([422, ['name', 'nmae'], false])
    const digits = await service.as('clerk', 'zhao').post('/duplicates/check', { identifiers: [{ kind: 'uscc', value: '91350100M000100Y44' }] })
    expect([digits.status, problemOf(digits).errors.map((error) => error.path)]).toEqual([422, ['identifiers/0/value']])
  })

  it.each([['of 10 MB', 10_000_000], ['a byte over 1 MiB', 1_048_577]])('a body %s is refused', async (_what, size) => {
    const answer = await service.as('clerk', 'zhao').request('POST', '/commands/create-customer', { headers: json, body: `{"name":"${'x'.repeat(size - 11)}"}` })
    expect([answer.status, problemOf(answer).name]).toEqual([413, 'body-too-large'])
  })

  it('a body of 10 MB that does not say how long it is, is refused', async () => {
    const token = await service.token('clerk', 'zhao')
    const status = await new Promise<number | undefined>((resolve) => {
      const sending = request(`${service.url}/commands/create-customer`, { method: 'POST', headers: { ...json, authorization: `Bearer ${token}`, 'transfer-encoding': 'chunked' } }, (response) => resolve(response.resume().statusCode))
      // The service may hang up while this is still being sent.
      sending.on('error', () => undefined)
      Readable.from(Array.from({ length: 160 }, () => Buffer.alloc(65_536, 'x'))).pipe(sending)
    })
    expect(status).toBe(413)
  })

  it('a command whose events would be too large is refused, and writes nothing', async () => {
    const answer = await service.as('clerk', 'zhao').send('create-customer', person({ contacts: Array.from({ length: 60 }, () => ({ name: '某', fields: { notes: '长'.repeat(5000) } })) }))
    expect([answer.status, problemOf(answer).name]).toEqual([422, 'command-too-large'])
  })

  it('the log is as it was, and the service well', async () => {
    expect(await service.head()).toBe(head)
    expect((await service.with(undefined).get('/health/ready')).status).toBe(200)
  })
})
