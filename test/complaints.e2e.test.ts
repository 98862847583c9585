import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defaultPolicies } from '../src/domain/policy/defaults.ts'
import { accepted, makePlace, problemOf, startProcess, startService, until, type Place, type ServiceProcess, type TestService } from './support/http.ts'
import { enter, individual, organise } from './http/people.ts'

const Trail = z.object({ level: z.number(), status: z.string(), overdue: z.boolean(), trail: z.array(z.object({ type: z.string(), step: z.string().nullable(), fromLevel: z.number().nullable(), toLevel: z.number().nullable(), reason: z.string().nullable(), recordedAt: z.string(), actor: z.string() })) })
const seconds = (count: number) => count / 86_400
const stepTimes = (count: number) => ({ targetDays: seconds(count) / 2, deadlineDays: seconds(count) })
const minor = { class: 'service', severity: 'minor', channel: 'phone', description: '等了两个小时' } as const

describe('complaints, purchases and interactions, over HTTP', () => {
  let service: TestService
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, south: null }, { zhao: 'north', boss: 'north', li: 'south' })
  })
  afterAll(() => service.close())

  it('a complaint goes through its five steps, beyond the handler’s authority to the manager, and is closed', async () => {
    const zhao = service.as('clerk', 'zhao')
    const boss = service.as('manager', 'boss')
    const { customerId } = await enter(zhao)
    const { complaintId } = z.looseObject({ complaintId: z.string() }).parse((await zhao.send('lodge-complaint', { customerId, ...minor })).json)
    expect(problemOf(await zhao.send('record-complaint-action', { complaintId, action: '上门' }))).toMatchObject({ name: 'wrong-step', next: 'reply' })
    accepted(await zhao.send('reply-to-complaint', { complaintId, reply: '已致歉' }))
    expect(accepted(await zhao.send('record-complaint-action', { complaintId, action: '补偿', compensation: { amount: 200_000, currency: 'CNY' } })).events.map((event) => event.type)).toEqual(['ComplaintActed', 'ComplaintEscalated'])
    expect(problemOf(await service.as('clerk', 'li').send('follow-up-complaint', { complaintId, outcome: '满意', satisfied: true })).name).toBe('not-permitted')
    accepted(await boss.send('follow-up-complaint', { complaintId, outcome: '满意', satisfied: true }))
    accepted(await boss.send('record-improvement', { complaintId, improvement: '增加窗口' }))
    const { position } = accepted(await boss.send('close-complaint', { complaintId }))
    const { status, level, trail } = Trail.parse((await zhao.get(`/complaints/${complaintId}?after=${position}`)).json)
    expect([status, level, trail.map((entry) => entry.type)]).toEqual(['closed', 2, ['ComplaintLodged', 'ComplaintReplied', 'ComplaintActed', 'ComplaintEscalated', 'ComplaintFollowedUp', 'ImprovementRecorded', 'ComplaintClosed']])
  })

  it('a colleague elsewhere lists neither the complaint of a customer they may not see nor its text, the auditor both', async () => {
    const { customerId } = await enter(service.as('clerk', 'zhao'))
    const lodged = await service.as('manager', 'boss').send('lodge-complaint', { customerId, ...minor, severity: 'critical' })
    const { complaintId, position } = z.looseObject({ complaintId: z.string(), position: z.string() }).parse(lodged.json)
    expect(problemOf(await service.as('clerk', 'li').get(`/complaints/${complaintId}?after=${position}`)).name).toBe('read-not-permitted')
    expect((await service.as('clerk', 'li').get(`/complaints?after=${position}`)).text).not.toContain(complaintId)
    expect((await service.as('auditor').get(`/complaints?level=2&status=open&after=${position}`)).text).toContain(complaintId)
  })

  it('a complaint is escalated, reassigned, rejected and reopened by command, each once, and refunds come off what was bought', async () => {
    const zhao = service.as('clerk', 'zhao')
    const boss = service.as('manager', 'boss')
    const { customerId } = await enter(zhao)
    const { complaintId } = z.looseObject({ complaintId: z.string() }).parse((await zhao.send('lodge-complaint', { customerId, ...minor })).json)
    expect(accepted(await zhao.send('escalate-complaint', { complaintId, reason: 'serious-harm', note: '要上报纸' })).events.map((event) => event.type)).toEqual(['ComplaintEscalated'])
    expect(accepted(await boss.send('escalate-complaint', { complaintId, reason: 'serious-harm' })).events).toEqual([])
    accepted(await boss.send('reassign-complaint', { complaintId, to: 'zhao', reason: '熟悉情况' }))
    // The handler works it whatever the role of the level.
    accepted(await zhao.send('reply-to-complaint', { complaintId, reply: '已致歉' }))
    accepted(await zhao.send('record-complaint-action', { complaintId, action: '上门' }))
    expect(accepted(await zhao.send('reject-resolution', { complaintId, reason: '不满意' })).events.map((event) => event.type)).toEqual(['ResolutionRejected', 'ComplaintEscalated'])
    expect(problemOf(await boss.send('follow-up-complaint', { complaintId, outcome: '满意', satisfied: true }))).toMatchObject({ name: 'wrong-step', next: 'act' })
    accepted(await boss.send('record-complaint-action', { complaintId, action: '再次上门' }))
    accepted(await boss.send('follow-up-complaint', { complaintId, outcome: '满意', satisfied: true }))
    accepted(await boss.send('record-improvement', { complaintId, improvement: '增加窗口' }))
    accepted(await boss.send('close-complaint', { complaintId }))
    const { position } = accepted(await boss.send('reopen-complaint', { complaintId, reason: '又来电' }))
    expect(Trail.parse((await boss.get(`/complaints/${complaintId}?after=${position}`)).json)).toMatchObject({ status: 'open', level: 3 })
    const shop = service.as('system', 'shop')
    accepted(await shop.send('record-purchase', { customerId, purchaseId: 'order-9', at: '2026-02-03T10:00:00+08:00', amount: { amount: 100, currency: 'CNY' } }))
    const refund = { customerId, refundId: 'refund-9', purchaseId: 'order-9', at: '2026-02-04T10:00:00+08:00', amount: { amount: 60, currency: 'CNY' }, reason: '少发' }
    accepted(await shop.send('record-refund', refund))
    expect(accepted(await shop.send('record-refund', refund)).events).toEqual([])
    expect(problemOf(await shop.send('record-refund', { ...refund, refundId: 'refund-10' }))).toMatchObject({ name: 'refund-too-large', refundable: { amount: 40, currency: 'CNY' } })
  })

  it('a first purchase makes a deal and spend grants a tier, by themselves; interactions from outside are taken for any customer', async () => {
    const { customerId } = await enter(service.as('clerk', 'zhao'))
    const shop = service.as('system', 'shop')
    const body = { customerId, purchaseId: 'order-1', at: '2026-01-03T10:00:00+08:00', amount: { amount: 6_000_000, currency: 'CNY' } }
    accepted(await shop.send('record-purchase', body))
    expect(accepted(await shop.send('record-purchase', body)).events).toEqual([])
    expect(problemOf(await shop.send('record-refund', { customerId, refundId: 'r1', purchaseId: 'order-1', at: '2026-01-04T10:00:00+08:00', amount: { amount: 6_000_001, currency: 'CNY' } })).name).toBe('refund-too-large')
    await until(async () => /"stage":"active","tier":"preferred"/.test((await service.as('clerk', 'zhao').get(`/customers/${customerId}`)).text))
    const li = service.as('clerk', 'li')
    const interaction = { customerId, channel: 'phone', purpose: 'question' }
    accepted(await li.send('record-interaction', { ...interaction, direction: 'inbound', outcome: '问营业时间' }))
    expect(problemOf(await li.send('record-interaction', { ...interaction, direction: 'outbound' })).name).toBe('not-permitted')
  })
})

describe('a complaint left alone', () => {
  let place: Place
  let running: ServiceProcess | undefined
  beforeAll(async () => {
    place = await makePlace({}, () => running?.url ?? '')
    running = await startProcess(place)
    const policy = defaultPolicies.complaints
    const steps = { reply: stepTimes(1), act: stepTimes(2), 'follow-up': stepTimes(5), improve: stepTimes(6) }
    accepted(await place.as('admin').send('revise-policy', { policy: 'complaints', value: { ...policy, levels: policy.levels.map((level) => ({ ...level, steps })) }, reason: '试' }))
  })
  afterAll(async () => {
    running?.child.kill('SIGKILL')
    await place.close()
  })

  it('escalates level by level to the top while the service is killed and restarted, each step once, by two processes as by one', async () => {
    const { customerId } = accepted(await place.as('clerk').send('create-customer', individual()))
    const { complaintId, position } = z.looseObject({ complaintId: z.string(), position: z.string() }).parse((await place.as('clerk').send('lodge-complaint', { customerId, ...minor })).json)
    const read = async () => {
      const answer = await place.as('auditor').get(`/complaints/${complaintId}?after=${position}`)
      expect([answer.status, answer.text.slice(0, 300)]).toEqual([200, expect.any(String)])
      return Trail.parse(answer.json)
    }
    const killAndRestart = async () => {
      running?.child.kill('SIGKILL')
      running = await startProcess(place)
    }
    // Killed as soon as the first escalation is seen; what falls due meanwhile is caught up, in order.
    await until(async () => (await read()).trail.length >= 2)
    await killAndRestart()
    await until(async () => (await read()).trail.length >= 3)
    await killAndRestart()
    const second = await startProcess(place)
    await until(async () => (await read()).trail.length >= 5)
    second.child.kill('SIGKILL')
    await killAndRestart()
    const { level, overdue, trail } = await read()
    expect([level, overdue]).toEqual([3, true])
    expect(trail.slice(1).map(({ type, step, fromLevel, toLevel, actor }) => [type, step, fromLevel, toLevel, actor])).toEqual([
      ['ComplaintEscalated', 'reply', 1, 2, 'complaint-deadlines'],
      ['ComplaintEscalated', 'act', 2, 3, 'complaint-deadlines'],
      ['ComplaintDeadlineMissed', 'follow-up', null, null, 'complaint-deadlines'],
      ['ComplaintDeadlineMissed', 'improve', null, null, 'complaint-deadlines'],
    ])
  })
})
