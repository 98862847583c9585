import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ownershipByReplay, portfolioByReplay } from '../../src/cli/replay.ts'
import { positionToken } from '../../src/commands/position.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import type { RecordedEvent } from '../../src/event-store/port.ts'
import { holdings } from '../../src/projections/ownership-history/portfolio.ts'
import { ownershipHistory } from '../../src/projections/ownership-history/project.ts'
import { ownershipPeriods, type KnownAt, type OwnershipPeriod } from '../../src/projections/ownership-history/queries.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { compareWithReplay } from '../../src/projections/rebuild.ts'
import { acceptedOf, behalfOf, create, makeWorld, send, type World } from './world.ts'

const HOUR = 3_600_000
const schema = schemaOf(ownershipHistory)
/** The owner, and since and until when: what every way of asking must agree on. */
type Held = Pick<OwnershipPeriod, 'ownerId' | 'from' | 'to' | 'basis' | 'revision'>
const held = ({ ownerId, from, to, basis, revision }: Held): Held => ({ ownerId, from, to, basis, revision })

const later = (time: string, ms: number): string => new Date(Date.parse(time) + ms).toISOString()

const eventsOf = (body: object): string[] => z.object({ events: z.array(z.object({ id: z.string() })).default([]) }).parse(body).events.map(({ id }) => id)
const Change = z.object({ ownerId: z.string().nullable().default(null), basis: z.string().default('first-entry'), correctsRevision: z.number().default(-1) })
const changes = ['CustomerCreated', 'OwnershipClaimed', 'OwnershipAssigned', 'OwnershipTransferred', 'OwnershipReleased', 'OwnershipCorrected']

/**
 * By brute force, from the log itself: of what was known (every event up to the first one recorded later), the owner
 * at an instant is the latest change by effective time not after it, ties by revision, until the next effective one.
 * What was corrected does not count; a correction at the same instant stands where that stood.
 */
const byBruteForce = (log: readonly RecordedEvent[], customerId: string, asOf: string | undefined, knownAt: KnownAt): Held[] => {
  const end = knownAt === undefined ? log.length : 'position' in knownAt ? log.filter((event) => event.position <= knownAt.position).length : log.findIndex((event) => event.metadata.recordedAt > knownAt.time)
  const told = (end < 0 ? log : log.slice(0, end)).filter((event) => event.stream === `customer-${customerId}` && changes.includes(event.type)).map((event) => ({
    ...Change.parse(event.data), at: event.metadata.effectiveAt ?? event.metadata.recordedAt, revision: event.revision, place: event.revision,
  }))
  for (const correction of told) {
    const named = told.find((one) => one.revision === correction.correctsRevision)
    if (named?.at === correction.at) correction.place = named.place
  }
  const known = told.filter(({ revision }) => !told.some((one) => one.correctsRevision === revision))
  const at = (instant: string): Held[] => {
    const latest = known.filter((change) => change.at <= instant).toSorted((a, b) => (a.at === b.at ? a.place - b.place : a.at < b.at ? -1 : 1)).at(-1)
    const next = known.filter((change) => change.at > instant).map((change) => change.at).toSorted()[0]
    return latest ? [{ ownerId: latest.ownerId, from: latest.at, to: next ?? null, basis: latest.basis, revision: latest.revision }] : []
  }
  return asOf === undefined ? [...new Set(known.map((change) => change.at))].toSorted().flatMap(at) : at(asOf)
}

describe('the history of ownership', () => {
  let world: World
  /** The organisation's clock, which a test moves on. */
  let clock: number
  let runtime: Runtime
  let runner: ReturnType<World['run']>
  beforeAll(async () => {
    world = await makeWorld()
    clock = Date.now()
    runtime = { ...world.runtime, now: () => new Date(clock) }
    runner = world.run(ownershipHistory)
    await runner.caughtUp()
    for (const employeeId of ['zhou', 'wu', 'zheng']) await send(runtime, 'register-employee', { employeeId, name: '员工', departmentId: 'head-office' })
  })
  afterAll(() => world.close())

  const readLog = async () => (await Array.fromAsync(world.store.readAll({ after: 0n, batchSize: 10_000 }))).flatMap((batch) => batch.events)

  /** Asks all three ways. */
  const agree = async (log: readonly RecordedEvent[], customerId: string, asOf: string | undefined, knownAt: KnownAt): Promise<number> => {
    const periods = await ownershipPeriods(world.db, schema, [customerId], { asOf, knownAt })
    const replayed = await ownershipByReplay({ runtime: world.runtime }, customerId, { asOf, knownAt: knownAt === undefined ? undefined : 'position' in knownAt ? positionToken(world.runtime, knownAt.position) : knownAt.time })
    const asked = `as of ${asOf ?? 'ever'}, known at ${JSON.stringify(knownAt, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`
    expect(periods, asked).toEqual(replayed)
    expect(periods.map(held), asked).toEqual(byBruteForce(log, customerId, asOf, knownAt))
    return periods.length
  }
  /** What there is to ask by: every time and place at which an answer may change, and just beside it. */
  const questions = (log: readonly RecordedEvent[], customerId: string): { asOf: (string | undefined)[]; knownAt: KnownAt[] } => {
    const mine = log.filter((event) => event.stream === `customer-${customerId}`)
    const around = (times: string[]) => [...new Set(times)].toSorted().flatMap((time) => [later(time, -1), time])
    return {
      asOf: [undefined, ...around(mine.map((event) => event.metadata.effectiveAt ?? event.metadata.recordedAt)), '9000-01-01T00:00:00.000Z'],
      knownAt: [undefined, ...around(mine.map((event) => event.metadata.recordedAt)).map((time) => ({ time })), ...mine.map((event) => ({ position: event.position }))],
    }
  }

  it('of a customer with ten changes, two of them backdated, is the same from the read model, from a replay and by brute force, at any two times', async () => {
    const begin = clock
    const at = (hours: number) => new Date(begin + hours * HOUR).toISOString()
    const { customerId } = await create(runtime, { effectiveAt: at(-100) })
    const change = async (hours: number, name: string, body: object, owner = 'clerk') => {
      clock = begin + hours * HOUR
      return send(runtime, name, { customerId, ...body }, behalfOf(owner))
    }
    await change(1, 'transfer-ownership', { to: 'zhou', reason: '区域调整' })
    await change(2, 'release-ownership', { reason: '不再跟进' })
    await change(3, 'claim-ownership', {}, 'wu')
    await change(4, 'transfer-ownership', { to: 'zheng', reason: '休假' })
    // Backdated, between others: it counts up to the next effective change.
    await change(5, 'release-ownership', { reason: '补录', effectiveAt: at(-50) })
    await change(6, 'release-ownership', { reason: '不再跟进' })
    await change(7, 'assign-ownership', { to: 'zhou', reason: '重新分配' })
    // Backdated to the very instant of another: the later entry counts.
    await change(8, 'claim-ownership', { effectiveAt: at(-50), reason: '更正' }, 'wu')
    await change(9, 'transfer-ownership', { to: 'clerk', reason: '回归' })
    const { position } = await change(10, 'release-ownership', { reason: '流失' })
    await runner.reaches(position)

    const log = await readLog()
    const { asOf, knownAt } = questions(log, customerId)
    let answers = 0
    for (const known of knownAt) for (const count of await Promise.all(asOf.map((instant) => agree(log, customerId, instant, known)))) answers += count
    expect(asOf.length * knownAt.length).toBeGreaterThan(700)
    expect(answers).toBeGreaterThan(700)

    // And the same asked the other way round: whom each held.
    const moments: KnownAt[] = [undefined, { time: at(4.5) }, { time: at(7.9) }, { position: log.find((event) => event.stream === `customer-${customerId}`)?.position ?? 0n }]
    for (const owner of ['zhou', 'wu']) {
      for (const instant of [at(-20), at(1.5), at(9.5)]) {
        for (const known of moments) {
          const held = await holdings(world.db, schema, { owners: [owner], at: instant }, known, { limit: 100 })
          const replayed = await portfolioByReplay({ runtime: world.runtime }, owner, { asOf: instant, knownAt: known === undefined ? undefined : 'position' in known ? positionToken(world.runtime, known.position) : known.time })
          expect(held).toEqual(replayed)
          const alone = await ownershipPeriods(world.db, schema, [customerId], { asOf: instant, knownAt: known })
          expect(held.some((one) => one.customerId === customerId)).toBe(alone[0]?.ownerId === owner)
        }
      }
    }

    const now = await ownershipPeriods(world.db, schema, [customerId])
    expect(now.map((period) => [period.ownerId, period.from])).toEqual([
      ['clerk', at(-100)], ['wu', at(-50)], ['zhou', at(1)], [null, at(2)], ['wu', at(3)], ['zheng', at(4)], [null, at(6)], ['zhou', at(7)], ['clerk', at(9)], [null, at(10)],
    ])
    expect(now[1]).toMatchObject({ to: at(1), basis: 'claim', actor: 'importer', onBehalfOf: 'wu', reason: '更正', policyVersion: 1, recordedAt: at(8) })
    // Who held it then, as one knew it before, between and after the corrections.
    const knownThen = async (time: string) => (await ownershipPeriods(world.db, schema, [customerId], { asOf: at(-20), knownAt: { time } })).map((period) => period.ownerId)
    expect([await knownThen(at(4.5)), await knownThen(at(5)), await knownThen(at(7.9)), await knownThen(at(8))]).toEqual([['clerk'], [null], [null], ['wu']])
  })

  it('keeps two changes at one instant: the later one counts, the earlier one holds for no instant', async () => {
    clock += HOUR
    const { customerId } = await create(runtime, { claim: false })
    clock += HOUR
    await send(runtime, 'claim-ownership', { customerId }, behalfOf('wu'))
    await send(runtime, 'release-ownership', { customerId, reason: '误领' })
    const { position } = await send(runtime, 'claim-ownership', { customerId }, behalfOf('zhou'))
    await runner.reaches(position)
    const instant = new Date(clock).toISOString()
    expect((await ownershipPeriods(world.db, schema, [customerId])).map((period) => [period.ownerId, period.from, period.to])).toEqual([[null, later(instant, -HOUR), instant], ['zhou', instant, null]])
    const { rows } = await sql<{ owner_id: string | null; effective_at: Date }>`
      select owner_id, effective_at from ${sql.table(`${schema}.ownership_period`)} where customer_id = ${customerId} and isempty(valid) and upper_inf(known) order by revision`.execute(world.db)
    expect(rows.map((row) => [row.owner_id, row.effective_at.toISOString()])).toEqual([['wu', instant], [null, instant]])
    const log = await readLog()
    const { asOf, knownAt } = questions(log, customerId)
    for (const known of knownAt) await Promise.all(asOf.map((one) => agree(log, customerId, one, known)))
  })

  it('with an overlap is refused by Postgres itself', async () => {
    clock += HOUR
    const { customerId, position } = await create(runtime)
    await runner.reaches(position)
    const insert = (valid: string, known: string) => sql`
      insert into ${sql.table(`${schema}.ownership_period`)} (customer_id, owner_id, basis, actor, effective_at, recorded_at, revision, place, ordinal, valid, known)
      values (${customerId}, 'zhou', 'claim', 'hand', now(), now(), 9, 9, 9, ${valid}::tstzrange, ${known}::int8range)`.execute(world.db)
    await expect(insert(`[${new Date(clock).toISOString()},)`, `[${position},)`)).rejects.toMatchObject({ code: '23P01', constraint: 'one_owner_at_a_time' })
    // Beside it on either axis there is room.
    await insert(`[${new Date(clock).toISOString()},)`, `[1,${position - 1n})`)
    await insert('[2000-01-01,2000-01-02)', `[${position},)`)
    expect(await compareWithReplay(world.rebuilding, ownershipHistory)).toMatchObject([{ table: 'ownership_period', onlyLive: 2, onlyReplayed: 0 }])
    await sql`delete from ${sql.table(`${schema}.ownership_period`)} where actor = 'hand'`.execute(world.db)
  })

  it('answers the same all three ways after any commands about ownership, in any order, backdated or not', async () => {
    const employee = fc.constantFrom('clerk', 'zhou', 'wu', 'zheng')
    const step = fc.record({
      command: fc.constantFrom('claim-ownership', 'assign-ownership', 'transfer-ownership', 'release-ownership', 'correct-ownership', 'correct-ownership'),
      corrects: fc.nat(),
      employee,
      passed: fc.constantFrom(0, 0, 1, 3),
      back: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
    })
    let accepted = 0
    let refused = 0
    let corrections = 0
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), fc.boolean(), fc.infiniteStream(fc.nat()), async (steps, claim, picks) => {
      clock += HOUR
      const created = await handleNamed(runtime, 'create-customer', { category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, claim, effectiveAt: new Date(clock - 20 * HOUR).toISOString() }, { caller: behalfOf('clerk') })
      const { customerId } = acceptedOf(runtime, created)
      const ids = eventsOf(created.body)
      for (const { command, employee: who, passed, back, corrects } of steps) {
        clock += passed * HOUR
        const effectiveAt = back === undefined || (command === 'correct-ownership' && corrects % 2 === 0) ? {} : { effectiveAt: new Date(clock - back * HOUR).toISOString() }
        const to = command === 'correct-ownership' ? { corrects: ids[corrects % ids.length], ownerId: corrects % 3 === 0 ? null : who }
          : command === 'claim-ownership' || command === 'release-ownership' ? {} : { to: who }
        const answer = await handleNamed(runtime, command, { customerId, reason: '调整', ...to, ...effectiveAt }, { caller: behalfOf(who) })
        expect([200, 409, 422]).toContain(answer.status)
        ids.push(...eventsOf(answer.body))
        if (answer.status === 200) accepted += 1
        else refused += 1
        if (answer.status === 200 && command === 'correct-ownership') corrections += 1
      }
      await runner.caughtUp()
      const log = await readLog()
      const { asOf, knownAt } = questions(log, customerId)
      const pick = <T>(from: readonly T[]) => from[picks.next().value % from.length]
      await Promise.all(Array.from({ length: 24 }, () => agree(log, customerId, pick(asOf), pick(knownAt))))
      for (const one of [undefined, ...asOf.slice(0, 3)]) await agree(log, customerId, one, undefined)
    }), { seed: 20260303, numRuns: 30 })
    expect(accepted).toBeGreaterThan(60)
    expect(refused).toBeGreaterThan(20)
    expect(corrections).toBeGreaterThan(20)
    expect(await compareWithReplay(world.rebuilding, ownershipHistory)).toEqual([])
  })
})
