import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'
import { customerById, findCustomers } from '../../src/projections/customer-lookup/queries.ts'
import { duplicateCases } from '../../src/projections/duplicate-cases/project.ts'
import { findCases } from '../../src/projections/duplicate-cases/queries.ts'
import { lifecycle } from '../../src/projections/lifecycle/project.ts'
import { standing } from '../../src/projections/lifecycle/queries.ts'
import { ownershipHistory } from '../../src/projections/ownership-history/project.ts'
import { ownershipPeriods } from '../../src/projections/ownership-history/queries.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { rebuild } from '../../src/projections/rebuild.ts'
import { create, makeWorld, mobile, send, dump, type World } from './world.ts'

const all = { all: true } as const
const merge = (world: World, survivorId: string, absorbedId: string, take: object = { fields: {} }) => send(world.runtime, 'merge-customers', { customerIds: [survivorId, absorbedId], survivorId, take, reason: '同一客户' })

describe('read models of customers that were merged', { timeout: 120_000 }, () => {
  let world: World
  const ids = ['a', 'b', 'c', 'd']
  beforeAll(async () => {
    world = await makeWorld()
    for (const [index, customerId] of ids.entries()) await create(world.runtime, { customerId, name: `客户${customerId}`, identifiers: [mobile(index)], fields: { source: 'referral', address: `${customerId}路` } })
  })
  afterAll(() => world.close())

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
    for (const { projection, runner } of live) {
      await runner.caughtUp()
      const rows = await dump(world.db, projection, 'live')
      await runner.stop()
      await rebuild(world.rebuilding, projection)
      expect(await dump(world.db, projection, 'live'), projection.model).toEqual(rows)
    }
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
})
