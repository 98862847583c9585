import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accepted, startService, until, type Sender, type TestService } from '../support/http.ts'
import { appendHistories, employeeIds, sampleHistories, stageNames, tierNames, visitsOf, type Visit } from '../support/lifecycle.ts'
import { enter, organise, refused } from './people.ts'

const Funnel = z.object({
  period: z.object({ from: z.string().nullable(), to: z.string().nullable() }),
  items: z.array(z.looseObject({ stage: z.string(), entered: z.number(), customers: z.number(), movedOn: z.number(), lost: z.number(), backward: z.number(), stillThere: z.number(), conversion: z.number().nullable(), standing: z.number(), next: z.array(z.object({ to: z.string(), move: z.string(), entries: z.number() })) })),
})
const Items = z.object({ items: z.array(z.record(z.string(), z.unknown())) })
const Matrices = z.object({ stages: z.array(z.looseObject({ to: z.string(), transitions: z.number() })), tiers: z.array(z.looseObject({})) })
const Position = z.object({ asOf: z.object({ position: z.string() }) })

const analyses = ['funnel', 'time-in-stage', 'transitions', 'tiers'] as const
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()

describe('lifecycle analytics', () => {
  let service: TestService
  let analyst: Sender
  let stays: Visit[]
  const ask = async (analysis: string, query = '', accept?: string) => {
    const answer = await analyst.get(`/analytics/lifecycle/${analysis}?${query}`, accept === undefined ? {} : { accept })
    expect(answer.status, answer.text).toBe(200)
    return answer
  }
  const funnelOf = async (query: string) => Funnel.parse((await ask('funnel', query)).json)
  const enteredOf = async (query: string) => Object.fromEntries((await funnelOf(query)).items.map((item) => [item.stage, item.entered]))
  const countOf = (visits: readonly Visit[]) => Object.fromEntries(stageNames.map((stage) => [stage, visits.filter((visit) => visit.name === stage).length]))

  beforeAll(async () => {
    service = await startService()
    analyst = service.as('analyst')
  })
  afterAll(() => service.close())

  it('of nobody: every stage and tier of the policy, with nothing', async () => {
    const nothing = { entered: 0, customers: 0, movedOn: 0, lost: 0, backward: 0, stillThere: 0, conversion: null, standing: 0, next: [] }
    expect((await ask('funnel')).json).toMatchObject({ period: { from: null, to: null }, items: stageNames.map((stage) => ({ stage, ...nothing })) })
    expect((await ask('time-in-stage')).json).toMatchObject({ items: stageNames.map((stage) => ({ stage, n: 0, events: 0, censored: 0, medianDays: null, p75Days: null, p90Days: null })) })
    expect((await ask('transitions')).json).toMatchObject({ stages: [], tiers: [] })
    expect((await ask('tiers', 'asOf=2026-03-31')).json).toMatchObject({ items: tierNames.map((tier) => ({ tier, customers: 0 })) })
    expect((await ask('funnel', '', 'text/csv')).text.split('\n').slice(0, 2)).toEqual(['stage,entered,customers,movedOn,lost,backward,stillThere,conversion,standing,to:target,to:prospect,to:active,to:dormant,to:lost', 'target,0,0,0,0,0,0,,0,0,0,0,0,0'])
    expect((await ask('transitions', '', 'text/csv')).text).toBe('axis,from,to,move,backward,customers,transitions\n')
  })

  it('a parameter that is none is refused by name, all of them at once', async () => {
    const bad = async (path: string, ...names: string[]) => expect(refused(await analyst.get(`/analytics/lifecycle/${path}`), 400, 'invalid-parameters').errors.map((error) => error.path).sort(), path).toEqual(names.sort())
    for (const analysis of ['funnel', 'time-in-stage', 'transitions']) {
      await bad(`${analysis}?from=yesterday&to=2026-02-30&category=nowhere&departmentId=nobody`, 'from', 'to', 'category', 'departmentId')
      await bad(`${analysis}?from=2026-03-02&to=2026-03-01`, 'from')
      await bad(`${analysis}?category=%2F%2F`, 'category')
      await bad(`${analysis}?since=2026-03-01`, 'since')
    }
    await bad('tiers?asOf=2026-13-01&from=never', 'asOf', 'from')
    await bad('tiers?asOf=2026-03-01&from=2026-03-02', 'from')
    await bad('funnel?from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z', 'from')
    expect((await ask('tiers', 'asOf=2026-03-01T00:00:00Z&from=2026-03-01T00:00:00Z')).status).toBe(200)
    for (const analysis of analyses) refused(await service.as('clerk').get(`/analytics/lifecycle/${analysis}`), 403, 'read-not-permitted')
  })

  it('counts whom it is asked to count: a category with those below it, a department with those below it', async () => {
    await organise(service, { north: null, 'north-1': 'north', south: null, empty: null }, { [employeeIds[0]]: 'north', [employeeIds[1]]: 'north-1', [employeeIds[2]]: 'south' })
    const all = sampleHistories(60, 11)
    const [log = ''] = Position.parse((await ask('standing')).json).asOf.position.split('.')
    const after = `after=${log}.${await appendHistories(service.core.runtime, all)}`
    stays = all.flatMap((history) => visitsOf(history, 'stage'))
    expect(await enteredOf(after)).toEqual(countOf(stays))
    for (const category of ['supplier', 'supplier-software', 'individual-retail']) {
      expect(await enteredOf(`category=${category}`), category).toEqual(countOf(stays.filter((stay) => stay.category === category || (category === 'supplier' && stay.category === 'supplier-software'))))
    }
    for (const [departmentId, employees] of [['north', [employeeIds[0], employeeIds[1]]], ['north-1', [employeeIds[1]]], ['south', [employeeIds[2]]], ['empty', []]] as const) {
      expect(await enteredOf(`departmentId=${departmentId}`), departmentId).toEqual(countOf(stays.filter((stay) => employees.some((one) => one === stay.responsibleId))))
    }
  })

  it('a day is the organisation’s: from its beginning, up to its end', async () => {
    const [byDay, byInstant] = await Promise.all([funnelOf('from=2026-02-01&to=2026-02-28'), funnelOf('from=2026-02-01T00:00:00%2B08:00&to=2026-02-28T16:00:00Z')])
    expect(byDay).toEqual(byInstant)
    expect(byDay.period).toEqual({ from: '2026-01-31T16:00:00.000Z', to: '2026-02-28T16:00:00.000Z' })
    expect(Object.fromEntries(byDay.items.map((item) => [item.stage, item.entered]))).toEqual(countOf(stays.filter((stay) => stay.start >= '2026-01-31T16:00:00.000Z' && stay.start < '2026-02-28T16:00:00.000Z')))
    // Periods laid end to end hold everything once.
    const [whole, first, second] = await Promise.all([enteredOf('from=2026-01-01&to=2026-03-31'), enteredOf('from=2026-01-01&to=2026-02-14'), enteredOf('from=2026-02-15&to=2026-03-31')])
    expect(whole).toEqual(Object.fromEntries(stageNames.map((stage) => [stage, (first[stage] ?? 0) + (second[stage] ?? 0)])))
    const tiers = async (asOf: string) => Items.parse((await ask('tiers', `asOf=${asOf}`)).json).items
    expect(await tiers('2026-02-28')).toEqual(await tiers('2026-02-28T15:59:59.999Z'))
  })

  it('the analyses agree with each other', async () => {
    const period = 'from=2026-01-15&to=2026-03-15'
    const { items } = await funnelOf(period)
    const matrices = Matrices.parse((await ask('transitions', period)).json)
    const times = Items.parse((await ask('time-in-stage', period)).json).items
    for (const { stage, entered, movedOn, lost, backward, stillThere, conversion, next } of items) {
      expect(entered).toBeGreaterThan(0)
      expect(movedOn + lost + backward + stillThere).toBe(entered)
      expect(conversion).toBe(movedOn / entered)
      expect(next.reduce((sum, exit) => sum + exit.entries, 0)).toBe(entered - stillThere)
      expect(matrices.stages.filter((cell) => cell.to === stage).reduce((sum, cell) => sum + cell.transitions, 0)).toBe(entered)
      expect(times.find((time) => time['stage'] === stage)).toMatchObject({ n: entered, events: entered - stillThere, censored: stillThere })
    }
  })

  it('CSV and NDJSON hold what JSON does', async () => {
    const period = 'from=2026-01-01&to=2026-03-31'
    const lines = async (analysis: string, accept: string) => (await ask(analysis, period, accept)).text.trimEnd().split('\n')
    const asText = (value: unknown) => (value === null ? '' : String(value))
    for (const [analysis, query] of [['time-in-stage', period], ['tiers', 'asOf=2026-03-31']] as const) {
      const { items } = Items.parse((await ask(analysis, query)).json)
      const [header, ...rows] = (await ask(analysis, query, 'text/csv')).text.trimEnd().split('\n')
      expect([header, ...rows]).toEqual([Object.keys(items[0] ?? {}).join(','), ...items.map((item) => Object.values(item).map(asText).join(','))])
      expect((await ask(analysis, query, 'application/x-ndjson')).text.trimEnd().split('\n').map((line): unknown => JSON.parse(line))).toEqual(items)
    }
    const { items } = await funnelOf(period)
    expect((await lines('funnel', 'application/x-ndjson')).map((line): unknown => JSON.parse(line))).toEqual(items)
    const [, ...csv] = await lines('funnel', 'text/csv')
    expect(csv).toEqual(items.map(({ next, ...item }) => [...Object.values(item), ...stageNames.map((to) => next.filter((exit) => exit.to === to).reduce((sum, exit) => sum + exit.entries, 0))].map(asText).join(',')))
    const { stages, tiers } = Matrices.parse((await ask('transitions', period)).json)
    expect((await lines('transitions', 'application/x-ndjson')).map((line): unknown => JSON.parse(line))).toEqual([...stages.map((cell) => ({ axis: 'stage', ...cell })), ...tiers.map((cell) => ({ axis: 'tier', ...cell }))])
    expect(await lines('transitions', 'text/csv')).toHaveLength(1 + stages.length + tiers.length)
  })

  it('a purchase entered late changes the figures from when it was bought', async () => {
    await organise(service, { east: null }, { qian: 'east' })
    const qian = service.as('clerk', 'qian')
    const { customerId } = await enter(qian, { effectiveAt: daysAgo(40) })
    const at = (days: number, more = '') => `departmentId=east&to=${daysAgo(days)}${more}`
    const standingAt = async (days: number) => (await funnelOf(at(days))).items.filter((item) => item.standing > 0).map((item) => item.stage)
    accepted(await qian.send('record-purchase', { customerId, purchaseId: 'late', at: daysAgo(30), amount: { amount: 6_000_000, currency: 'CNY' } }))
    await until(async () => (await standingAt(0)).includes('active'))
    expect([await standingAt(41), await standingAt(39), await standingAt(31), await standingAt(29)]).toEqual([[], ['target'], ['target'], ['active']])
    expect((await funnelOf(at(20, `&from=${daysAgo(45)}`))).items.find((item) => item.stage === 'target')).toMatchObject({ entered: 1, movedOn: 1, conversion: 1, next: [{ to: 'active', move: 'progress', entries: 1 }] })
    const time = Items.parse((await ask('time-in-stage', at(0))).json).items.find((item) => item['stage'] === 'target')
    expect(time).toMatchObject({ n: 1, events: 1, medianDays: expect.closeTo(10, 3) })
    // Its spend grants the next tier, too: from when that was decided.
    await until(async () => Items.parse((await ask('tiers', 'departmentId=east')).json).items.some((item) => item['tier'] === 'preferred' && item['upInto'] === 1))
    expect(Items.parse((await ask('tiers', `departmentId=east&asOf=${daysAgo(1)}`)).json).items).toContainEqual({ tier: 'standard', customers: 1, entered: 1, upInto: 0, downInto: 0, upFrom: 0, downFrom: 0 })
  })
})
