import { createPublicKey, generateKeyPairSync, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { exportJWK, importPKCS8, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accepted, problemOf, startService, type Answer, type TestService } from '../support/http.ts'
import { enter, individual, organise } from './people.ts'

const SECRET = 'geheim13800138000'
const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('requests that are not accepted', () => {
  let service: TestService
  let head: number
  let place: string
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null }, { zhao: 'north' })
    const { position } = await enter(service.as('clerk', 'zhao'), { customerId: 'mine' })
    await service.as('system').get(`/customers/mine?after=${position}`)
    place = position.split('.')[0] ?? ''
    head = await service.head()
  })
  afterAll(() => service.close())

  /** What was refused, why, and which parameters were named; never with the bad value, and never in the log. */
  const refusal = async (answer: Answer, bad = SECRET) => {
    expect(answer.text).not.toContain(bad)
    expect(await service.head()).toBe(head)
    const { name, errors } = problemOf(answer)
    return [answer.status, name, errors.map((error) => error.path).sort()]
  }

  describe('for their token', () => {
    const claims = { sub: 'zhao', employeeId: 'zhao', role: 'clerk', iss: 'kehu', iat: 1_700_000_000, exp: 4_000_000_000 }
    const sign = async (payload: object, pem = service.core.secrets.signingKey ?? '', header: object = {}) => new SignJWT({ ...payload }).setProtectedHeader({ ...header, alg: 'EdDSA' }).sign(await importPKCS8(pem, 'EdDSA'))
    const pemOf = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const publicPem = () => createPublicKey(service.core.secrets.signingKey ?? '').export({ type: 'spki', format: 'pem' }).toString()
    const hs256 = (key: string) => {
      const content = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64(claims)}`
      return `${content}.${createHmac('sha256', key).update(content).digest('base64url')}`
    }
    const bearers: Record<string, () => string | undefined | Promise<string | undefined>> = {
      'no token': () => undefined,
      'an empty token': () => '',
      garbage: () => SECRET,
      'three parts of garbage': () => 'a.b.c',
      'a token that has expired': () => sign({ ...claims, exp: 1_700_000_001 }),
      'a token that is not valid yet': () => sign({ ...claims, nbf: 3_900_000_000 }),
      'algorithm none': () => `${base64({ alg: 'none' })}.${base64(claims)}.`,
      'algorithm none, with something for a signature': () => `${base64({ alg: 'none' })}.${base64(claims)}.AAAA`,
      'HS256 with the public key': () => hs256(publicPem()),
      'another key': () => sign(claims, pemOf()),
      'another key, sent along': async () => sign(claims, pemOf(), { jwk: await exportJWK(generateKeyPairSync('ed25519').publicKey) }),
      'another issuer': () => sign({ ...claims, iss: 'somebody' }),
      'no issuer': () => sign({ ...claims, iss: undefined }),
      'an unknown employee': () => sign({ ...claims, sub: 'nobody', employeeId: 'nobody' }),
      'a role there is not': () => sign({ ...claims, role: 'owner' }),
      'no role': () => sign({ ...claims, role: undefined }),
      'no employee': () => sign({ ...claims, employeeId: undefined }),
      'an employee other than the subject': () => sign({ ...claims, sub: 'admin' }),
      'no subject': () => sign({ ...claims, sub: undefined }),
      'another payload under the same signature': async () => (await sign(claims)).replace(/\.[^.]+\./, `.${base64({ ...claims, role: 'auditor' })}.`),
      'a signature cut short': async () => (await sign(claims)).slice(0, -4),
    }
    it.each(Object.keys(bearers))('%s', async (name) => {
      const token = await bearers[name]?.()
      for (const answer of [await service.with(token).get('/customers/mine'), await service.with(token).send('create-customer', individual())]) {
        expect(await refusal(answer, token || SECRET)).toEqual([401, 'unauthenticated', []])
        expect(answer.headers.get('www-authenticate')).toBe('Bearer')
      }
    })

    it('a token signed as above, and right in everything, is accepted', async () => {
      expect((await service.with(await sign(claims)).get('/customers/mine')).status).toBe(200)
    })

    it('a token that was accepted is refused once it has expired', async () => {
      const token = await sign({ ...claims, exp: Math.floor(Date.now() / 1000) + 2 })
      expect((await service.with(token).get('/customers/mine')).status).toBe(200)
      const answers = []
      for (let status = 200; status === 200; await new Promise((resolve) => setTimeout(resolve, 100))) answers.push((status = (await service.with(token).get('/customers/mine')).status))
      expect(answers.at(-1)).toBe(401)
    })

    it('another scheme of authorization', async () => {
      const token = await service.token('clerk', 'zhao')
      for (const authorization of [`Basic ${token}`, token, `Bearer ${token} ${token}`, `Bearer  ${token}`]) expect([authorization.slice(0, 8), (await service.with(undefined).get('/customers', { authorization })).status]).toEqual([authorization.slice(0, 8), 401])
    })
  })

  it.each<[string, Record<string, string>, string, string[]]>([
    ['If-Match that is no ETag', { 'if-match': SECRET }, '', ['If-Match']],
    ['an empty If-Match', { 'if-match': '' }, '', ['If-Match']],
    ['If-Match beyond all revisions', { 'if-match': '"99999999999999999999"' }, '', ['If-Match']],
    ['If-Match of an ETag list', { 'if-match': '"1", "2"' }, '', ['If-Match']],
    ['an empty Idempotency-Key', { 'idempotency-key': '' }, '', ['idempotency-key', 'idempotency-key']],
    ['an Idempotency-Key over 200 characters', { 'idempotency-key': SECRET.repeat(20) }, '', ['idempotency-key']],
    ['an Idempotency-Key that is not ASCII', { 'idempotency-key': `${SECRET}é` }, '', ['idempotency-key']],
    ['On-Behalf-Of that is no id', { 'on-behalf-of': `${SECRET} x` }, '', ['On-Behalf-Of']],
    ['On-Behalf-Of over 64 characters', { 'on-behalf-of': SECRET.repeat(5) }, '', ['on-behalf-of']],
    ['dryRun neither true nor false', {}, `?dryRun=${SECRET}`, ['dryRun']],
    ['dryRun twice', {}, '?dryRun=true&dryRun=false', ['dryRun']],
    ['an unknown parameter', {}, `?dryrun=${SECRET}`, ['dryrun']],
  ])('%s', async (_what, headers, query, paths) => {
    expect(await refusal(await service.as('system').post(`/commands/create-customer${query}`, individual({ claim: false }), headers))).toEqual([400, 'invalid-parameters', paths])
  })

  it('a traceparent that is none is passed over: it is the tracing’s, not the command’s', async () => {
    expect(accepted(await service.as('clerk', 'zhao').send('claim-ownership', { customerId: 'mine' }, { dryRun: true, headers: { traceparent: SECRET } })).events).toEqual([])
  })

  const list = '/customers?'
  const history = '/customers/mine/ownership?'
  it.each<[string, string, string, string[]]>([
    ['a position that is none', `${list}after=${SECRET}`, 'invalid-position', ['after']],
    ['a position of another log', `${list}after=${crypto.randomUUID()}.1`, 'invalid-position', ['after']],
    ['a position beyond all numbers', `${list}after=PLACE.9999999999999999999`, 'invalid-position', ['after']],
    ['a position for a list read from the log', `/policies?after=${SECRET}`, 'invalid-position', ['after']],
    ['a cursor that is none', `${list}cursor=${SECRET}`, 'invalid-parameters', ['cursor']],
    ['a cursor beyond all numbers', `${list}cursor=9999999999999999999`, 'invalid-parameters', ['cursor']],
    ['a cursor below zero', `${list}cursor=-1`, 'invalid-parameters', ['cursor']],
    ['limits of none, too many, a fraction, a word', `${list}limit=0`, 'invalid-parameters', ['limit']],
    ['a limit over 500', `${list}limit=501`, 'invalid-parameters', ['limit']],
    ['a limit in fractions', `${list}limit=1.5`, 'invalid-parameters', ['limit']],
    ['a limit in words', `${list}limit=${SECRET}`, 'invalid-parameters', ['limit']],
    ['a parameter twice', `${list}limit=1&limit=2`, 'invalid-parameters', ['limit']],
    ['everything wrong at once', `${list}limit=x&cursor=y&ownerId=%20&foo=${SECRET}`, 'invalid-parameters', ['cursor', 'foo', 'limit', 'ownerId']],
    ['an empty search', `${list}q=%20`, 'invalid-parameters', ['q']],
    ['a search that is too long', `${list}q=${SECRET.repeat(10)}`, 'invalid-parameters', ['q']],
    ['U+0000 in a search', `${list}q=${SECRET}%00`, 'invalid-parameters', ['q']],
    ['U+0000 in a filter', `${list}stage=${SECRET}%00`, 'invalid-parameters', ['stage']],
    ['an identifier without its kind', `${list}identifier=${SECRET}`, 'invalid-parameters', ['identifier']],
    ['an identifier that is none', `${list}identifier=mobile:${SECRET}`, 'invalid-parameters', ['identifier']],
    ['an identifier with a wrong check digit', `${list}identifier=resident-id:110105194912310021`, 'invalid-parameters', ['identifier']],
    ['a day that never was', `${history}asOf=2026-02-30`, 'invalid-parameters', ['asOf']],
    ['a day before all years', `${history}asOf=0000-01-01`, 'invalid-parameters', ['asOf']],
    ['a day after all years', `${history}asOf=9999-12-31`, 'invalid-parameters', ['asOf']],
    ['a time in words', `${history}asOf=${SECRET}`, 'invalid-parameters', ['asOf']],
    ['a time without its zone', `${history}knownAt=2026-01-01T00:00:00`, 'invalid-parameters', ['knownAt']],
    ['knownAt at no position of this log', `${history}knownAt=${SECRET}.1`, 'invalid-position', ['knownAt']],
    ['an id that is none', `/customers/${SECRET}%20x`, 'invalid-parameters', ['customerId']],
    ['U+0000 in an id', `/customers/${SECRET}%00`, 'invalid-parameters', ['customerId']],
    ['an id that is far too long', `/customers/${SECRET.repeat(20)}`, 'invalid-parameters', []],
    ['a percent sign that stands for nothing', `/customers/${SECRET}%ZZ`, 'invalid-parameters', []],
    ['half a character', `/customers/${SECRET}%E0%A4%A`, 'invalid-parameters', []],
    ['a command that is no UUID', `/commands/${SECRET}`, 'invalid-parameters', ['commandId']],
    ['an analyst’s period in words', `/analytics/lifecycle/transitions?from=${SECRET}`, 'invalid-parameters', ['from']],
  ])('%s', async (_what, path, problem, paths) => {
    expect(await refusal(await service.as('system').get(path.replace('PLACE', place)))).toEqual([400, problem, paths])
  })

  it.each([
    ['a cursor of events below zero', '/customers/mine/events?cursor=-1', ['cursor']],
    ['a cursor of events beyond all revisions', '/customers/mine/events?cursor=9007199254740991', ['cursor']],
    ['a cursor of reads that is no UUID', `/audit/reads?cursor=${SECRET}`, ['cursor']],
  ])('%s', async (_what, path, paths) => {
    expect(await refusal(await service.as('auditor').get(path))).toEqual([400, 'invalid-parameters', paths])
  })

  it('a customer, category or policy there is not', async () => {
    for (const path of ['/customers/no-such', '/customers/no-such/ownership', '/customers/no-such/lifecycle', '/categories/no-such', '/policies/no-such']) expect([path, ...(await refusal(await service.as('system').get(path), 'such"'))]).toEqual([path, 404, 'not-found', []])
  })

  it('a position that has not come yet is waited for, then 503 with the time to come back', async () => {
    const quick = await startService({ KEHU_READ_WAIT_MS: '50' })
    const { position } = await enter(quick.as('clerk'))
    const answer = await quick.as('clerk').get(`/customers?after=${position.split('.')[0] ?? ''}.100000`)
    expect([answer.status, problemOf(answer).name, answer.headers.get('retry-after')]).toEqual([503, 'not-caught-up', '1'])
    await quick.close()
  })

  it.each([
    ['form data', 'application/x-www-form-urlencoded'], ['plain text', 'text/plain'], ['NDJSON to one command', 'application/x-ndjson'], ['no type at all', ''],
  ])('%s as a content type', async (_what, type) => {
    const answer = await service.as('clerk', 'zhao').request('POST', '/commands/create-customer', { headers: type === '' ? {} : { 'content-type': type }, body: new TextEncoder().encode(`name=${SECRET}`) })
    expect(await refusal(answer)).toEqual([415, 'unsupported-media-type', []])
  })

  it('an address there is not, and a method an address does not take', async () => {
    const clerk = service.as('clerk', 'zhao')
    for (const [method, path] of [['GET', `/${SECRET}`], ['POST', `/commands/${SECRET}`], ['GET', '/customers/mine/nothing'], ['DELETE', '/nowhere']] as const) {
      const answer = await clerk.request(method, path)
      expect([method, path, await refusal(answer)]).toEqual([method, path, [404, 'not-found', []]])
    }
    for (const [method, path, allow] of [['DELETE', '/customers', 'GET, HEAD'], ['PUT', '/customers/mine', 'GET, HEAD'], ['PATCH', '/commands/create-customer', 'POST'], ['DELETE', `/commands/${crypto.randomUUID()}`, 'GET, HEAD'], ['POST', '/customers/mine/ownership', 'GET, HEAD'], ['GET', '/commands', 'POST'], ['PUT', '/duplicates/check', 'POST']] as const) {
      const answer = await clerk.request(method, path)
      expect([method, path, await refusal(answer), answer.headers.get('allow')]).toEqual([method, path, [405, 'method-not-allowed', []], allow])
    }
  })

  it.each([['what is not HTTP', `GET /customers?q=${SECRET} and more HTTP/1.1\r\nhost: x\r\n\r\n`, 400], ['headers that are too large', `GET / HTTP/1.1\r\nhost: x\r\nx-${SECRET}: ${'x'.repeat(30_000)}\r\n\r\n`, 431]])('%s', async (_what, sent, status) => {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1')
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString())).on('error', () => undefined)
    socket.write(sent)
    await once(socket, 'close')
    expect([text.split('\r\n')[0]?.slice(0, 12), text.includes('/docs/problems/invalid-parameters'), text.includes(SECRET)]).toEqual([`HTTP/1.1 ${status}`, true, false])
  })

  it('the log is as it was, and the service well', async () => {
    expect(await service.head()).toBe(head)
    expect((await service.with(undefined).get('/health/ready')).status).toBe(200)
  })
})
