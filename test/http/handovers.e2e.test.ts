import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accepted, startService, until, type Answer, type Sender, type TestService } from '../support/http.ts'
import { enter, organise, periodsOf, read, refused } from './people.ts'

const Handover = z.looseObject({ handoverId: z.string(), from: z.string(), cause: z.string(), held: z.number(), moved: z.number(), pooled: z.number(), remaining: z.number(), completedAt: z.string().nullable() })
const Handovers = z.object({ items: z.array(Handover) })
const Preview = z.looseObject({ handover: z.looseObject({ held: z.number(), to: z.array(z.object({ employeeId: z.string(), customers: z.number() })), pool: z.number() }) })
const Ledger = z.object({ items: z.array(z.looseObject({ customerId: z.string(), outcome: z.string(), from: z.string(), to: z.string().nullable(), eventId: z.string().nullable() })) })
const Portfolio = z.looseObject({ count: z.number(), items: z.array(z.looseObject({ customerId: z.string() })) })
const ledgerOf = (answer: Answer) => Ledger.parse(answer.json).items

describe('whoever departs', () => {
  let service: TestService
  let boss: Sender
  let auditor: Sender
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, 'north-1': 'north', south: null }, { leaver: 'north-1', zhao: 'north-1', qian: 'north-1', boss: 'north', outsider: 'south', chief: 'south' })
    boss = service.as('manager', 'boss')
    auditor = service.as('auditor')
  })
  afterAll(() => service.close())

  const completed = async (from: string, cause: string) => {
    let found: z.infer<typeof Handover> | undefined
    await until(async () => {
      found = Handovers.parse((await auditor.get(`/handovers?from=${from}&cause=${cause}&status=completed`)).json).items[0]
      return found !== undefined
    })
    return found ?? expect.fail('no handover was completed')
  }

  it('leaves all customers to colleagues, as the dry run said, and the ledger accounts for each of them', async () => {
    const leaver = service.as('clerk', 'leaver')
    const ids = Array.from({ length: 7 }, (_, index) => `mine-${index + 1}`)
    for (const customerId of ids) await enter(leaver, { customerId, name: '客户' })
    const { position: last } = await enter(service.as('clerk', 'zhao'), { customerId: 'of-zhao' })
    await read(auditor, 'of-zhao', last)
    await auditor.get(`/handovers?after=${last}`)
    const body = { employeeId: 'leaver', reason: '离职', handover: { to: 'department', departmentId: 'north-1', by: 'load' } }
    const admin = service.as('admin')
    expect(refused(await admin.send('depart-employee', { ...body, handover: { to: 'successor', employeeId: 'nobody' } }), 422, 'unknown-reference').errors).toEqual([{ path: 'handover/employeeId', message: 'no employee has this id' }])
    const preview = Preview.parse((await admin.send('depart-employee', body, { dryRun: true })).json)
    expect(preview.handover).toMatchObject({ held: 7, to: [{ employeeId: 'qian', customers: 4 }, { employeeId: 'zhao', customers: 3 }], pool: 0 })

    // Claims go on until the very moment of the departure: whatever is recorded for them is handed over as well.
    const under = Array.from({ length: 6 }, (_, index) => enter(service.as('system'), { customerId: `late-${index}` }, 'leaver').catch(() => undefined))
    const departed = accepted(await admin.send('depart-employee', body))
    const entered = (await Promise.all(under)).flatMap((one) => one?.customerId ?? [])
    const found = await completed('leaver', 'departure')
    await until(async () => Portfolio.parse((await auditor.get('/employees/leaver/portfolio')).json).count === 0)
    const { position } = accepted(await admin.send('register-department', { name: '之后' }))
    const now = Handover.parse((await auditor.get(`/handovers/${found.handoverId}?after=${position}`)).json)
    expect(now).toMatchObject({ from: 'leaver', startedBy: 'admin', rule: body.handover, ruleBy: 'command', moved: ids.length + entered.length, pooled: 0, remaining: 0 })

    const ledger = ledgerOf(await auditor.get(`/handovers/${found.handoverId}/ledger?limit=500`))
    expect(ledger.map(({ customerId }) => customerId).toSorted()).toEqual([...ids, ...entered].toSorted())
    expect(ledger.slice(0, ids.length).map(({ customerId }) => customerId)).toEqual(ids)
    for (const { customerId, outcome, from, to, eventId } of ledger) {
      expect({ outcome, from }).toEqual({ outcome: 'moved', from: 'leaver' })
      const customer = await read(auditor, customerId, position)
      expect(customer.ownerId).toBe(to)
      expect(periodsOf(await auditor.get(`/customers/${customerId}/ownership`)).at(-1)).toMatchObject({ ownerId: to, basis: 'departure', actor: 'handovers' })
      expect((await auditor.get(`/customers/${customerId}/events`)).text).toContain(eventId)
    }
    expect((await auditor.get('/customers/mine-1/history?language=zh')).text).toContain('离职交接')
    // The same from the other side: whom they held just before.
    const before = Portfolio.parse((await auditor.get(`/employees/leaver/portfolio?knownAt=${departed.position}&limit=500`)).json)
    expect(before.items.map(({ customerId }) => customerId).filter((customerId) => ids.includes(customerId)).toSorted()).toEqual(ids)
    const paged = await auditor.get(`/handovers/${found.handoverId}/ledger?limit=3`)
    const [, next = ''] = /<(.*)>/.exec(paged.headers.get('link') ?? '') ?? []
    expect(ledgerOf(await auditor.get(next)).map(({ customerId }) => customerId)).toEqual(ledger.slice(3, 6).map(({ customerId }) => customerId))
    const csv = (await auditor.get(`/handovers/${found.handoverId}/ledger?outcome=moved`, { accept: 'text/csv' })).text.trim().split('\n')
    expect(csv).toHaveLength(ledger.length + 1)
    expect(csv[0]).toBe('customerId,outcome,from,to,recordedAt,revision,eventId')
  })

  it('a manager over an employee transfers that portfolio, and no other does; each sees what is theirs', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { position: entered } = await enter(zhao, { customerId: 'vip' })
    accepted(await zhao.send('upgrade-tier', { customerId: 'vip', to: 'premier', basis: 'approval', evidence: '批' }))
    await auditor.get(`/handovers?after=${entered}`)
    const body = { from: 'zhao', handover: { to: 'successor', employeeId: 'qian' }, reason: '休假', tier: 'premier' }
    refused(await service.as('manager', 'chief').send('transfer-portfolio', body), 403, 'not-permitted')
    refused(await boss.send('transfer-portfolio', { ...body, tier: 'gold', handover: { to: 'successor', employeeId: 'leaver' } }), 422, 'unknown-reference')
    const started = z.looseObject({ handoverId: z.string(), position: z.string() }).parse((await boss.send('transfer-portfolio', body)).json)
    const done = await completed('zhao', 'transfer')
    expect(done).toMatchObject({ handoverId: started.handoverId, held: 1, moved: 1, reason: '休假', only: { tier: 'premier' } })
    const { position } = accepted(await service.as('admin').send('register-department', { name: '之后' }))
    expect(await read(auditor, 'vip', position)).toMatchObject({ ownerId: 'qian' })
    expect((await read(auditor, 'of-zhao', position)).ownerId).toBe('zhao')

    const { handoverId } = done
    for (const may of [boss, zhao, service.as('admin'), service.as('system')]) expect(ledgerOf(await may.get(`/handovers/${handoverId}/ledger`))).toHaveLength(1)
    for (const other of [service.as('clerk', 'qian'), service.as('manager', 'chief')]) {
      refused(await other.get(`/handovers/${handoverId}`), 403, 'read-not-permitted')
      refused(await other.get(`/handovers/${handoverId}/ledger`), 403, 'read-not-permitted')
      expect(Handovers.parse((await other.get('/handovers')).json).items).toEqual([])
    }
    expect(Handovers.parse((await zhao.get('/handovers')).json).items.map((one) => one.handoverId)).toEqual([handoverId])
    refused(await auditor.get('/handovers/none'), 404, 'not-found')
  })
})
