import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ownershipByReplay, portfolioByReplay } from '../../src/cli/replay.ts'
import { positionToken } from '../../src/commands/position.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { complaints } from '../../src/projections/complaints/project.ts'
import { complaintsOf } from '../../src/projections/complaints/queries.ts'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'
import { customerById, findCustomers } from '../../src/projections/customer-lookup/queries.ts'
import { duplicateCases } from '../../src/projections/duplicate-cases/project.ts'
import { findCases } from '../../src/projections/duplicate-cases/queries.ts'
import { lifecycle } from '../../src/projections/lifecycle/project.ts'
import { standing } from '../../src/projections/lifecycle/queries.ts'
import { holdings } from '../../src/projections/ownership-history/portfolio.ts'
import { ownershipHistory } from '../../src/projections/ownership-history/project.ts'
import { ownershipPeriods } from '../../src/projections/ownership-history/queries.ts'
import { schemaOf, type Projection } from '../../src/projections/projection.ts'
import { protection } from '../../src/projections/protection/project.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { acceptedOf, behalfOf, create, makeWorld, mobile, send, dump, type World } from './world.ts'

const all = { all: true } as const
const merge = (world: World, survivorId: string, absorbedId: string, take: object = { fields: {} }) => send(world.runtime, 'merge-customers', { customerIds: [survivorId, absorbedId], survivorId, take, reason: '同一客户' })

describe('read models of customers that were merged', () => {
  let world: World
  const ids = ['a', 'b', 'c', 'd']
  beforeAll(async () => {
    world = await makeWorld()
    for (const [index, customerId] of ids.entries()) await create(world.runtime, { customerId, name: `客户${customerId}`, identifiers: [mobile(index)], fields: { source: 'referral', address: `${customerId}路` } })
  })
  afterAll(() => world.close())

  const sameWhenRebuilt = async (live: readonly { projection: Projection; runner: ReturnType<World['run']> }[]): Promise<void> => {
    for (const { projection, runner } of live) {
      await runner.caughtUp()
      const rows = await dump(world.db, projection, 'live')
      await runner.stop()
      await rebuild(world.rebuilding, projection)
      expect(await dump(world.db, projection, 'live'), projection.model).toEqual(rows)
    }
  }

  it('come to the same rows live and in a rebuild, wherever a batch ended', async () => {
    const { runtime } = world
    const live = [customerLookup, ownershipHistory, lifecycle, duplicateCases].map((projection) => ({ projection, runner: world.run(projection) }))
    const [lookup] = live
    await send(runtime, 'open-duplicate-case', { customerIds: ['a', 'b'], note: '像一家' })
    await merge(world, 'b', 'a', { name: 'a', fields: {} })
    await lookup?.runner.caughtUp()
    await merge(world, 'c', 'b')
    await merge(world, 'c', 'd')
    await lookup?.runner.caughtUp()
    await send(runtime, 'reverse-merge', { absorbedId: 'd', reason: '误合并' })
    await send(runtime, 'change-profile', { customerId: 'a', fields: { address: '新路' } })
    await sameWhenRebuilt(live)
  })

  it('answer with the survivor and all that is part of it', async () => {
    const { db } = world
    const lookup = schemaOf(customerLookup)
    expect(await customerById(db, lookup, 'a', all, 1)).toMatchObject({ customerId: 'c', name: '客户c', absorbed: ['b', 'a'], fields: { address: '新路' }, identifiers: [{}, {}, {}] })
    expect(await customerById(db, lookup, 'b', all, 1, { asRecorded: true })).toMatchObject({ customerId: 'b', mergedInto: 'c', identifiers: [{}] })
    expect(await customerById(db, lookup, 'd', all, 1)).toMatchObject({ customerId: 'd', mergedInto: null, fields: { address: 'd路' } })
    const found = async (filters: Parameters<typeof findCustomers>[2]) => (await findCustomers(db, lookup, filters, all, { limit: 10, nameCharacters: 1 })).map((customer) => customer.customerId)
    expect(await found({})).toEqual(['d', 'c'])
    expect(await found({ q: '客户a' })).toEqual(['c'])
    expect(await found({ identity: world.runtime.keyedHash.identity('mobile', '+8613900000001') })).toEqual(['c'])
    expect((await standing(db, schemaOf(lifecycle))).reduce((sum, row) => sum + row.customers, 0)).toBe(2)
    expect((await ownershipPeriods(db, schemaOf(ownershipHistory), ['c', 'b', 'a'])).filter((period) => period.to === null).map(({ customerId, ownerId, basis }) => ({ customerId, ownerId, basis }))).toEqual([
      { customerId: 'c', ownerId: 'clerk', basis: 'first-entry' }, { customerId: 'b', ownerId: null, basis: 'merge' }, { customerId: 'a', ownerId: null, basis: 'merge' },
    ])
    expect(await findCases(db, schemaOf(duplicateCases), { customerIds: ['a'] }, { limit: 5 })).toMatchObject([{ customerIds: ['a', 'b'], status: 'open', said: '像一家' }])
  })

  it('show what a reversal moved with whom it was given to, live and in a rebuild', async () => {
    const { runtime } = world
    const live = [protection, complaints].map((projection) => ({ projection, runner: world.run(projection) }))
    for (const customerId of ['e', 'f']) await create(runtime, { customerId, name: `客户${customerId}`, fields: { source: 'referral' } })
    await merge(world, 'e', 'f')
    const at = new Date(Date.now() - 60_000).toISOString()
    for (const [complaintId, customerId] of [['given', 'e'], ['stays', 'e'], ['kept', 'f']]) await send(runtime, 'lodge-complaint', { complaintId, customerId, class: 'service', severity: 'minor', channel: 'phone', description: '送货太晚' })
    await send(runtime, 'record-purchase', { customerId: 'e', purchaseId: 'p', at, amount: { amount: 100, currency: 'CNY' } })
    for (const { runner } of live) await runner.caughtUp()
    await send(runtime, 'reverse-merge', { absorbedId: 'f', reason: '误合并', give: { purchases: ['p'], complaints: ['given'] }, keep: { complaints: ['kept'] } })
    await sameWhenRebuilt(live)
    const of = async (customerId: string) => (await complaintsOf(world.db, schemaOf(complaints), [customerId])).map(({ complaintId }) => complaintId).toSorted()
    expect([await of('e'), await of('f')]).toEqual([['kept', 'stays'], ['given']])
    const { rows } = await sql`select customer_id, open_complaints, bought_at from ${sql.table(`${schemaOf(protection)}.standing`)} where customer_id in ('e', 'f') order by 1`.execute(world.db)
    expect(rows).toEqual([{ customer_id: 'e', open_complaints: 2, bought_at: new Date(at) }, { customer_id: 'f', open_complaints: 1, bought_at: new Date(at) }])
  })

  it('say of any time whom each employee held, as a replay does and as each customer by itself, after any merges, reversals, backdated changes and corrections', async () => {
    const HOUR = 3_600_000
    let clock = Date.now()
    const runtime = { ...world.runtime, now: () => new Date(clock) }
    const at = (back: number) => new Date(clock - back * HOUR).toISOString()
    const employees = ['clerk', 'zhou', 'wu']
    for (const employeeId of employees.slice(1)) await send(runtime, 'register-employee', { employeeId, name: '员工', departmentId: 'head-office' })
    const [lookup, history] = [world.run(customerLookup), world.run(ownershipHistory)]
    const step = fc.record({
      does: fc.constantFrom('merge', 'merge', 'reverse', 'reverse', 'transfer-ownership', 'release-ownership', 'assign-ownership', 'correct-ownership'),
      one: fc.nat(2), other: fc.nat(2), to: fc.constantFrom(...employees), back: fc.option(fc.nat(12)), pick: fc.nat(), passed: fc.nat(3),
    })
    const done = new Map<string, number>()
    const [everybody, positions]: [string[], bigint[]] = [[], []]
    for (const [run, steps] of fc.sample(fc.array(step, { minLength: 4, maxLength: 12, size: 'max' }), { seed: 20261125, numRuns: 8 }).entries()) {
      clock += 24 * HOUR
      const mine = [0, 1, 2].map((n) => `run${run}-${n}`)
      everybody.push(...mine)
      for (const [n, customerId] of mine.entries()) await send(runtime, 'create-customer', { customerId, category: 'individual-retail', name: '某人', fields: { source: 'referral' }, claim: n > 0, effectiveAt: at(10) }, behalfOf(employees[n] ?? 'clerk'))
      for (const { does, one, other, to, back, pick, passed } of steps) {
        clock += passed * HOUR
        const [customerId, second] = [mine[one] ?? '', mine[other === one ? (one + 1) % 3 : other] ?? '']
        const events = (await Array.fromAsync(world.store.readStream(`customer-${customerId}`))).map(({ id }) => id)
        const when = back === null || (does === 'correct-ownership' && pick % 2 === 0) ? {} : { effectiveAt: at(back) }
        const [command, body] = does === 'merge' ? ['merge-customers', { customerIds: [customerId, second], survivorId: customerId }] as const
          : does === 'reverse' ? ['reverse-merge', { absorbedId: customerId }] as const
            : does === 'correct-ownership' ? [does, { customerId, corrects: events[pick % events.length], ownerId: pick % 3 === 0 ? null : to, ...when }] as const
              : [does, { customerId, ...(does === 'release-ownership' ? {} : { to }), ...when }] as const
        const answer = await handleNamed(runtime, command, { ...body, reason: '调整' }, { caller: behalfOf(to) })
        expect([200, 409, 422]).toContain(answer.status)
        if (answer.status !== 200) continue
        done.set(does, (done.get(does) ?? 0) + 1)
        positions.push(acceptedOf(runtime, answer).position)
      }
    }
    for (const [does, least] of [['merge', 6], ['reverse', 2], ['correct-ownership', 2]] as const) expect(done.get(does), does).toBeGreaterThan(least)
    await Promise.all([lookup.caughtUp(), history.caughtUp()])

    const token = positionToken(runtime, positions[positions.length >> 1] ?? 0n)
    const days = [0, 30, 100].map(at)
    for (const [employeeId, asOf, knownAt] of employees.flatMap((employee) => days.flatMap((day) => [[employee, day, undefined], [employee, day, token]] as const))) {
      const held = await holdings(world.db, schemaOf(ownershipHistory), { owners: [employeeId], at: asOf }, knownAt === undefined ? undefined : { position: positions[positions.length >> 1] ?? 0n }, { limit: 1000 })
      expect(held, `${employeeId} at ${asOf}`).toEqual(await portfolioByReplay({ runtime }, employeeId, { asOf, knownAt }))
    }
    // Who holds each today, of those that stand for themselves, is what commands and pages say too.
    for (const customerId of everybody) {
      const shown = await customerById(world.db, schemaOf(customerLookup), customerId, all, 1, { asRecorded: true })
      const [now] = await ownershipByReplay({ runtime }, customerId, { asOf: at(0) })
      expect(now?.ownerId ?? null, customerId).toBe(shown?.mergedInto === null ? shown.ownerId : null)
    }
  })
})
