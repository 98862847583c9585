import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { reportIdOf } from '../../src/domain/record-report/record-report.ts'
import { recordReports } from '../../src/projections/record-reports/project.ts'
import { dueReports, findReports, reportsOf, reportsOfEmployee, type ReportFilters } from '../../src/projections/record-reports/queries.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { behalfOf, create, dump, makeWorld, send, type World } from './world.ts'

const pair = reportIdOf({ customerId: 'a', kind: 'duplicate', duplicateOf: 'b' })
const wrong = reportIdOf({ customerId: 'a', kind: 'wrong-category' })
const note = '同一个人，录了两次'
const chief = behalfOf('manager')

describe('the read model of record reports', () => {
  let world: World
  const schema = schemaOf(recordReports)
  const find = async (filters: ReportFilters, now = new Date().toISOString()) => findReports(world.db, schema, filters, { limit: 10, now })
  beforeAll(async () => {
    world = await makeWorld()
    for (const customerId of ['a', 'b']) await create(world.runtime, { customerId })
    await send(world.runtime, 'revise-policy', { policy: 'penalties', reason: '试', value: { amounts: { duplicate: { amount: 5000, currency: 'CNY' }, wrongCategory: { amount: 300, currency: 'HKD' }, incomplete: null }, deadlineDays: 2 } })
  })
  afterAll(() => world.close())

  it('comes to the same rows live and in a rebuild, wherever a batch ended', async () => {
    const { runtime } = world
    const live = world.run(recordReports)
    await send(runtime, 'report-record', { customerId: 'a', kind: 'duplicate', duplicateOf: 'b', note }, behalfOf('admin'))
    await live.caughtUp()
    await send(runtime, 'dismiss-report', { reportId: pair, reason: '不是' }, chief)
    await send(runtime, 'report-record', { customerId: 'a', kind: 'duplicate', duplicateOf: 'b', note, newEvidence: '同一张身份证' }, behalfOf('admin'))
    await live.caughtUp()
    await send(runtime, 'uphold-report', { reportId: pair, decision: '是的' }, chief)
    await send(runtime, 'report-record', { customerId: 'a', kind: 'wrong-category', categoryId: 'partner', note: '合作伙伴' }, behalfOf('admin'))
    await send(runtime, 'recategorise-customer', { customerId: 'a', category: 'partner', reason: '更正', fields: {} })
    await send(runtime, 'uphold-report', { reportId: wrong, decision: '是的' }, chief)
    await send(runtime, 'report-record', { customerId: 'b', kind: 'wrong-category', categoryId: 'partner', note: '合作伙伴' }, behalfOf('admin'))
    await live.caughtUp()
    const rows = await dump(world.db, recordReports, 'live')
    await live.stop()
    await rebuild(world.rebuilding, recordReports)
    expect(await dump(world.db, recordReports, 'live')).toEqual(rows)
  })

  it('has each time a record was reported, the latest first, with judgement and penalty', async () => {
    expect((await find({})).map(({ reportId, round, status }) => [reportId === pair ? 'pair' : reportId === wrong ? 'wrong' : 'other', round, status])).toEqual([['other', 1, 'open'], ['wrong', 1, 'upheld'], ['pair', 2, 'upheld'], ['pair', 1, 'dismissed']])
    expect(await find({ reportId: pair })).toMatchObject([
      { round: 2, customerId: 'b', duplicateOf: 'a', against: 'clerk', reporterId: 'admin', note, newEvidence: '同一张身份证', said: '是的', judgedBy: 'manager', penalty: { amount: 5000, currency: 'CNY' }, policyVersion: 2, match: { score: expect.any(Number) } },
      { round: 1, note, newEvidence: null, said: '不是', penalty: null },
    ])
    expect((await find({ against: 'clerk', kind: 'wrong-category', status: 'upheld' })).map(({ reportId }) => reportId)).toEqual([wrong])
    expect((await find({ customerIds: ['b'] })).length).toBe(3)
    expect(await reportsOf(world.db, schema, 'a')).toEqual([pair, wrong])
  })

  it('says since when a record is in its right category, and no longer once it has left that', async () => {
    expect((await find({ reportId: wrong }))[0]?.resolvedAt).toEqual(expect.any(String))
    const live = world.run(recordReports)
    await send(world.runtime, 'recategorise-customer', { customerId: 'a', category: 'individual-retail', reason: '还是', fields: { source: 'referral' } })
    await live.caughtUp()
    expect((await find({ reportId: wrong }))[0]).toMatchObject({ resolvedAt: null, status: 'upheld' })
  })

  it('lists what is due, and what was not judged in time', async () => {
    const [open] = await find({ status: 'open' })
    const late = new Date(Date.now() + 3 * 86_400_000).toISOString()
    expect(await dueReports(world.db, schema, late, 10)).toEqual({ due: [{ reportId: open?.reportId, deadlineAt: open?.deadlineAt }], next: null })
    expect(await dueReports(world.db, schema, new Date().toISOString(), 10)).toEqual({ due: [], next: open?.deadlineAt })
    expect((await find({ overdue: true }, late)).map(({ reportId }) => reportId)).toEqual([open?.reportId])
    expect((await find({ overdue: true })).length).toBe(0)
    expect((await find({ overdue: false }, late)).length).toBe(3)
  })

  it('sums an employee’s penalties by currency', async () => {
    expect(await reportsOfEmployee(world.db, schema, 'clerk', 1)).toMatchObject({
      made: { open: 0, overdue: 0, upheld: 0, dismissed: 0 }, against: { open: 1, overdue: 0, upheld: 2, dismissed: 1 },
      penalties: [{ reportId: wrong, amount: 300, currency: 'HKD', by: 'manager' }], totals: [{ amount: 5000, currency: 'CNY' }, { amount: 300, currency: 'HKD' }],
    })
    expect((await reportsOfEmployee(world.db, schema, 'admin', 5)).made).toEqual({ open: 1, overdue: 0, upheld: 2, dismissed: 1 })
  })
})
