import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { handleNamed } from '../../src/commands/send.ts'
import { handovers } from '../../src/projections/handovers/project.ts'
import { compareWithReplay } from '../../src/projections/rebuild.ts'
import { behalfOf, send } from '../projections/world.ts'
import { attempt, claimLate, dying, enterFor, expectHandedOver, makeHandoverWorld, type HandoverWorld } from './handovers.world.ts'

const Preview = z.looseObject({ handover: z.object({ from: z.string(), rule: z.looseObject({}), held: z.number(), to: z.array(z.object({ employeeId: z.string(), customers: z.number() })), pool: z.number() }) })
const admin = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null } as const

describe('customers of who departs, or whose portfolio is transferred', () => {
  let world: HandoverWorld
  let teams = 0
  beforeAll(async () => {
    world = await makeHandoverWorld()
  })
  afterAll(() => world.close())

  /** A department of its own, with these employees, and how a test speaks of them. */
  const team = async (...names: string[]) => {
    const id = `t${(teams += 1)}`
    const called = (name: string) => `${id}-${name}`
    await send(world.runtime, 'register-department', { departmentId: id, name: '团队' })
    for (const name of names) await send(world.runtime, 'register-employee', { employeeId: called(name), name: '员工', departmentId: id })
    const depart = (name: string, handover?: object) => send(world.runtime, 'depart-employee', { employeeId: called(name), reason: '离职', ...(handover ? { handover } : {}) })
    const enter = async (owner: string, count: number, more: object = {}, of = owner) => {
      for (let n = 1; n <= count; n += 1) await enterFor(world, called(owner), called(`${of}${n}`), more)
    }
    const owners = async () => Object.fromEntries((await world.ledger(called('leaver')))[0]?.customers.map(({ customerId, to }) => [customerId.slice(id.length + 1), to?.slice(id.length + 1) ?? null]) ?? [])
    return { id, called, depart, enter, owners }
  }

  it('go to colleagues by load, as the dry run said; the ledger has each of them, and those that come later go the same way', async () => {
    const { id, called, depart, enter, owners } = await team('leaver', 'a', 'b')
    await enter('leaver', 9)
    await enter('a', 3)
    const rule = { to: 'department', departmentId: id, by: 'load' }
    await world.runner.caughtUp()
    const preview = await handleNamed({ ...world.runtime, handovers: world.book }, 'depart-employee', { employeeId: called('leaver'), reason: '离职', handover: rule }, { caller: admin, dryRun: true })
    expect(Preview.parse(preview.body).handover).toEqual({ from: called('leaver'), rule, held: 9, to: [{ employeeId: called('a'), customers: 3 }, { employeeId: called('b'), customers: 6 }], pool: 0 })
    await depart('leaver', rule)
    await world.settle()
    const [first] = await world.ledger(called('leaver'))
    expect(first).toMatchObject({ cause: 'departure', rule, ruleBy: 'command', startedBy: 'admin', held: 9, later: 0, moved: 9, pooled: 0, otherwise: 0, remaining: 0, completedAt: expect.any(String) })
    const counts = Object.values(await owners()).reduce<Record<string, number>>((all, to) => ({ ...all, [to ?? 'pool']: (all[to ?? 'pool'] ?? 0) + 1 }), {})
    expect(counts).toEqual({ a: 3, b: 6 })
    expect(first?.customers.map(({ customerId }) => customerId)).toEqual(Array.from({ length: 9 }, (_, index) => called(`leaver${index + 1}`)))

    // A claim that was under way lands on who has departed: it is handed over as it appears.
    await claimLate(world, called('leaver'), called('late'))
    await world.settle()
    const [after] = await world.ledger(called('leaver'))
    expect(after).toMatchObject({ held: 9, later: 1, moved: 10, remaining: 0, completedAt: first?.completedAt })
    await depart('a')
    await world.settle()
    expectHandedOver(await world.readLog())
  })

  it('go to nobody round in circles: two who name each other leave theirs to the pool, and so does a department without anybody', async () => {
    const { id, called, depart, enter } = await team('leaver', 'b', 'c')
    await enter('leaver', 3)
    await enter('b', 2)
    await enter('c', 2)
    await depart('leaver', { to: 'successor', employeeId: called('b') })
    await depart('b', { to: 'successor', employeeId: called('c') })
    await depart('c', { to: 'department', departmentId: id, by: 'tier' })
    await world.settle()
    expectHandedOver(await world.readLog())
    const completed = (await world.readLog()).flatMap(({ kind, event }) => (kind === 'handover' && event.type === 'HandoverCompleted' ? [event.data] : []))
    const [ofLeaver, ofB, ofC] = await Promise.all(['leaver', 'b', 'c'].map(async (name) => (await world.ledger(called(name)))[0]))
    expect([ofLeaver?.pooled, ofB?.pooled, ofC?.pooled]).toEqual([3, 2, 2])
    expect(completed.slice(-3).map(({ unplaced }) => unplaced).toSorted()).toEqual([2, 2, 3])
  })

  it('by a transfer are those held when it began, of a tier where it says so; what is gained later stays', async () => {
    const { called, enter } = await team('giver', 'taker')
    await enter('giver', 4)
    await send(world.runtime, 'upgrade-tier', { customerId: called('giver2'), to: 'premier', basis: 'approval', evidence: '批' }, behalfOf(called('giver')))
    const of = { from: called('giver'), handover: { to: 'successor', employeeId: called('taker') }, reason: '区域调整' }
    await send(world.runtime, 'transfer-portfolio', { ...of, tier: 'premier' })
    await send(world.runtime, 'release-ownership', { customerId: called('giver3'), reason: '释放' }, behalfOf(called('giver')))
    await send(world.runtime, 'transfer-portfolio', of)
    await send(world.runtime, 'claim-ownership', { customerId: called('giver3') }, behalfOf(called('giver')))
    await world.settle()
    const [all, premier] = await world.ledger(called('giver'))
    expect(premier).toMatchObject({ held: 1, moved: 1, only: { tier: 'premier' }, customers: [{ customerId: called('giver2'), outcome: 'moved', to: called('taker') }] })
    expect(all?.customers.filter(({ outcome }) => outcome === 'moved').map(({ customerId }) => customerId)).toEqual([called('giver1'), called('giver4')])
    expect(all).toMatchObject({ remaining: 0, completedAt: expect.any(String) })
    expectHandedOver(await world.readLog())
    expect((await world.book.held(called('giver'), undefined, { after: undefined, limit: 10 })).map(({ customerId }) => customerId)).toEqual([called('giver3')])
  })

  it('are handed over as they appear: by a merge that makes the departed the rightful owner, and by its reversal', async () => {
    const { called, depart, enter } = await team('leaver', 'b')
    await enter('leaver', 1)
    await enter('b', 1)
    await depart('leaver', { to: 'successor', employeeId: called('b') })
    await world.settle()
    await claimLate(world, called('leaver'), called('late'))
    await send(world.runtime, 'merge-customers', { customerIds: [called('leaver1'), called('late')], survivorId: called('leaver1'), reason: '同一客户' })
    await world.settle()
    await send(world.runtime, 'reverse-merge', { absorbedId: called('late'), reason: '误合并' })
    await world.settle()
    const total = expectHandedOver(await world.readLog())
    expect(total.moved).toBeGreaterThan(0)
    const [ledger] = await world.ledger(called('leaver'))
    expect(ledger?.remaining).toBe(0)
    expect(await compareWithReplay(world.rebuilding, handovers)).toEqual([])
  })

  it('end with somebody who is here or in the pool, each moved once, whatever is done meanwhile and wherever the process dies', async () => {
    const people = ['a', 'b', 'c', 'd'] as const
    const who = fc.constantFrom(...people)
    const nth = fc.nat(7)
    const rule = fc.oneof(who.map((to) => ({ to: 'successor' as const, name: to })), fc.constantFrom('load', 'tier', 'region').map((by) => ({ to: 'department' as const, by })), fc.constant({ to: 'pool' as const }))
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ what: fc.constantFrom('claim-ownership', 'release-ownership', 'transfer-ownership', 'assign-ownership'), who, nth }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('merge', 'reverse'), who, nth, other: nth }) },
      { weight: 2, arbitrary: fc.record({ what: fc.constant('depart'), who, rule: fc.option(rule, { nil: undefined }) }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('transfer-portfolio'), who, rule }) },
      { weight: 3, arbitrary: fc.record({ what: fc.constant('process'), appends: fc.nat(8), after: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('enter'), who, nth }) },
    )
    type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
    const met = { killed: 0, moved: 0, pooled: 0, completed: 0 }
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14, size: 'max' }), async (steps) => {
      const { id, called } = await team(...people)
      const customers = Array.from({ length: 8 }, (_, index) => called(`c${index}`))
      for (const [index, customerId] of customers.entries()) await enterFor(world, called(people[index % 2] ?? 'a'), customerId)
      const stated = (given: Given) => (given.to === 'successor' ? { to: 'successor', employeeId: called(given.name) } : given.to === 'department' ? { ...given, departmentId: id } : given)
      let entered = 0
      const take = async (one: Step): Promise<void> => {
        const customerId = 'nth' in one ? (customers[one.nth] ?? '') : ''
        switch (one.what) {
          case 'process':
            if (!('appends' in one)) return
            if ((await world.runUntilKilled(dying(world.store, one.appends, one.after))) === 'killed') met.killed += 1
            return
          case 'enter':
            // By one who may have departed: as a command that was under way.
            if ('who' in one) await claimLate(world, called(one.who), called(`late${(entered += 1)}`))
            return
          case 'merge':
            if ('other' in one && one.nth !== one.other) await attempt(world.runtime, 'merge-customers', { customerIds: [customerId, customers[one.other]], reason: '同一客户' })
            return
          case 'reverse':
            await attempt(world.runtime, 'reverse-merge', { absorbedId: customerId, reason: '误合并' })
            return
          case 'depart':
            if ('who' in one) await attempt(world.runtime, 'depart-employee', { employeeId: called(one.who), reason: '离职', ...('rule' in one && one.rule ? { handover: stated(one.rule) } : {}) }, admin)
            return
          case 'transfer-portfolio':
            if ('rule' in one && one.rule) await attempt(world.runtime, 'transfer-portfolio', { from: called(one.who), handover: stated(one.rule), reason: '调整' })
            return
          default:
            if ('who' in one) await attempt(world.runtime, one.what, { customerId, reason: '调整', ...(one.what === 'transfer-ownership' || one.what === 'assign-ownership' ? { to: called(one.who) } : {}) }, behalfOf(called(one.who)))
        }
      }
      for (const one of steps) await take(one)
      await world.settle()
      const log = await world.readLog()
      const total = expectHandedOver(log)
      met.moved = total.moved
      met.pooled = total.pooled
      met.completed = log.filter(({ event }) => event.type === 'HandoverCompleted').length
      expect(met.completed).toBe(log.filter(({ event }) => event.type === 'HandoverStarted').length)
      for (const name of people) {
        for (const { held, later, moved, pooled, otherwise, remaining, customers: rows } of await world.ledger(called(name))) {
          expect({ remaining, pending: rows.filter(({ outcome }) => outcome === 'pending').length, rows: rows.length }).toEqual({ remaining: 0, pending: 0, rows: held + later })
          expect({ moved: rows.filter(({ outcome, to }) => outcome === 'moved' && to !== null).length, pooled: rows.filter(({ outcome, to }) => outcome === 'moved' && to === null).length, otherwise: rows.filter(({ outcome }) => outcome === 'otherwise').length }).toEqual({ moved, pooled, otherwise })
        }
      }
    }), { seed: 20261125, numRuns: 5 })
    expect(met.killed).toBeGreaterThan(3)
    expect(met.moved).toBeGreaterThan(20)
    expect(met.pooled).toBeGreaterThan(10)
    expect(met.completed).toBeGreaterThan(8)
    expect(await compareWithReplay(world.rebuilding, handovers)).toEqual([])
  })
})
type Given = { to: 'successor'; name: string } | { to: 'department'; by: 'load' | 'tier' | 'region' } | { to: 'pool' }
