import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accepted, startService, type TestService } from '../support/http.ts'
import { enter, idsOf, organise, periodsOf, read, refused } from './people.ts'

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()
/** The day of an instant in Shanghai, as a caller writes it. */
const dayOf = (instant: string) => new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Shanghai' }).format(new Date(instant))

describe('ownership and lifecycle, over HTTP', () => {
  let service: TestService
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, south: null }, { zhao: 'north', qian: 'north', li: 'south', boss: 'north' })
  })
  afterAll(() => service.close())

  it('a customer is released, claimed, transferred, assigned: each time by basis, actor and reason, and who claims too late is told who owns it', async () => {
    const zhao = service.as('clerk', 'zhao')
    const li = service.as('clerk', 'li')
    const { customerId } = await enter(zhao)
    expect(refused(await li.send('claim-ownership', { customerId }), 409, 'already-owned')['owner']).toMatchObject({ ownerId: 'zhao' })
    accepted(await zhao.send('release-ownership', { customerId, reason: '无法联系' }))
    const claim = await li.send('claim-ownership', { customerId, reason: '老同学' })
    expect([claim.status, accepted(claim).events.map((event) => event.type)]).toEqual([200, ['OwnershipClaimed']])
    const again = await li.send('claim-ownership', { customerId })
    expect([again.status, accepted(again).events]).toEqual([200, []])
    accepted(await li.send('transfer-ownership', { customerId, to: 'qian', reason: '回到北方' }))
    accepted(await service.as('clerk', 'qian').send('release-ownership', { customerId, reason: '产假' }))
    const assigned = accepted(await service.as('manager', 'boss').send('assign-ownership', { customerId, to: 'zhao', reason: '分配' }))
    const periods = periodsOf(await zhao.get(`/customers/${customerId}/ownership?after=${assigned.position}`))
    expect(periods.map(({ ownerId, basis, actor, reason }) => [ownerId, basis, actor, reason])).toEqual([
      ['zhao', 'first-entry', 'zhao', null],
      [null, 'voluntary-release', 'zhao', '无法联系'],
      ['li', 'claim', 'li', '老同学'],
      ['qian', 'transfer', 'li', '回到北方'],
      [null, 'voluntary-release', 'qian', '产假'],
      ['zhao', 'assignment', 'boss', '分配'],
    ])
    periods.forEach((period, index) => expect(period.to).toBe(periods[index + 1]?.from ?? null))
  })

  it('who enters with "claim": false leaves the customer in the pool, where it is found and claimed', async () => {
    const { customerId, position, events } = await enter(service.as('clerk', 'zhao'), { name: '池中人', claim: false })
    expect(events.map((event) => event.type)).toEqual(['CustomerCreated'])
    expect(await read(service.as('clerk', 'zhao'), customerId, position)).toMatchObject({ ownerId: null, departmentId: 'north', enteredBy: 'zhao' })
    expect(idsOf(await service.as('clerk', 'zhao').get('/customers?ownerId=&q=池中人'))).toEqual([customerId])
    expect(accepted(await service.as('clerk', 'li').send('claim-ownership', { customerId })).events).toHaveLength(1)
  })

  it('a backdated change counts up to the next one: asked as of a day, an instant, and as known at a time or a position', async () => {
    const zhao = service.as('clerk', 'zhao')
    const [entry, gone, back, middle] = [daysAgo(40), daysAgo(30), daysAgo(10), daysAgo(20)]
    const { customerId } = await enter(zhao, { effectiveAt: entry, enteredBy: 'zhao', enteredAt: daysAgo(400) })
    accepted(await zhao.send('release-ownership', { customerId, reason: '离开', effectiveAt: gone }))
    const known = accepted(await service.as('manager', 'boss').send('assign-ownership', { customerId, to: 'qian', effectiveAt: back }))
    const beforeBackdating = await service.as('auditor').get(`/customers/${customerId}/events`)
    const recorded = z.object({ items: z.array(z.object({ metadata: z.looseObject({ recordedAt: z.string() }) })) }).parse(beforeBackdating.json).items.at(-1)?.metadata.recordedAt ?? ''
    // recordedAt counts milliseconds: what comes next must not fall into the same one.
    await new Promise((resolve) => setTimeout(resolve, 5))
    const { position } = accepted(await service.as('manager', 'boss').send('claim-ownership', { customerId, effectiveAt: middle }))

    const qian = service.as('auditor')
    const owner = async (query: string) => periodsOf(await qian.get(`/customers/${customerId}/ownership?after=${position}&${query}`)).map((period) => period.ownerId)
    expect(await owner('')).toEqual(['zhao', null, 'boss', 'qian'])
    expect(await owner(`asOf=${entry}`)).toEqual(['zhao'])
    expect(await owner(`asOf=${daysAgo(41)}`)).toEqual([])
    expect(await owner(`asOf=${gone}`)).toEqual([null])
    expect(await owner(`asOf=${middle}`)).toEqual(['boss'])
    expect(await owner(`asOf=${daysAgo(1)}`)).toEqual(['qian'])
    expect(await owner(`asOf=${encodeURIComponent(middle.replace('Z', '+00:00'))}`)).toEqual(['boss'])
    // A day means the end of it, local to the organisation.
    expect(await owner(`asOf=${dayOf(middle)}`)).toEqual(['boss'])
    expect(await owner(`asOf=${dayOf(daysAgo(21))}`)).toEqual([null])
    // Before it was entered, the log knew nothing of the change.
    for (const at of [known.position, recorded]) expect(await owner(`asOf=${middle}&knownAt=${at}`)).toEqual([null])
    expect(await owner(`knownAt=${known.position}`)).toEqual(['zhao', null, 'qian'])
    expect(await owner(`asOf=${middle}&knownAt=${position}`)).toEqual(['boss'])
    expect(await owner(`knownAt=${daysAgo(0.5)}`)).toEqual([])
  })

  it('the future, a time before the entry, and more than the policy allows are refused as effective times', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId } = await enter(zhao)
    for (const effectiveAt of [daysAgo(-1), daysAgo(2), '1990-01-01T00:00:00Z']) {
      const problem = refused(await zhao.send('release-ownership', { customerId, reason: '晚了', effectiveAt }), 422, 'invalid-effective-time')
      expect(problem.errors.map((error) => error.path)).toEqual(['effectiveAt'])
    }
  })

  it('a customer is shared with an employee and a department, and no longer once that is revoked', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId } = await enter(zhao)
    accepted(await zhao.send('share-customer', { customerId, employeeId: 'li', access: 'read', reason: '协助' }))
    const both = accepted(await zhao.send('share-customer', { customerId, departmentId: 'south', access: 'work' }))
    expect((await read(service.as('clerk', 'li'), customerId, both.position)).shares).toEqual([{ with: { kind: 'department', id: 'south' }, access: 'work', until: null }, { with: { kind: 'employee', id: 'li' }, access: 'read', until: null }])
    accepted(await zhao.send('revoke-share', { customerId, employeeId: 'li' }))
    const none = accepted(await zhao.send('revoke-share', { customerId, departmentId: 'south', reason: '结束' }))
    expect(await read(service.as('clerk', 'li'), customerId, none.position)).toMatchObject({ full: false, shares: [] })
  })

  it('stages follow the policy’s moves, completeness is checked again, and tiers go up and down with basis and evidence', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId } = await enter(zhao, { contacts: [{ name: '周仓' }] })
    accepted(await zhao.send('change-stage', { customerId, to: 'prospect' }))
    expect(refused(await zhao.send('change-stage', { customerId, to: 'dormant' }), 409, 'move-not-allowed')['allowed']).toEqual(['active', 'lost', 'target'])
    refused(await zhao.send('change-stage', { customerId, to: 'target' }), 422, 'reason-required')
    expect(refused(await zhao.send('change-stage', { customerId, to: 'active' }), 422, 'invalid-fields').errors.map((error) => error.path.replace(/contacts\/[^/]+/, 'contacts/…')).sort())
      .toEqual(['contacts/…/fields/email', 'contacts/…/fields/mobile', 'contacts/…/fields/role', 'contacts/…/fields/title', 'fields/address', 'fields/importance'])
    const { contacts: [contact] } = await read(zhao, customerId)
    accepted(await zhao.send('change-contact', { customerId, contactId: contact?.contactId, fields: { title: '经理', role: 'insider', mobile: '13512345678', email: 'zc@example.com' } }))
    accepted(await zhao.send('change-profile', { customerId, fields: { address: '成都市武侯区', importance: 'B' } }))
    for (const to of ['active', 'dormant', 'lost', 'active']) accepted(await zhao.send('change-stage', { customerId, to, reason: `到 ${to}` }))
    refused(await zhao.send('upgrade-tier', { customerId, to: 'premier', basis: 'favour', evidence: '好人' }), 422, 'unknown-reference')
    accepted(await zhao.send('upgrade-tier', { customerId, to: 'premier', basis: 'spend', evidence: { year: 2026, spend: 1_200_000, checked: true } }))
    expect(refused(await zhao.send('upgrade-tier', { customerId, to: 'preferred', basis: 'spend', evidence: '少' }), 409, 'not-an-upgrade')['ladder']).toEqual(['standard', 'preferred', 'premier'])
    const last = accepted(await service.as('manager', 'boss').send('downgrade-tier', { customerId, to: 'standard', basis: 'correction', evidence: '录错' }))
    const answer = await zhao.get(`/customers/${customerId}/lifecycle?after=${last.position}`)
    const { transitions } = z.object({ transitions: z.array(z.object({ axis: z.string(), from: z.string().nullable(), to: z.string(), kind: z.string(), basis: z.string().nullable(), policyVersion: z.number().nullable() }).loose()) }).parse(answer.json)
    expect(transitions.map(({ axis, from, to, kind, basis, policyVersion }) => [axis, from, to, kind, basis, policyVersion])).toEqual([
      ['stage', null, 'target', 'entry', null, 1], ['tier', null, 'standard', 'entry', null, 1],
      ['stage', 'target', 'prospect', 'progress', null, 1], ['stage', 'prospect', 'active', 'progress', null, 1], ['stage', 'active', 'dormant', 'setback', null, 1],
      ['stage', 'dormant', 'lost', 'setback', null, 1], ['stage', 'lost', 'active', 'won-back', null, 1],
      ['tier', 'standard', 'premier', 'up', 'spend', 1], ['tier', 'premier', 'standard', 'down', 'correction', 1],
    ])
    const figures = await service.as('analyst').get(`/analytics/lifecycle/transitions?after=${last.position}&from=${daysAgo(1)}`)
    expect(figures.json).toMatchObject({ stages: expect.arrayContaining([{ from: 'lost', to: 'active', move: 'won-back', backward: false, customers: 1, transitions: 1 }]), tiers: expect.arrayContaining([{ from: 'standard', to: 'premier', move: 'up', backward: false, customers: 1, transitions: 1 }]) })
    expect((await service.as('analyst').get(`/analytics/lifecycle/standing?after=${last.position}`)).json).toMatchObject({ items: expect.arrayContaining([{ category: 'individual-retail', stage: 'active', tier: 'standard', customers: 1 }]) })
  })

  it('an auditor sees the events as recorded, page by page, personal values opened', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId } = await enter(zhao, { name: '关云长', identifiers: [{ kind: 'mobile', value: '13666660001' }] })
    for (const to of ['prospect', 'lost', 'prospect', 'lost']) accepted(await zhao.send('change-stage', { customerId, to, reason: '往来' }))
    const auditor = service.as('auditor')
    const Page = z.object({ items: z.array(z.object({ id: z.string(), revision: z.number(), type: z.string(), data: z.looseObject({}), metadata: z.looseObject({ prevHash: z.string(), hash: z.string(), actor: z.string() }) }).loose()) })
    const all: z.infer<typeof Page>['items'] = []
    for (let path: string | undefined = `/customers/${customerId}/events?limit=2`; path !== undefined; ) {
      const answer = await auditor.get(path)
      all.push(...Page.parse(answer.json).items)
      path = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1]
    }
    expect(all.map((event) => [event.revision, event.type])).toEqual([[0, 'CustomerCreated'], [1, 'OwnershipClaimed'], [2, 'StageChanged'], [3, 'StageChanged'], [4, 'StageChanged'], [5, 'StageChanged']])
    expect(all[0]?.data).toMatchObject({ name: { personal: `customer-${customerId}`, value: '关云长' }, identifiers: [{ kind: 'mobile', value: { value: '+8613666660001' } }] })
    expect(all[2]?.data).toMatchObject({ reason: { value: '往来' } })
    all.slice(1).forEach((event, index) => expect(event.metadata.prevHash).toBe(all[index]?.metadata.hash))
    refused(await zhao.get(`/customers/${customerId}/events`), 403, 'read-not-permitted')
    refused(await auditor.get('/customers/nobody/events'), 404, 'not-found')
  })
})
