import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { portfolioByReplay } from '../../src/cli/replay.ts'
import { accepted, problemOf, startService, type TestService } from '../support/http.ts'
import { enter, organise } from './people.ts'

const History = z.object({ items: z.array(z.object({ id: z.string(), correctedBy: z.string().nullable(), position: z.string(), stream: z.string(), type: z.string(), what: z.string(), actor: z.string(), why: z.unknown(), policies: z.array(z.object({ name: z.string() })), evidence: z.unknown() })) })
const Portfolio = z.looseObject({ at: z.string(), owners: z.array(z.string()), count: z.number(), items: z.array(z.looseObject({ customerId: z.string(), since: z.string() })) })
const Changes = z.looseObject({ counts: z.object({ gained: z.number(), lost: z.number(), kept: z.number() }), items: z.array(z.object({ customerId: z.string(), change: z.string(), from: z.string().nullable(), to: z.string().nullable() })) })
const Recorded = z.object({ items: z.array(z.looseObject({ actor: z.string(), route: z.string().default(''), problem: z.string().default(''), parameters: z.record(z.string(), z.string()).default({}) })) })

describe('what an auditor asks', () => {
  let service: TestService
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, 'north-1': 'north', south: null }, { zhao: 'north-1', qian: 'north', li: 'south', boss: 'north' })
  })
  afterAll(() => service.close())

  it('the history of a customer, in words, in either language, page by page and exported', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId } = await enter(zhao)
    accepted(await zhao.send('upgrade-tier', { customerId, to: 'preferred', basis: 'spend', evidence: { amount: 30 } }))
    accepted(await zhao.send('record-purchase', { customerId, purchaseId: 'p-1', at: new Date().toISOString(), amount: { amount: 12_50, currency: 'CNY' }, lines: [{ product: 'tea', quantity: 2, amount: { amount: 12_50, currency: 'CNY' } }] }))
    accepted(await zhao.send('lodge-complaint', { customerId, class: 'service', severity: 'minor', channel: 'phone', description: '等了两个小时' }))
    const { position } = accepted(await zhao.send('transfer-ownership', { customerId, to: 'qian', reason: '区域调整' }))
    const auditor = service.as('auditor')
    const path = `/customers/${customerId}/history?after=${position}`
    const zh = await auditor.get(path, { 'accept-language': 'zh-CN,zh;q=0.9' })
    expect(zh.headers.get('content-language')).toBe('zh')
    const whole = History.parse(zh.json).items
    expect(whole.find((one) => one.type === 'OwnershipTransferred')).toMatchObject({ what: '由 zhao 转交给 qian', why: '区域调整', actor: 'zhao', policies: [{ name: 'ownership' }], evidence: null })
    expect(whole.find((one) => one.type === 'TierUpgraded')).toMatchObject({ evidence: { amount: 30 }, policies: expect.arrayContaining([{ name: 'tiers' }]) })
    expect(new Set(whole.map((one) => one.stream.split('-')[0]))).toEqual(new Set(['customer', 'purchases', 'complaint']))
    // English in pages of two: the same events, none twice.
    const told: string[] = []
    for (let next: string | undefined = `${path}&language=en&limit=2`; next !== undefined; ) {
      const page = await auditor.get(next, { 'accept-language': 'zh' })
      told.push(...History.parse(page.json).items.map((one) => `${one.position} ${one.what}`))
      next = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1]
    }
    expect(told.map((one) => one.split(' ')[0])).toEqual(whole.map((one) => one.position))
    expect(told.join()).toContain('Transferred from zhao to qian')
    const csv = await auditor.get(`${path}&language=en`, { accept: 'text/csv' })
    expect(csv.text.split('\n')[0]).toBe('recordedAt,effectiveAt,what,actor,onBehalfOf,why,policies,evidence,type,stream,revision,position,id,correctedBy')
    expect(csv.text).toContain('Bought for 12.50 CNY (p-1): tea × 2')
    // Who sees the customer in full reads it too; a colleague elsewhere does not.
    expect((await service.as('clerk', 'qian').get(path)).status).toBe(200)
    expect(problemOf(await service.as('clerk', 'li').get(path)).name).toBe('read-not-permitted')
    expect(problemOf(await auditor.get(`${path}&language=fr`)).name).toBe('invalid-parameters')
    expect((await auditor.get('/customers/nobody/history')).status).toBe(404)
  })

  it('a wrong entry and its correction, both on record, by who may direct those concerned', async () => {
    const boss = service.as('manager', 'boss')
    const { customerId } = await enter(service.as('clerk', 'zhao'))
    const wrong = accepted(await boss.send('transfer-ownership', { customerId, to: 'li', reason: '区域调整' }))
    accepted(await service.as('system').send('transfer-ownership', { customerId, to: 'zhao', reason: '录错' }))
    const auditor = service.as('auditor')
    const history = async (position: string) => History.parse((await auditor.get(`/customers/${customerId}/history?after=${position}&language=zh`)).json).items
    const corrects = (await history(wrong.position)).find((one) => one.type === 'OwnershipTransferred')?.id
    const correction = { customerId, corrects, ownerId: 'qian', reason: '选错了人' }
    // Whom li held is not theirs to say who lead the north.
    expect(problemOf(await boss.send('correct-ownership', correction)).name).toBe('not-permitted')
    expect(problemOf(await service.as('clerk', 'zhao').send('correct-ownership', correction)).name).toBe('role-not-permitted')
    const { position } = accepted(await service.as('system').send('correct-ownership', correction))
    const told = await history(position)
    const corrected = told.find((one) => one.type === 'OwnershipCorrected')
    expect(corrected).toMatchObject({ what: '更正归属记录（第 2 号）：应为 qian，而非 li', why: '选错了人', correctedBy: null })
    expect(told.find((one) => one.id === corrects)).toMatchObject({ what: '由 zhao 转交给 li', correctedBy: corrected?.id })
    const { periods } = z.object({ periods: z.array(z.object({ ownerId: z.string().nullable(), basis: z.string() })) }).parse((await auditor.get(`/customers/${customerId}/ownership?after=${position}`)).json)
    expect(periods.map(({ ownerId, basis }) => [ownerId, basis])).toEqual([['zhao', 'first-entry'], ['qian', 'correction'], ['zhao', 'transfer']])
    const again = await service.as('system').send('correct-ownership', { ...correction, ownerId: 'boss' })
    expect(problemOf(again)).toMatchObject({ name: 'already-corrected' })
    expect(again.json).toMatchObject({ correctedBy: corrected?.id })
    // The correction itself is corrected; what came last still decides who holds it.
    const { position: last } = accepted(await service.as('system').send('correct-ownership', { ...correction, corrects: corrected?.id, ownerId: null }))
    expect((await auditor.get(`/customers/${customerId}?after=${last}`)).json).toMatchObject({ ownerId: 'zhao' })
    expect((await history(last)).filter((one) => one.correctedBy !== null)).toHaveLength(2)
  })

  it('whose portfolio was what at a time, and what changed, by employee and by department as it was then', async () => {
    const li = service.as('clerk', 'li')
    const importer = service.as('system')
    const [one, two, three] = [await enter(li), await enter(li), await enter(li)].map(({ customerId }) => customerId)
    const before = new Date().toISOString()
    accepted(await importer.send('transfer-ownership', { customerId: one, to: 'zhao', reason: '区域调整' }))
    const moved = accepted(await importer.send('release-ownership', { customerId: two, reason: '不再跟进' }))
    const auditor = service.as('auditor')
    const portfolio = async (path: string) => Portfolio.parse((await auditor.get(`${path}${path.includes('?') ? '&' : '?'}after=${moved.position}`)).json)
    expect(await portfolio(`/employees/li/portfolio?asOf=${before}`)).toMatchObject({ count: 3, owners: ['li'] })
    const now = await portfolio('/employees/li/portfolio')
    expect(now.items.map((item) => item.customerId)).toEqual([three])
    expect(now.items.map(({ customerId, since }) => ({ customerId, since }))).toEqual((await portfolioByReplay(service.core, 'li', {})).map(({ customerId, since }) => ({ customerId, since })))
    // As the log knew it before, whatever has been entered since.
    expect((await portfolio(`/employees/li/portfolio?knownAt=${before}`)).count).toBe(3)
    const differences = await auditor.get(`/departments/south/portfolio?from=${before}&to=${new Date().toISOString()}&after=${moved.position}`)
    expect(Changes.parse(differences.json).counts).toEqual({ gained: 0, lost: 2, kept: 1 })
    const lost = await auditor.get(`/employees/li/portfolio?from=${before}&to=${new Date().toISOString()}&change=lost&after=${moved.position}`, { accept: 'text/csv' })
    expect(lost.text.trim().split('\n').toSorted()).toEqual(['customerId,change,from,to', ...[one, two].map((id) => `${id},lost,li,`)].toSorted())
    // Once li has moved north, whom li holds belongs there, and belonged to the south before.
    const instant = new Date().toISOString()
    accepted(await service.as('admin').send('move-employee', { employeeId: 'li', departmentId: 'north-1' }))
    expect((await portfolio('/departments/north/portfolio')).owners).toContain('li')
    expect((await portfolio('/departments/south/portfolio')).count).toBe(0)
    expect(await portfolio(`/departments/south/portfolio?asOf=${instant}`)).toMatchObject({ owners: ['li'], count: 1 })
    accepted(await service.as('admin').send('move-employee', { employeeId: 'li', departmentId: 'south' }))

    expect(problemOf(await service.as('clerk', 'zhao').get('/employees/li/portfolio')).name).toBe('read-not-permitted')
    expect((await service.as('clerk', 'li').get('/employees/li/portfolio')).status).toBe(200)
    expect((await service.as('manager', 'boss').get('/departments/north-1/portfolio')).status).toBe(200)
    expect(problemOf(await service.as('manager', 'boss').get('/departments/south/portfolio')).name).toBe('read-not-permitted')
    for (const wrong of ['?from=2026-01-01', '?asOf=2026-01-01&from=2026-01-01&to=2026-01-02', '?change=lost', '?asOf=yesterday']) expect(problemOf(await auditor.get(`/employees/li/portfolio${wrong}`)).name).toBe('invalid-parameters')
    expect((await auditor.get('/employees/nobody/portfolio')).status).toBe(404)
  })

  it('who tried in vain and who read what, exports among it, by actor and by time, as a list and exported', async () => {
    const auditor = service.as('auditor')
    await auditor.get('/departments/south/portfolio', { accept: 'text/csv' })
    const reads = Recorded.parse((await auditor.get('/audit/reads?actor=auditor&limit=5')).json).items
    expect(reads).toContainEqual(expect.objectContaining({ route: 'GET /departments/:departmentId/portfolio', parameters: expect.objectContaining({ departmentId: 'south', export: 'text/csv' }) }))
    expect(Recorded.parse((await auditor.get(`/audit/reads?to=${encodeURIComponent('2020-01-01')}`)).json).items).toEqual([])
    await service.as('clerk', 'li').send('release-ownership', { customerId: (await enter(service.as('clerk', 'zhao'))).customerId, reason: '误' })
    const attempts = Recorded.parse((await auditor.get('/audit/attempts?actor=li&command=release-ownership')).json).items
    expect(attempts).toMatchObject([{ actor: 'li', problem: 'not-permitted' }])
    const csv = await auditor.get('/audit/attempts?actor=li', { accept: 'text/csv' })
    expect(csv.text.split('\n')[0]).toBe('attemptId,at,actor,onBehalfOf,role,command,commandId,problem,stream,ranInto')
    expect(csv.text).toContain('not-permitted')
  })
})
