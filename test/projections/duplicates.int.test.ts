import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { wouldBeOf, type NearMatchFinder } from '../../src/commands/near-matches.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { runScan } from '../../src/cli/duplicates/scan.ts'
import { duplicates } from '../../src/projections/duplicates/project.ts'
import { makeNearMatchFinder } from '../../src/projections/duplicates/near-matches.ts'
import { LARGEST_BLOCK } from '../../src/projections/duplicates/queries.ts'
import { scanPairs, type Stretch } from '../../src/projections/duplicates/scan.ts'
import { makeReadModels, type ReadModels } from '../../src/projections/read-models.ts'
import { compareWithReplay } from '../../src/projections/rebuild.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { importer, makeWorld, mobile, send, type World } from './world.ts'

const labels = { en: 'Test', zh: '试' }
const field = (key: string, more: object = {}) => ({ key, labels, type: 'text', requiredFrom: null, listed: false, personal: true, ...more })
const category = (fields: object[]) => ({ categoryId: 'pupil', labels, criterion: labels, kind: 'individual', template: { fields, contactFields: [] } })
const withoutMeaning = [field('born'), field('town')]
const withMeaning = [field('born', { matchAs: 'birth-date' }), field('town', { matchAs: 'city' })]

describe('the read model of duplicates', () => {
  let world: World
  let readModels: ReadModels
  let runtime: Runtime
  let finder: NearMatchFinder

  beforeEach(async () => {
    world = await makeWorld()
    readModels = makeReadModels({ db: world.db, connectionString: world.database.url, head: world.store.head, waitMs: 5000 })
    finder = makeNearMatchFinder(readModels)
    runtime = { ...world.runtime, nearMatches: finder }
  })
  afterEach(async () => {
    await readModels.close()
    await world.close()
  })

  const pupil = (name: string, fields: object, more: object = {}) => ({ category: 'pupil', name, fields, claim: false, ...more })
  const enter = (name: string, fields: object, more: object = {}) => send(world.runtime, 'create-customer', pupil(name, fields, more))
  const weights = () => world.runtime.organisation.current().policies.matching
  /** The ids of those like a would-be customer. */
  const like = async (name: string, fields: Record<string, string>): Promise<string[]> => {
    const described = wouldBeOf({ category: 'pupil', name, fields, identifiers: [] }, world.runtime) ?? expect.fail('there is no such category')
    const found = await finder.ofWouldBe(described, { weights: weights(), most: 20 })
    return found === 'unavailable' ? expect.fail('nobody could look') : found.candidates.map(({ customerId }) => customerId)
  }

  it('follows what a customer says of itself, and what the categories say now of everybody’s fields', async () => {
    const model = world.run(duplicates)
    await send(world.runtime, 'define-category', category(withoutMeaning))
    const one = await enter('欧阳修', { born: '1987-08-06', town: '庐陵' })
    const other = await enter('司马光', { born: '1999-11-17', town: '夏县' })
    await model.caughtUp()
    expect(await like('欧阳秀', { born: '1987-08-06', town: '庐陵' })).toEqual([])

    await send(world.runtime, 'revise-category', { ...category(withMeaning), reason: '查重' })
    await model.caughtUp()
    expect(await like('欧阳秀', { born: '1987-08-06', town: '庐陵' })).toEqual([one.customerId])

    await send(world.runtime, 'change-profile', { customerId: one.customerId, name: '王安石', fields: { born: '1921-12-18' } })
    await send(world.runtime, 'change-profile', { customerId: other.customerId, name: '欧阳修', fields: { born: '1987-08-06', town: null } })
    await model.caughtUp()
    expect(await like('欧阳秀', { born: '1987-08-06', town: '庐陵' })).toEqual([other.customerId])
    expect(await compareWithReplay(world.rebuilding, duplicates)).toEqual([])
  })

  it('while it is built, an entry goes on unless the policy needs the look: then it is told to come back', async () => {
    await send(world.runtime, 'define-category', category(withMeaning))
    const create = () => handleNamed(runtime, 'create-customer', pupil('苏轼', { born: '1937-01-08' }), { caller: importer })
    expect(await create()).toMatchObject({ status: 201, body: { warnings: [{ warning: 'near-matches-unknown' }] } })
    await send(world.runtime, 'revise-policy', { policy: 'duplicates', value: { default: { nearMatch: 'block', threshold: 0.5 } }, reason: '严查' })
    expect(await create()).toMatchObject({ status: 503, body: { type: '/docs/problems/model-building', model: 'duplicates' } })
  })

  it('is compared whole by a scan: each pair once, from wherever it goes on, and blocks that are too large not at all', async () => {
    const model = world.run(duplicates)
    await send(world.runtime, 'define-category', category([...withMeaning, field('phone', { type: 'phone' })]))
    const twin = await enter('曾巩', { born: '1919-09-30', town: '南丰', phone: '13900000001' }, { identifiers: [mobile(1)] })
    const again = await enter('曾巩', { born: '1919-09-30', town: '南丰', phone: '13900000001' })
    const third = await enter('曾鞏', { born: '1919-09-30', town: '南丰' })
    await enter('苏洵', { born: '1909-05-22', town: '眉山' })
    // A switchboard: all of these share it, and nothing else.
    await Promise.all(Array.from({ length: LARGEST_BLOCK + 1 }, (_, n) => enter(`分机 ${n}`, { phone: '021-58888888' })))
    await model.caughtUp()
    const stretches = async (after: string | null, keysAtOnce: number): Promise<Stretch[]> => {
      const all: Stretch[] = []
      for await (const stretch of scanPairs(world.db, schemaOf(duplicates), { weights: weights().value, threshold: 0.5, after, keysAtOnce })) all.push(stretch)
      return all
    }
    const pairsOf = (all: readonly Stretch[]) => all.flatMap(({ pairs }) => pairs.map(({ customerIds }) => customerIds)).toSorted()
    const whole = await stretches(null, 10_000)
    expect(pairsOf(whole)).toEqual([[twin.customerId, again.customerId], [twin.customerId, third.customerId], [again.customerId, third.customerId]].toSorted())
    expect(whole.reduce((sum, { compared }) => sum + compared, 0)).toBe(3)

    const short = await stretches(null, 4)
    expect(short.length).toBeGreaterThan(5)
    for (const [index, { through }] of short.entries()) expect(pairsOf([...short.slice(0, index + 1), ...(await stretches(through, 1000))])).toEqual(pairsOf(whole))
  })

  it('is gone through by a scan that opens each case once, of whom stand for those alike, and says what it opened itself', async () => {
    const model = world.run(duplicates)
    const scan = async (anew = false) => {
      await model.caughtUp()
      const { opened, found, finished } = await runScan({ db: world.db, runtime: world.runtime, connectionString: world.database.url }, { anew })
      return { opened, found, finished }
    }
    const pairsWithCases = async () => (await Array.fromAsync(world.store.readAll({ after: 0n, kinds: ['duplicateCase'] }))).flatMap(({ events }) => events).map(({ data }) => String(data['customerIds']))
    await send(world.runtime, 'define-category', category(withMeaning))
    const twin = await enter('曾巩', { born: '1919-09-30', town: '南丰' })
    const again = await enter('曾巩', { born: '1919-09-30', town: '南丰' })
    expect(await scan()).toEqual({ opened: 1, found: 1, finished: true })
    expect(await scan(true)).toEqual({ opened: 0, found: 1, finished: true })

    // Part of another by now, it is like others in the name of that one; and what was judged of it is not asked again.
    const survivor = await enter('苏洵', { born: '1909-05-22', town: '眉山' })
    await send(world.runtime, 'merge-customers', { customerIds: [survivor.customerId, again.customerId], survivorId: survivor.customerId, reason: '同一客户' })
    expect(await scan(true)).toEqual({ opened: 0, found: 1, finished: true })
    const third = await enter('曾巩', { born: '1919-09-30', town: '南丰' })
    expect((await scan(true)).opened).toBe(2)
    expect((await pairsWithCases()).toSorted()).toEqual([[twin.customerId, again.customerId], [twin.customerId, third.customerId], [survivor.customerId, third.customerId]].map((pair) => String(pair.toSorted())).toSorted())
  })
})
