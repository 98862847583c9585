import fc from 'fast-check'
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { kaplanMeier, quantile } from '../../src/projections/lifecycle/kaplan-meier.ts'
import { lifecycle } from '../../src/projections/lifecycle/project.ts'
import { funnel, lostStages, tierStanding, timeInStage, transitionMatrix, type Period, type Population } from '../../src/projections/lifecycle/queries.ts'
import { schemaOf, type ProjectedEvent } from '../../src/projections/projection.ts'
import { createTables } from '../../src/projections/table.ts'
import { makeDatabase, openPool, type TestDatabase } from '../support/database.ts'
import { categoryIds, employeeIds, histories, point, POINTS, stageNames, visitsOf, type History, type Visit } from '../support/lifecycle.ts'
import { dump } from './world.ts'
import { kyselyOn } from '../../src/projections/kysely.ts'

const schema = schemaOf(lifecycle)
const lost = lostStages(defaultPolicies.stages)
const DAY_MS = 86_400_000

/** The log of these histories: each in its own order, the next event from whichever `draw` says. */
const logOf = (all: readonly History[], draw: readonly number[]): ProjectedEvent[] => {
  const queues = all.map(({ customerId, events }) => ({ customerId, events: [...events] }))
  const log: ProjectedEvent[] = []
  for (let n = 0; queues.some((queue) => queue.events.length > 0); n += 1) {
    const open = queues.filter((queue) => queue.events.length > 0)
    const queue = open[(draw[n % Math.max(1, draw.length)] ?? 0) % open.length]
    const event = queue?.events.shift()
    if (queue && event) log.push({ kind: 'customer', id: queue.customerId, event, position: BigInt(log.length + 1), ordinal: BigInt(log.length + 1), recordedMax: event.recordedAt, eventId: `event-${log.length + 1}` })
  }
  return log
}

// The same figures, counted one visit at a time.
const inPeriod = (time: string, { from, to }: Period) => (from === null || time >= from) && (to === null || time < to)
const endedBy = (visit: Visit, { to }: Period): visit is Visit & { end: string; next: string; move: string } => visit.end !== null && (to === null || visit.end < to)
const belongs = (visit: Visit, { categories, employees }: Population) => (categories?.includes(visit.category) ?? true) && (employees === undefined || (visit.responsibleId !== null && employees.includes(visit.responsibleId)))
const atEndOf = (visit: Visit, period: Period) => (period.to === null || visit.start < period.to) && !endedBy(visit, period)

const outcomeOf = (visit: Visit, period: Period) => {
  if (!endedBy(visit, period)) return 'stillThere'
  if (visit.move === 'progress' || visit.move === 'won-back') return 'movedOn'
  return visit.move === 'setback' && visit.next === 'lost' ? 'lost' : 'backward'
}

const funnelByHand = (visits: readonly Visit[], period: Period) => [...stageNames].sort().flatMap((stage) => {
  const there = visits.filter((visit) => visit.name === stage)
  const entries = there.filter((visit) => inPeriod(visit.start, period))
  const outcomes = entries.map((visit) => outcomeOf(visit, period))
  const count = (outcome: string) => outcomes.filter((one) => one === outcome).length
  const standing = there.filter((visit) => atEndOf(visit, period)).length
  const exits = entries.flatMap((visit) => (endedBy(visit, period) ? [`${visit.next} ${visit.move}`] : []))
  const next = [...new Set(exits)].sort().map((exit) => ({ to: exit.split(' ')[0], move: exit.split(' ')[1], entries: exits.filter((one) => one === exit).length }))
  return entries.length === 0 && standing === 0 ? [] : [{
    stage, entered: entries.length, customers: new Set(entries.map((visit) => visit.customerId)).size, movedOn: count('movedOn'), lost: count('lost'), backward: count('backward'), stillThere: count('stillThere'),
    conversion: entries.length === 0 ? null : count('movedOn') / entries.length, standing, next,
  }]
})

const timesByHand = (visits: readonly Visit[], period: Period & { to: string }) => [...stageNames].sort().flatMap((stage) => {
  const entries = visits.filter((visit) => visit.name === stage && inPeriod(visit.start, period))
  const observed = entries.map((visit) => {
    const ended = endedBy(visit, period)
    return { time: Date.parse(ended ? visit.end : period.to) - Date.parse(visit.start), events: ended ? 1 : 0, censored: ended ? 0 : 1 }
  })
  const events = observed.filter((one) => one.events === 1).length
  const days = (share: number) => {
    const ms = quantile(kaplanMeier(observed), share)
    return ms === null ? null : ms / DAY_MS
  }
  return entries.length === 0 ? [] : [{ stage, n: entries.length, events, censored: entries.length - events, medianDays: days(0.5), p75Days: days(0.75), p90Days: days(0.9) }]
})

const matrixByHand = (visits: readonly Visit[], period: Period) => {
  const entries = visits.filter((visit) => inPeriod(visit.start, period))
  return [...Map.groupBy(entries, ({ from, name, by }) => JSON.stringify([from ?? '', name, by]))].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, same]) => ({
    from: same[0]?.from, to: same[0]?.name, move: same[0]?.by, backward: ['setback', 'correction', 'down'].includes(same[0]?.by ?? ''), customers: new Set(same.map((visit) => visit.customerId)).size, transitions: same.length,
  }))
}

describe('lifecycle analytics', () => {
  let database: TestDatabase
  let db: Kysely<unknown>
  beforeAll(async () => {
    database = await makeDatabase()
    db = kyselyOn(openPool(database.url, { max: 2 }))
    await sql`create schema ${sql.id(schema)}`.execute(db)
    await createTables(db, schema, lifecycle.tables)
  })
  afterAll(async () => {
    await db.destroy()
    await database.drop()
  })
  const empty = () => sql`truncate ${sql.join(lifecycle.tables.map((table) => sql.id(schema, table.name)))}`.execute(db)
  beforeEach(empty)

  /** Projects a log in batches of these sizes, over and over. */
  const project = async (log: readonly ProjectedEvent[], sizes: readonly number[] = [log.length]) => {
    for (let at = 0, n = 0; at < log.length; n += 1) {
      const size = Math.max(1, sizes[n % sizes.length] ?? 1)
      const batch = log.slice(at, at + size)
      await db.transaction().execute((trx) => lifecycle.project(trx, schema, batch))
      at += size
    }
  }
  const instants = fc.option(fc.nat(POINTS).map(point))
  const periods = fc.tuple(instants, instants).map(([a, b]): Period => (a !== null && b !== null && a > b ? { from: b, to: a } : { from: a, to: b }))
  const populations: fc.Arbitrary<Population> = fc.record({ categories: fc.option(fc.subarray([...categoryIds]), { nil: undefined }), employees: fc.option(fc.subarray([...employeeIds]), { nil: undefined }) })

  it('counts what one counts by hand, for any history, period and population, in whatever batches it was read', async () => {
    await fc.assert(fc.asyncProperty(
      histories({ maxLength: 15 }), fc.array(fc.nat(50), { minLength: 1 }), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }), fc.array(fc.tuple(periods, populations), { minLength: 3, maxLength: 3 }),
      async (all, draw, sizes, questions) => {
        await empty()
        await project(logOf(all, draw), sizes)
        for (const [period, population] of questions) {
          const [stages, tiers] = (['stage', 'tier'] as const).map((axis) => all.flatMap((history) => visitsOf(history, axis)).filter((visit) => belongs(visit, population)))
          expect(await funnel(db, schema, period, population, lost)).toEqual(funnelByHand(stages ?? [], period))
          const ending = { ...period, to: period.to ?? point(POINTS + 1) }
          expect(await timeInStage(db, schema, ending, population)).toEqual(timesByHand(stages ?? [], ending))
          for (const [axis, visits] of [['stage', stages], ['tier', tiers]] as const) expect(await transitionMatrix(db, schema, axis, period, population)).toEqual(matrixByHand(visits ?? [], period))
          // What there was, and came, less what went, is what there is.
          const before = await tierStanding(db, schema, { from: null, to: period.from ?? point(-1) }, population)
          const after = await tierStanding(db, schema, period, population)
          for (const { tier, customers, ...moves } of after) {
            expect(customers).toBe(tiers?.filter((visit) => visit.name === tier && atEndOf(visit, period)).length)
            expect(customers).toBe((before.find((row) => row.tier === tier)?.customers ?? 0) + moves.entered + moves.upInto + moves.downInto - moves.upFrom - moves.downFrom)
          }
        }
      },
    ), { numRuns: 25 })
  })

  it('keeps the same rows in whatever batches the log is read, and who is responsible as the customer itself has it', async () => {
    await fc.assert(fc.asyncProperty(histories({ minLength: 1, maxLength: 10 }), fc.array(fc.nat(50), { minLength: 1 }), fc.integer({ min: 1, max: 7 }), async (all, draw, size) => {
      const log = logOf(all, draw)
      await empty()
      await project(log)
      const atOnce = await dump(db, lifecycle)
      await empty()
      await project(log, [size])
      expect(await dump(db, lifecycle)).toEqual(atOnce)
      const { rows } = await sql<{ customer_id: string; responsible_id: string | null }>`select customer_id, responsible_id from ${sql.id(schema, 'customer')}`.execute(db)
      expect(new Map(rows.map((row) => [row.customer_id, row.responsible_id]))).toEqual(new Map(all.map((history) => [history.customerId, visitsOf(history, 'stage')[0]?.responsibleId])))
    }), { numRuns: 10 })
  })

  const [noon, evening, night, later] = ['2026-03-03T04:00:00.000Z', '2026-03-03T10:00:00.000Z', '2026-03-03T16:00:00.000Z', '2026-03-13T16:00:00.000Z'] as const
  const stageChanged = (from: string, to: string, move: string) => ({ type: 'StageChanged' as const, data: { from, to, move, cause: 'command' as const, reason: null } })
  /** One customer, target at noon and then as told. */
  const one = async (...moves: readonly [string, ReturnType<typeof stageChanged>][]) => {
    const created = { type: 'CustomerCreated' as const, data: { category: 'enterprise', template: [], name: { erased: true as const }, fields: {}, identifiers: [], contacts: [], stage: 'target', tier: 'standard', enteredBy: null, enteredAt: null } }
    const common = { recordedAt: later, actor: 'clerk', onBehalfOf: null, policies: [] }
    const events = [{ ...created, ...common, revision: 0, effectiveAt: noon, commandId: '0' }, ...moves.map(([effectiveAt, event], index) => ({ ...event, ...common, revision: index + 1, effectiveAt, commandId: `${index + 1}` }))]
    await project(logOf([{ customerId: 'c', events }], [0]))
  }
  const stageOf = async (stage: string, period: Period) => (await funnel(db, schema, period, {}, lost)).find((row) => row.stage === stage)

  it('a period holds its beginning and not its end', async () => {
    await one([evening, stageChanged('target', 'prospect', 'progress')])
    expect(await stageOf('target', { from: noon, to: evening })).toMatchObject({ entered: 1, movedOn: 0, stillThere: 1, standing: 1 })
    expect(await stageOf('prospect', { from: noon, to: evening })).toBeUndefined()
    expect(await stageOf('prospect', { from: evening, to: night })).toMatchObject({ entered: 1, standing: 1 })
    expect(await stageOf('target', { from: evening, to: night })).toBeUndefined()
    expect(await stageOf('target', { from: noon, to: '2026-03-03T10:00:00.001Z' })).toMatchObject({ entered: 1, movedOn: 1, conversion: 1, stillThere: 0, standing: 0, next: [{ to: 'prospect', move: 'progress', entries: 1 }] })
    expect(await timeInStage(db, schema, { from: noon, to: evening }, {})).toEqual([{ stage: 'target', n: 1, events: 0, censored: 1, medianDays: null, p75Days: null, p90Days: null }])
    expect(await timeInStage(db, schema, { from: noon, to: night }, {})).toContainEqual({ stage: 'target', n: 1, events: 1, censored: 0, medianDays: 0.25, p75Days: 0.25, p90Days: 0.25 })
  })

  it('a move recorded later, and said to have been earlier than the stay it ends, ends it where it began', async () => {
    await one([night, stageChanged('target', 'prospect', 'progress')], [evening, stageChanged('prospect', 'active', 'progress')], [later, stageChanged('active', 'lost', 'setback')])
    expect(await funnel(db, schema, { from: null, to: null }, {}, lost)).toMatchObject([
      { stage: 'active', entered: 1, lost: 1 }, { stage: 'lost', standing: 1 }, { stage: 'prospect', entered: 1, movedOn: 1, standing: 0 }, { stage: 'target', entered: 1, movedOn: 1 },
    ])
    expect((await timeInStage(db, schema, { from: null, to: later }, {})).map(({ stage, medianDays }) => [stage, medianDays])).toEqual([['active', null], ['prospect', 0], ['target', 0.5]])
    expect((await dump(db, lifecycle))['stay']).toHaveLength(5)
  })

  it('says nothing of nobody', async () => {
    const period = { from: null, to: later }
    expect([await funnel(db, schema, period, {}, lost), await timeInStage(db, schema, period, {}), await transitionMatrix(db, schema, 'tier', period), await tierStanding(db, schema, period, {})]).toEqual([[], [], [], []])
    await one()
    expect(await funnel(db, schema, period, { categories: [] }, lost)).toEqual([])
    expect(await funnel(db, schema, period, { employees: ['wang'] }, lost)).toEqual([])
  })

  it('knows where a customer is lost, whatever the policy calls it', () => {
    expect(lost).toEqual(['lost'])
    const move = (from: string, to: string, kind: 'progress' | 'setback' | 'won-back') => ({ from, to, kind, reasonRequired: false })
    const labels = { en: 'Stage', zh: '阶段' }
    const stages = ['growth', 'maturity', 'decline', 'end'].map((name) => ({ name, labels, completeness: 0 }))
    const moves = [move('growth', 'maturity', 'progress'), move('maturity', 'decline', 'setback'), move('decline', 'maturity', 'won-back'), move('decline', 'end', 'setback')]
    expect(lostStages({ initial: 'growth', stages, moves, onPurchase: null })).toEqual(['end'])
  })
})
