import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accepted, startService, type Sender, type TestService } from '../support/http.ts'
import { enter, idsOf, individual, itemsOf, nextMobile, organise, read, refused } from './people.ts'

const Reads = z.object({ items: z.array(z.looseObject({ actor: z.string(), role: z.string(), route: z.string(), parameters: z.record(z.string(), z.string()) })) })
const Attempts = z.object({ items: z.array(z.looseObject({ actor: z.string(), command: z.string(), problem: z.string(), ranInto: z.looseObject({}) })) })

describe('each sees what they may', () => {
  let service: TestService
  let zhao: Sender
  let li: Sender
  beforeAll(async () => {
    service = await startService()
    await organise(service, { hq: null, north: 'hq', south: 'hq', 'south-1': 'south' }, { zhao: 'north', wu: 'north', li: 'south', sun: 'south', zhou: 'south-1', southerner: 'south', chief: 'hq' })
    zhao = service.as('clerk', 'zhao')
    li = service.as('clerk', 'li')
  })
  afterAll(() => service.close())

  /** A customer with everything in it, owned by li in the south. */
  const makeFull = async () => {
    const mobile = nextMobile()
    const made = await enter(li, {
      name: '上官婉儿', identifiers: [{ kind: 'mobile', value: mobile }, { kind: 'email', value: `w${mobile.slice(-8)}@example.com` }],
      fields: { source: 'referral', address: '长安大明宫', importance: 'A' }, contacts: [{ name: '太平公主', fields: { mobile: '13311112222', role: 'influencer' } }],
    })
    return { ...made, mobile }
  }

  it('a colleague outside sees that it exists, the first character of the name, category, owner and department', async () => {
    const { customerId, position, mobile } = await makeFull()
    const { ownerSince } = await read(li, customerId, position)
    const known = { customerId, category: 'individual-retail', ownerId: 'li', ownerSince, lastOwnerId: 'li', departmentId: 'south', revision: 1 }
    const nothing = { full: false, name: '上**', stage: null, tier: null, enteredAt: null, fields: {} }
    const one = (await zhao.get(`/customers/${customerId}?after=${position}`)).json
    expect(one).toEqual({ ...known, ...nothing, enteredBy: null, changedAt: null, identifiers: [], contacts: [], shares: [], absorbed: [], mergedInto: null, asOf: expect.anything() })
    expect(itemsOf(await zhao.get(`/customers?identifier=mobile:${mobile.slice(3)}`))).toEqual([{ ...known, ...nothing }])
    expect((await zhao.post(`/duplicates/check?after=${position}`, { identifiers: [{ kind: 'mobile', value: mobile }] })).json).toMatchObject({ candidates: [{ customerId, name: '上**', full: false, ownerId: 'li', since: ownerSince }] })
    for (const history of ['ownership', 'lifecycle']) expect(refused(await zhao.get(`/customers/${customerId}/${history}`), 403, 'read-not-permitted')['ownerId']).toBe('li')
    const csv = await zhao.get(`/customers?identifier=mobile:${mobile.slice(3)}`, { accept: 'text/csv' })
    expect(csv.text.split('\n')[1]).toBe(`${customerId},false,上**,individual-retail,li,${ownerSince},li,south,,,,1`)
  })

  it('seen in full: by the owner, the department, a manager above, who it is shared with, systems and auditors', async () => {
    const { customerId, position } = await makeFull()
    const full = async (sender: Sender) => (await read(sender, customerId, position))['full']
    expect([await full(li), await full(service.as('clerk', 'sun')), await full(service.as('manager', 'chief')), await full(service.as('system')), await full(service.as('auditor'))]).toEqual([true, true, true, true, true])
    expect([await full(zhao), await full(service.as('clerk', 'chief')), await full(service.as('clerk', 'zhou')), await full(service.as('manager', 'zhou')), await full(service.as('manager', 'zhao'))]).toEqual([false, false, false, false, false])
    const shared = accepted(await li.send('share-customer', { customerId, employeeId: 'zhao', access: 'read' }))
    expect(await read(zhao, customerId, shared.position)).toMatchObject({ full: true, name: '上官婉儿', contacts: [{ name: '太平公主' }] })
    const both = accepted(await li.send('share-customer', { customerId, departmentId: 'south', access: 'read' }))
    expect(await read(service.as('clerk', 'zhou'), customerId, both.position)).toMatchObject({ full: true })
    // In the pool it is still the last owner's department's.
    const pooled = accepted(await li.send('release-ownership', { customerId, reason: '试' }))
    expect([await read(service.as('clerk', 'sun'), customerId, pooled.position), await read(service.as('clerk', 'chief'), customerId)]).toMatchObject([{ full: true, ownerId: null, departmentId: 'south' }, { full: false, ownerId: null, departmentId: 'south' }])
  })

  it('q never finds what one does not see in full, alone or beside a whole identifier', async () => {
    const { customerId, position, mobile } = await makeFull()
    const wu = service.as('clerk', 'wu')
    for (const q of ['上官婉儿', '上官', 'shangguan', 'sgwe', mobile.slice(-6), '太平', 'taiping', '13311112222']) {
      const term = encodeURIComponent(q)
      expect(idsOf(await li.get(`/customers?after=${position}&q=${term}`))).toContain(customerId)
      expect(itemsOf(await wu.get(`/customers?q=${term}`))).toEqual([])
    }
    // Each of these would tell something of a customer that only its whole identifier finds.
    for (const filter of ['q=上官', 'stage=target', 'tier=standard']) {
      expect([filter, itemsOf(await wu.get(`/customers?identifier=mobile:${mobile.slice(3)}&${filter}`))]).toEqual([filter, []])
      expect([filter, idsOf(await li.get(`/customers?identifier=mobile:${mobile.slice(3)}&${filter}`))]).toEqual([filter, [customerId]])
    }
    for (const filter of ['ownerId=li', 'departmentId=south', 'category=individual-retail']) expect(itemsOf(await wu.get(`/customers?${filter}`))).toEqual([])
  })

  it('look-ups that find nothing one sees are limited, in every format and all at once; what one sees is not counted', async () => {
    const { mobile: theirs } = await makeFull()
    await organise(service, {}, { prober: 'north' })
    const prober = service.as('clerk', 'prober')
    const mine = nextMobile()
    const { position } = await enter(prober, { identifiers: [{ kind: 'mobile', value: mine }] })
    for (let index = 0; index < 40; index += 1) expect((await prober.get(`/customers?identifier=mobile:${mine.slice(3)}&after=${position}`)).status).toBe(200)
    const accepts = ['application/json', 'text/csv', 'application/x-ndjson']
    const answers = await Promise.all(Array.from({ length: 45 }, (_, index) => prober.get(`/customers?identifier=mobile:${index % 2 ? nextMobile().slice(3) : theirs.slice(3)}`, { accept: accepts[index % 3] ?? '' })))
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(30)
    for (const answer of answers.filter((one) => one.status !== 200)) {
      refused(answer, 429, 'rate-limited')
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    refused(await prober.post('/duplicates/check', { identifiers: [{ kind: 'mobile', value: theirs }] }), 429, 'rate-limited')
    // Whoever looks for no identifier is not held up, and nobody else is.
    expect((await prober.get('/customers?q=上')).status).toBe(200)
    expect((await zhao.get(`/customers?identifier=mobile:${theirs.slice(3)}`)).status).toBe(200)
    expect((await service.as('system').get(`/customers?identifier=mobile:${theirs.slice(3)}`)).status).toBe(200)
  })

  it('each identifier of a duplicates check counts as a look-up', async () => {
    await organise(service, {}, { checker: 'north' })
    const checker = service.as('clerk', 'checker')
    const check = () => checker.post('/duplicates/check', { identifiers: Array.from({ length: 20 }, () => ({ kind: 'mobile', value: nextMobile() })) })
    expect((await check()).status).toBe(200)
    refused(await check(), 429, 'rate-limited')
  })

  it('a departed employee is refused at once, though the token has not expired', async () => {
    const southerner = service.as('clerk', 'southerner')
    const { customerId } = await enter(southerner)
    const { position } = accepted(await service.as('admin').send('depart-employee', { employeeId: 'southerner', reason: '跳槽' }))
    refused(await southerner.get('/customers'), 401, 'unauthenticated')
    refused(await southerner.send('change-profile', { customerId, name: '最后一改' }), 401, 'unauthenticated')
    refused(await service.as('system').send('create-customer', individual(), { onBehalfOf: 'southerner' }), 409, 'employee-departed')
    const other = await enter(li)
    refused(await li.send('transfer-ownership', { customerId: other.customerId, to: 'southerner', reason: '试' }), 409, 'employee-departed')
    // The data stays: the department goes on with it.
    expect(await read(service.as('clerk', 'sun'), customerId, position)).toMatchObject({ full: true, ownerId: 'southerner', departmentId: 'south' })
  })

  it('every read of an auditor and an analyst is on record; what was searched for only as a keyed hash', async () => {
    const { customerId, mobile } = await makeFull()
    const auditor = service.as('auditor')
    const asked = [
      ['GET /customers', `/customers?q=${encodeURIComponent('上官婉儿')}&stage=target`], ['GET /customers', `/customers?identifier=mobile:${mobile.slice(3)}`], ['GET /customers/:customerId', `/customers/${customerId}`],
      ['GET /customers/:customerId/ownership', `/customers/${customerId}/ownership?asOf=2026-03-03`], ['GET /customers/:customerId/events', `/customers/${customerId}/events`], ['GET /employees', '/employees'], ['GET /audit/attempts', '/audit/attempts?limit=1'],
      ['GET /commands/:commandId', `/commands/${crypto.randomUUID()}`], ['GET /projections', '/projections'], ['GET /metrics', '/metrics'], ['GET /customers', '/customers?stage=%E4%B8%8A%E5%AE%98'],
    ] as const
    for (const [, path] of asked) await auditor.get(path)
    await auditor.post('/duplicates/check', { identifiers: [{ kind: 'mobile', value: mobile }] })
    await service.as('analyst').get('/analytics/lifecycle/standing')
    await service.as('analyst').get(`/customers?q=${encodeURIComponent('上官婉儿')}`)
    const { items } = Reads.parse((await auditor.get(`/audit/reads?limit=${asked.length + 4}`)).json)
    expect(items.map((item) => [item.role, item.route])).toEqual([
      ...asked.map(([route]) => ['auditor', route]), ['auditor', 'POST /duplicates/check'], ['analyst', 'GET /analytics/lifecycle/standing'], ['analyst', 'GET /customers'], ['auditor', 'GET /audit/reads'],
    ].reverse())
    const [byQ, byIdentifier, , , , , , , , , byStage] = items.toReversed()
    expect(byQ?.parameters).toMatchObject({ q: expect.stringMatching(/^hash:[0-9a-f]{64}$/), stage: 'target' })
    expect(byIdentifier?.parameters).toMatchObject({ identifier: expect.stringMatching(/^hash:[0-9a-f]{64}$/) })
    expect(byStage?.parameters).toMatchObject({ stage: expect.stringMatching(/^hash:/) })
    expect(JSON.stringify(items)).not.toMatch(new RegExp(`上官|${mobile.slice(3)}`))
    // The same term has the same hash: who searched for whom can be told by who knows the name.
    expect(items[1]?.parameters['q']).toBe(byQ?.parameters['q'])
    const before = Reads.parse((await auditor.get('/audit/reads?limit=1')).json).items[0]
    await zhao.get('/customers')
    expect(Reads.parse((await auditor.get('/audit/reads?limit=2')).json).items[1]).toEqual(before)
  })

  it('refused attempts are on record: duplicates, claims on owned customers, wrong roles', async () => {
    const { customerId, mobile } = await makeFull()
    await zhao.send('create-customer', individual({ identifiers: [{ kind: 'mobile', value: mobile }] }))
    await zhao.send('claim-ownership', { customerId })
    await zhao.send('downgrade-tier', { customerId, to: 'standard', basis: 'correction', evidence: '试' })
    const { items } = Attempts.parse((await service.as('auditor').get('/audit/attempts?limit=3')).json)
    expect(items.reverse()).toMatchObject([
      { actor: 'zhao', command: 'create-customer', problem: 'duplicate-customer', ranInto: { holder: { customerId, ownerId: 'li' }, identities: [expect.stringMatching(/^mobile-v1-[0-9a-f]{64}$/)] } },
      { actor: 'zhao', command: 'claim-ownership', problem: 'already-owned', stream: `customer-${customerId}`, ranInto: { owner: { ownerId: 'li' } } },
      { actor: 'zhao', command: 'downgrade-tier', problem: 'role-not-permitted', ranInto: {} },
    ])
    expect(JSON.stringify(items)).not.toContain(mobile.slice(3))
  })
})
