import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accepted, problemOf, startService, until, type Answer, type Sender, type TestService } from '../support/http.ts'
import { enter, individual, nextMobile, organise, periodsOf, refused } from './people.ts'

const seconds = (count: number) => count / 86_400
const Report = z.looseObject({
  reportId: z.string(), status: z.string(), round: z.number(), kind: z.string(), customer: z.looseObject({ customerId: z.string(), full: z.boolean() }), duplicateOf: z.looseObject({ customerId: z.string() }).nullable(), overdue: z.boolean(),
  personnel: z.boolean(), against: z.string().nullable(), penalty: z.object({ amount: z.number(), currency: z.string() }).nullable(), note: z.string().nullable(), missing: z.array(z.string()).nullable(), resolvedAt: z.string().nullable(),
})
const reportOf = (answer: Answer) => Report.parse(answer.json)
const idsIn = (answer: Answer) => z.object({ items: z.array(Report) }).parse(answer.json).items.map(({ reportId }) => reportId)
const Reported = z.looseObject({ reportId: z.string(), position: z.string(), warnings: z.array(z.looseObject({ warning: z.string() })) })
const reportedBy = async (sender: Sender, body: object) => {
  const answer = await sender.send('report-record', body)
  accepted(answer)
  return Reported.parse(answer.json)
}
const Record = z.looseObject({ departmentId: z.string(), departments: z.array(z.looseObject({ departmentId: z.string(), to: z.string().nullable() })), reports: z.object({ made: z.looseObject({ open: z.number() }), against: z.looseObject({ upheld: z.number() }) }), penaltySums: z.array(z.unknown()), penalties: z.array(z.looseObject({ penalty: z.unknown() })), portfolio: z.object({ count: z.number() }) })

describe('record reports, over HTTP', () => {
  let service: TestService
  const amounts = { duplicate: { amount: 5000, currency: 'CNY' }, wrongCategory: { amount: 5000, currency: 'CNY' }, incomplete: { amount: 5000, currency: 'CNY' } }
  const waitFor = (deadlineDays: number) => service.as('admin').send('revise-policy', { policy: 'penalties', value: { amounts, deadlineDays }, reason: '试' }).then(accepted)
  beforeAll(async () => {
    service = await startService()
    // zhao and boss hold the north, li and head the south; chief stands above both.
    await organise(service, { top: null, north: 'top', south: 'top' }, { zhao: 'north', boss: 'north', li: 'south', qian: 'south', head: 'south', deputy: 'south', chief: 'top' })
  })
  afterAll(() => service.close())

  it('a duplicate is reported with a refused attempt, is overdue, is upheld, and moves to the owner of the earlier entry; its entrant’s record has 50.00', async () => {
    const [zhao, li, head] = [service.as('clerk', 'zhao'), service.as('clerk', 'li'), service.as('manager', 'head')]
    const mobile = nextMobile()
    const { customerId: first } = await enter(zhao, { identifiers: [{ kind: 'mobile', value: mobile }] })
    const ranInto = await li.send('create-customer', individual({ name: '王先生', identifiers: [{ kind: 'mobile', value: mobile }] }))
    expect(problemOf(ranInto).name).toBe('duplicate-customer')
    const { customerId: second } = await enter(li)
    const attempts = z.object({ items: z.array(z.object({ attemptId: z.string() })) }).parse((await service.as('auditor').get('/audit/attempts?actor=li&problem=duplicate-customer')).json).items
    accepted(await zhao.send('open-duplicate-case', { customerIds: [first, second], note: '像一家' }))
    await waitFor(seconds(0.5))
    const { reportId, position } = await reportedBy(zhao, { customerId: first, kind: 'duplicate', duplicateOf: second, attemptIds: attempts.map(({ attemptId }) => attemptId), note: '同一个人，后录' })
    await waitFor(7)
    expect(accepted(await li.send('report-record', { customerId: second, kind: 'duplicate', duplicateOf: first, note: '同一个人' })).events).toEqual([])
    await until(async () => reportOf(await head.get(`/record-reports/${reportId}?after=${position}`)).status === 'overdue')
    expect(idsIn(await service.as('manager', 'chief').get('/record-reports?overdue=true&departmentId=south'))).toEqual([reportId])
    // Another department, a party, a clerk.
    refused(await service.as('manager', 'boss').send('uphold-report', { reportId, decision: '属实' }), 403, 'not-permitted')
    refused(await service.as('manager', 'li').send('uphold-report', { reportId, decision: '属实' }), 403, 'judge-is-party')
    refused(await li.send('dismiss-report', { reportId, reason: '不属实' }), 403, 'role-not-permitted')
    const upheld = accepted(await head.send('uphold-report', { reportId, decision: '后录，归先录者', moveOwnership: true }, { key: 'ruling' }))
    await until(async () => periodsOf(await service.as('auditor').get(`/customers/${second}/ownership`)).some(({ ownerId, basis, actor }) => ownerId === 'zhao' && basis === 'dispute' && actor === 'report-judgements'))
    await until(async () => /"status":"confirmed"/.test((await service.as('auditor').get(`/duplicate-cases?customerId=${second}`)).text))
    expect(reportOf(await head.get(`/record-reports/${reportId}?after=${upheld.position}`))).toMatchObject({
      status: 'upheld', overdue: true, customer: { customerId: second }, duplicateOf: { customerId: first }, against: 'li', penalty: { amount: 5000, currency: 'CNY' }, attempts: [{ actor: 'li' }], movedTo: 'zhao', said: '后录，归先录者', judgedBy: 'head',
    })
    // The same again is answered as it was; the record has gone to another department since, whose managers find it judged.
    expect(accepted(await head.send('uphold-report', { reportId, decision: '后录，归先录者', moveOwnership: true }, { key: 'ruling' })).events).toEqual(upheld.events)
    expect(accepted(await service.as('manager', 'boss').send('uphold-report', { reportId, decision: '再判', moveOwnership: true })).events).toEqual([])
    refused(await zhao.send('report-record', { customerId: first, kind: 'duplicate', duplicateOf: second, note: '又一次', newEvidence: '新' }), 409, 'fault-upheld')
    const record = Record.parse((await li.get(`/employees/li/record?after=${upheld.position}`)).json)
    expect(record).toMatchObject({ departmentId: 'south', departments: [{ departmentId: 'south', to: null }], reports: { against: { upheld: 1 } }, penaltySums: [{ amount: 5000, currency: 'CNY' }], penalties: [{ reportId, penalty: { amount: 5000, currency: 'CNY' } }], portfolio: { count: 0 } })
    for (const sender of [head, service.as('manager', 'chief'), service.as('auditor'), service.as('admin')]) expect(Record.parse((await sender.get('/employees/li/record')).json).penalties).toHaveLength(1)
    for (const sender of [zhao, service.as('clerk', 'qian'), service.as('manager', 'boss')]) expect(problemOf(await sender.get('/employees/li/record')).name).toBe('read-not-permitted')
    expect(problemOf(await service.as('auditor').get('/employees/nobody/record')).name).toBe('not-found')
  })

  it('a colleague sees the report of a customer they see, and neither whom it is against nor what it cost; the customer’s history tells it', async () => {
    const [li, qian] = [service.as('clerk', 'li'), service.as('clerk', 'qian')]
    const { customerId } = await enter(li)
    const { reportId, position } = await reportedBy(service.as('clerk', 'zhao'), { customerId, kind: 'wrong-category', categoryId: 'partner', note: '是合作伙伴' })
    const ruled = accepted(await service.as('manager', 'head').send('uphold-report', { reportId, decision: '应为合作伙伴' }))
    expect(reportOf(await qian.get(`/record-reports/${reportId}?after=${ruled.position}`))).toMatchObject({ personnel: false, against: null, penalty: null, note: '是合作伙伴' })
    expect(reportOf(await li.get(`/record-reports/${reportId}`))).toMatchObject({ personnel: true, against: 'li' })
    // Who reported a customer they do not see reads what became of it, not its text.
    expect(reportOf(await service.as('clerk', 'zhao').get(`/record-reports/${reportId}`))).toMatchObject({ status: 'upheld', personnel: false, note: null, said: null, customer: { full: false } })
    expect(problemOf(await service.as('manager', 'boss').get(`/record-reports/${reportId}`)).name).toBe('read-not-permitted')
    expect(idsIn(await service.as('manager', 'boss').get('/record-reports?kind=wrong-category'))).toEqual([])
    expect(idsIn(await qian.get('/record-reports?against=li'))).toEqual([])
    expect(idsIn(await service.as('auditor').get('/record-reports?against=li&kind=wrong-category&status=upheld'))).toEqual([reportId])
    const moved = accepted(await service.as('manager', 'head').send('recategorise-customer', { customerId, category: 'partner', reason: '更正', fields: { source: null } }))
    expect(reportOf(await li.get(`/record-reports/${reportId}?after=${moved.position}`)).resolvedAt).toEqual(expect.any(String))
    const history = await li.get(`/customers/${customerId}/history?language=zh&after=${moved.position}`)
    expect(history.text).toMatch(/举报客户记录.*分类错误.*举报成立/s)
    expect(history.text).not.toContain('5000')
    expect(position).not.toBe('')
  })

  it('a report is dismissed, and made again only with what is new; pages and exports have each time', async () => {
    const [zhao, head] = [service.as('clerk', 'zhao'), service.as('manager', 'head')]
    const { customerId } = await enter(service.as('clerk', 'qian'))
    const wrong = { customerId, kind: 'wrong-category', categoryId: 'partner', note: '是合作伙伴' }
    const { reportId } = await reportedBy(zhao, wrong)
    accepted(await head.send('dismiss-report', { reportId, reason: '是客户' }))
    refused(await head.send('uphold-report', { reportId, decision: '改判' }), 409, 'report-judged')
    expect(refused(await zhao.send('report-record', wrong), 422, 'reason-required').errors.map(({ path }) => path)).toEqual(['newEvidence'])
    const again = await reportedBy(zhao, { ...wrong, newEvidence: '合同' })
    expect(again.reportId).toBe(reportId)
    const auditor = service.as('auditor')
    expect(z.looseObject({ earlier: z.array(Report) }).parse((await auditor.get(`/record-reports/${reportId}?after=${again.position}`)).json)).toMatchObject({ round: 2, status: 'open', earlier: [{ round: 1, status: 'dismissed', penalty: null }] })
    const page = await auditor.get(`/record-reports?customerId=${customerId}&limit=1`)
    const next = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1] ?? ''
    const last = await auditor.get(next)
    expect([...idsIn(page), ...idsIn(last), last.headers.get('link')]).toEqual([reportId, reportId, null])
    const csv = await auditor.get(`/record-reports?customerId=${customerId}`, { accept: 'text/csv' })
    expect(csv.text.trimEnd().split('\n').map((line) => line.split(',').slice(1, 4).join(' '))).toEqual(['round kind status', '2 wrong-category open', '1 wrong-category dismissed'])
    expect((await auditor.get(`/record-reports?customerId=${customerId}`, { accept: 'application/x-ndjson' })).text.trimEnd().split('\n')).toHaveLength(2)
  })

  it('an incomplete record is reported with what it lacks; nobody is fined for what a system entered for nobody; bad inputs are named at once', async () => {
    const system = service.as('system')
    const { customerId } = accepted(await system.send('create-customer', individual({ claim: false })))
    refused(await service.as('clerk', 'zhao').send('report-record', { customerId, kind: 'incomplete', note: '联系不上' }), 409, 'no-such-fault')
    accepted(await system.send('record-purchase', { customerId, purchaseId: 'p', at: '2026-03-01T10:00:00+08:00', amount: { amount: 100, currency: 'CNY' } }))
    await until(async () => /"stage":"active"/.test((await system.get(`/customers/${customerId}`)).text))
    const { reportId, position } = await reportedBy(service.as('clerk', 'zhao'), { customerId, kind: 'incomplete', note: '缺地址' })
    expect(reportOf(await system.get(`/record-reports/${reportId}?after=${position}`)).missing).toEqual(['fields/address', 'fields/importance'])
    const ruled = await service.as('manager', 'boss').send('uphold-report', { reportId, decision: '属实' })
    expect(accepted(ruled).warnings).toMatchObject([{ warning: 'no-penalty' }])
    const bad = refused(await service.as('clerk', 'zhao').send('report-record', { kind: 'duplicate', categoryId: 'partner', attemptIds: ['x'], note: '' }), 422, 'invalid-body')
    expect(bad.errors.map(({ path }) => path).toSorted()).toEqual(['attemptIds/0', 'categoryId', 'customerId', 'duplicateOf', 'note'])
    refused(await service.as('clerk', 'zhao').send('report-record', { customerId: 'nobody', kind: 'duplicate', duplicateOf: customerId, note: 'x' }), 404, 'customer-not-found')
    refused(await service.as('manager', 'boss').send('uphold-report', { reportId: crypto.randomUUID(), decision: 'x' }), 404, 'report-not-found')
    refused(await service.as('admin').send('revise-policy', { policy: 'penalties', value: { amounts: { ...amounts, duplicate: { amount: -1, currency: 'CNY' } }, deadlineDays: 0 }, reason: '试' }), 422, 'invalid-policy')
    expect((await service.as('analyst').get('/policies/penalties')).text).toContain('"deadlineDays":7')
  })
})
