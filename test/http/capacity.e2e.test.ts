import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { accepted, problemOf, startService, type Answer, type Sender, type TestService } from '../support/http.ts'

const Capacity = z.looseObject({
  limits: z.looseObject({ total: z.number().nullable(), claimsADay: z.number().nullable() }), holdings: z.object({ total: z.number(), byTier: z.record(z.string(), z.number()) }),
  openReservations: z.number(), claims: z.looseObject({ count: z.number(), nextDayAt: z.string() }), room: z.object({ total: z.number().nullable(), byTier: z.record(z.string(), z.number()), claimsToday: z.number().nullable() }),
})

describe('limits of what an employee may hold and claim', () => {
  let service: TestService
  let clerk: Sender
  let system: Sender
  beforeAll(async () => {
    service = await startService()
    clerk = service.as('clerk')
    system = service.as('system')
    accepted(await service.as('admin').send('register-employee', { employeeId: 'zhao', name: '赵六', departmentId: 'head-office' }))
    await limitTo({ dailyQuota: 3, capacity: { total: 4, byTier: { premier: 1 } }, uncountedStages: ['lost'] })
  })
  afterAll(() => service.close())

  const limitTo = async (pool: object) => accepted(await service.as('admin').send('revise-policy', { policy: 'ownership', value: { ...defaultPolicies.ownership, pool: { ...defaultPolicies.ownership.pool, ...pool } }, reason: '限额' }))
  const pooled = async (more: object = {}) => accepted(await system.send('create-customer', { category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, claim: false, nearMatchCheck: false, ...more })).customerId
  const claim = (customerId: string, options = {}): Promise<Answer> => clerk.send('claim-ownership', { customerId }, options)
  const refused = (answer: Answer) => ({ ...problemOf(answer) })
  let last = ''
  const done = (answer: Answer) => (last = accepted(answer).position)
  const capacity = async (sender: Sender, employeeId = 'clerk') => Capacity.parse((await sender.get(`/employees/${employeeId}/capacity?after=${last}`)).json)

  it('a quota refuses the next claim of the day, says how many there were and when the next day begins, and leaves the key free', async () => {
    for (let n = 0; n < 3; n += 1) done(await claim(await pooled()))
    const next = await pooled()
    const problem = refused(await claim(next, { key: 'fourth' }))
    expect(problem).toMatchObject({ name: 'quota-reached', status: 409, employeeId: 'clerk', claims: 3, limit: 3 })
    const { nextDayAt } = z.looseObject({ nextDayAt: z.string() }).parse(problem)
    const untilThen = Date.parse(nextDayAt) - Date.now()
    expect(untilThen).toBeGreaterThan(0)
    expect(untilThen).toBeLessThanOrEqual(86_400_000)
    expect(nextDayAt).toMatch(/T16:00:00\.000Z$/)
    expect(refused(await claim(next, { dryRun: true })).name).toBe('quota-reached')
    await limitTo({ dailyQuota: 4, capacity: { total: 4, byTier: { premier: 1 } }, uncountedStages: ['lost'] })
    done(await claim(next, { key: 'fourth' }))
  })

  it('a capacity refuses claims, assignments and transfers, naming what is held; who is first to enter owns all the same, and it counts', async () => {
    await limitTo({ capacity: { total: 4, byTier: { premier: 1 } }, uncountedStages: ['lost'] })
    const customerId = await pooled()
    const full = { name: 'capacity-reached', status: 409, employeeId: 'clerk', holdings: 4, openReservations: 0, limit: 4, tier: null }
    expect(refused(await claim(customerId))).toMatchObject(full)
    expect(refused(await claim(customerId, { dryRun: true }))).toMatchObject(full)
    expect(refused(await system.send('assign-ownership', { customerId, to: 'clerk' }))).toMatchObject(full)
    done(await system.send('assign-ownership', { customerId, to: 'zhao' }))
    expect(refused(await system.send('transfer-ownership', { customerId, to: 'clerk', reason: '调整' }))).toMatchObject(full)

    done(await clerk.send('create-customer', { category: 'individual-retail', name: '李雷', fields: { source: 'referral' } }))
    expect(refused(await claim(await pooled()))).toMatchObject({ ...full, holdings: 5 })
  })

  it('customers at stages that do not count make room, and a claim that took effect earlier needs it as well', async () => {
    const listed = z.object({ items: z.array(z.looseObject({ customerId: z.string() })) }).parse((await system.get(`/customers?ownerId=clerk&after=${last}`)).json).items
    for (const { customerId } of listed.slice(0, 2)) done(await clerk.send('change-stage', { customerId, to: 'lost' }))
    const customerId = await pooled()
    const before = new Date().toISOString()
    done(await clerk.send('claim-ownership', { customerId, effectiveAt: before }))
    const next = await pooled()
    expect(refused(await clerk.send('claim-ownership', { customerId: next, effectiveAt: new Date().toISOString() }))).toMatchObject({ name: 'capacity-reached', holdings: 4 })
  })

  it('the capacity of a tier is one of its own', async () => {
    await limitTo({ capacity: { total: null, byTier: { premier: 1 } } })
    const premier = async () => {
      const customerId = await pooled()
      done(await system.send('upgrade-tier', { customerId, to: 'premier', basis: 'approval', evidence: '总经理' }))
      return customerId
    }
    done(await claim(await premier()))
    expect(refused(await claim(await premier()))).toMatchObject({ name: 'capacity-reached', holdings: 1, limit: 1, tier: 'premier' })
    done(await claim(await pooled()))
  })

  it('who may ask is told limits, holdings and room', async () => {
    await limitTo({ dailyQuota: 20, capacity: { total: 30, byTier: { premier: 2 } } })
    const { position } = accepted(await claim(await pooled()))
    last = position
    const seen = await capacity(clerk)
    expect(seen).toMatchObject({ employeeId: 'clerk', limits: { total: 30, byTier: { premier: 2 }, claimsADay: 20 }, openReservations: 0 })
    expect(seen.room).toEqual({ total: 30 - seen.holdings.total, byTier: { premier: 2 - (seen.holdings.byTier['premier'] ?? 0) }, claimsToday: 20 - seen.claims.count })
    for (const sender of [service.as('manager'), system, service.as('auditor')]) expect(await capacity(sender)).toEqual(expect.objectContaining({ holdings: seen.holdings }))
    expect(problemOf(await service.as('clerk', 'zhao').get('/employees/clerk/capacity')).name).toBe('read-not-permitted')
    expect((await service.as('analyst').get('/employees/clerk/capacity')).status).toBe(403)
    expect((await system.get('/employees/nobody/capacity')).status).toBe(404)
  })

  it('a batch decides no claim without its slot', async () => {
    await limitTo({ capacity: { total: 1, byTier: {} } })
    const [one, other] = [await pooled(), await pooled()]
    const line = (command: string, key: string, body: object) => ({ command, key, onBehalfOf: 'zhao', body })
    const lines = [
      line('change-profile', 'b1', { customerId: one, name: '王一' }), line('claim-ownership', 'b2', { customerId: one }), line('change-profile', 'b3', { customerId: one, name: '王二' }),
      line('change-profile', 'b4', { customerId: other, name: '李一' }), line('claim-ownership', 'b5', { customerId: other }),
    ]
    const held = (await capacity(system, 'zhao')).holdings.total
    const answers = await system.batch(lines)
    expect(answers.map(({ status }) => status).filter((status) => status === 409)).toHaveLength(held === 0 ? 1 : 2)
    last = z.looseObject({ position: z.string() }).parse(answers[3]?.answer).position
    expect((await capacity(system, 'zhao')).holdings.total).toBe(1)
    // The same file again: what was refused is tried again, what was done is answered as before.
    expect((await system.batch(lines)).map(({ status }) => status)).toEqual(answers.map(({ status }) => status))
  })
})
