import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Batch } from '../../src/event-store/port.ts'
import { prepare } from '../../src/projections/apply.ts'
import { APART_MS, makeApplyTogether } from '../../src/projections/apply-together.ts'
import { AnotherRunner, readCheckpoint, type Checkpoint } from '../../src/projections/checkpoint.ts'
import { lifecycle } from '../../src/projections/lifecycle/project.ts'
import { UNWAITED } from '../../src/projections/kysely.ts'
import { ownershipHistory } from '../../src/projections/ownership-history/project.ts'
import { protection } from '../../src/projections/protection/project.ts'
import type { Projection } from '../../src/projections/projection.ts'
import { discard, rebuild } from '../../src/projections/rebuild.ts'
import { openPool } from '../support/database.ts'
import { dump, everything, makeWorld, models, until, type World } from './world.ts'

describe('read models that are applied together', () => {
  let world: World
  let log: Batch['events']
  beforeAll(async () => {
    world = await makeWorld()
    await everything(world)
    log = (await Array.fromAsync(world.store.readAll({ after: 0n, batchSize: 10_000 }))).flatMap((batch) => batch.events)
  })
  afterAll(() => world.close())

  const three = [lifecycle, ownershipHistory, protection]
  const checkpoints = new Map<string, Checkpoint>()
  const begin = async (projections: readonly Projection[]) => {
    for (const projection of projections) {
      await discard(world.db, projection, 'rebuild')
      checkpoints.set(projection.model, await prepare(world.db, projection, 'rebuild', world.placeId))
    }
  }
  const end = async (projections: readonly Projection[]) => {
    for (const projection of projections) await discard(world.db, projection, 'rebuild')
  }
  /** The next events of the log, for all of these at once; whose it was moved. */
  const applyAll = async (projections: readonly Projection[], events: Batch['events'], apply = makeApplyTogether()) =>
    Promise.allSettled(projections.map(async (projection) => {
      const from = checkpoints.get(projection.model) ?? expect.fail('not begun')
      const { checkpoint } = await apply({ db: world.db, codec: world.runtime.codec, projection, build: 'rebuild' }, from, { events, position: events.at(-1)?.position ?? 0n, caughtUp: false }, { ready: false })
      checkpoints.set(projection.model, checkpoint)
    }))
  const positionOf = async (projection: Projection) => (await readCheckpoint(world.db, projection, 'rebuild'))?.position
  const statuses = (outcomes: readonly PromiseSettledResult<void>[]) => outcomes.map(({ status }) => status)

  /** Each time one of them projects: in which transaction. */
  const watched = (projections: readonly Projection[]) => {
    const transactions: { model: string; transaction: string | undefined }[] = []
    return {
      transactions,
      projections: projections.map((projection): Projection => ({
        ...projection,
        project: async (trx, schema, events) => {
          const { rows } = await sql<{ id: string }>`select pg_current_xact_id()::text as id`.execute(trx)
          transactions.push({ model: projection.model, transaction: rows[0]?.id })
          await projection.project(trx, schema, events)
        },
      })),
    }
  }

  it('have the rows of a replay, whatever the sizes of the batches', async () => {
    const replayed = new Map<string, Record<string, string[]>>()
    for (const projection of models) {
      await rebuild(world.rebuilding, projection)
      replayed.set(projection.model, await dump(world.db, projection))
    }
    await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }), async (sizes) => {
      await begin(models)
      for (let at = 0, n = 0; at < log.length; n += 1) {
        const events = log.slice(at, at + (sizes[n % sizes.length] ?? 1))
        at += events.length
        expect(statuses(await applyAll(models, events))).toEqual(models.map(() => 'fulfilled'))
      }
      for (const projection of models) expect(await dump(world.db, projection, 'rebuild')).toEqual(replayed.get(projection.model))
    }), { seed: 20261126, numRuns: 3, examples: [[[2, 3]]] })
    await end(models)
  })

  describe('of which three read the same', () => {
    beforeEach(() => begin(three))
    afterEach(() => end(three))

    it('are written in one transaction; a long batch in one each, and so is one that comes alone', async () => {
      const { projections, transactions } = watched(three)
      const apply = makeApplyTogether({ few: 10, patienceMs: 30_000 })
      const used = () => new Set(transactions.splice(0).map(({ transaction }) => transaction)).size
      await applyAll(projections, log.slice(40, 50), apply)
      expect([transactions.length, used()]).toEqual([3, 1])
      await applyAll(projections, log.slice(50, 61), apply)
      expect([transactions.length, used()]).toEqual([3, 3])
      await applyAll(projections.slice(0, 1), log.slice(61, 71), apply)
      await applyAll(projections.slice(1, 2), log.slice(61, 71), apply)
      expect([transactions.length, used()]).toEqual([2, 2])
    })

    it.each([
      ['throws', () => Promise.reject(new TypeError('cannot be projected'))],
      ['has a statement fail that it does not wait for', async (trx: Parameters<Projection['project']>[0]) => void (await sql`${UNWAITED} select 1/${0}`.execute(trx))],
    ])('are not held up by one that %s: it fails as it would by itself, and nothing of it is written', async (_what, fail) => {
      const faulty: Projection = { ...lifecycle, project: async (trx, schema, events) => {
        await lifecycle.project(trx, schema, events)
        await fail(trx)
      } }
      const events = log.slice(0, 60)
      const outcomes = await applyAll([faulty, ownershipHistory, protection], events)
      expect(statuses(outcomes)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
      expect(outcomes[0]).toMatchObject({ reason: { message: expect.stringMatching(/cannot be projected|division by zero/) } })
      expect(await Promise.all(three.map(positionOf))).toEqual([0n, events.at(-1)?.position, events.at(-1)?.position])
      expect(Object.values(await dump(world.db, lifecycle, 'rebuild')).flat()).toEqual([])
      // And once it is mended it goes on from there.
      expect(statuses(await applyAll([lifecycle], events))).toEqual(['fulfilled'])
    })

    it('go each by itself for a while where it came to nothing, and then together again', async () => {
      const faulty: Projection = { ...protection, project: () => Promise.reject(new TypeError('cannot be projected')) }
      const { projections, transactions } = watched([lifecycle, ownershipHistory])
      let time = 0
      const apply = makeApplyTogether({ patienceMs: 30_000, now: () => time })
      const used = () => new Set(transactions.splice(0).map(({ transaction }) => transaction)).size
      await applyAll([...projections, faulty], log.slice(0, 40), apply)
      used()
      await applyAll(projections, log.slice(40, 50), apply)
      expect([transactions.length, used()]).toEqual([2, 2])
      time += APART_MS
      await applyAll(projections, log.slice(50, 60), apply)
      expect([transactions.length, used()]).toEqual([2, 1])
    })

    it('are not held up by one that another runner has moved: it alone says so', async () => {
      const events = log.slice(0, 60)
      await sql`update kehu.checkpoint set position = 7 where model = ${protection.model} and build = 'rebuild'`.execute(world.db)
      const outcomes = await applyAll(three, events)
      expect(statuses(outcomes)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
      expect(outcomes[2]).toMatchObject({ reason: { name: AnotherRunner.name } })
      expect(await positionOf(protection)).toBe(7n)
    })

    it('wait a second for one that takes longer, and no more; what it does meanwhile is done once', async () => {
      const held = Promise.withResolvers<void>()
      let calls = 0
      const slow: Projection = { ...lifecycle, project: async (trx, schema, events) => {
        calls += 1
        await lifecycle.project(trx, schema, events.slice(0, -1))
        await held.promise
        await lifecycle.project(trx, schema, events.slice(-1))
      } }
      const events = log.slice(0, 60)
      const applied = applyAll([slow, ownershipHistory, protection], events)
      await until('the others are written', async () => (await positionOf(protection)) === events.at(-1)?.position && (await positionOf(ownershipHistory)) === events.at(-1)?.position, 5000)
      expect(await positionOf(lifecycle)).toBe(0n)
      held.resolve()
      expect(statuses(await applied)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
      expect([calls, await positionOf(lifecycle)]).toEqual([2, events.at(-1)?.position])
      const together = await dump(world.db, lifecycle, 'rebuild')
      await begin([lifecycle])
      await applyAll([lifecycle], events)
      expect(together).toEqual(await dump(world.db, lifecycle, 'rebuild'))
    })

    it('wait a second for one whose rows somebody holds, and no longer; it goes on when they are let go', async () => {
      const other = openPool(world.database.url, { max: 1 })
      const holding = await other.connect()
      try {
        await holding.query('begin')
        await holding.query("select from kehu.checkpoint where model = 'protection' and build = 'rebuild' for update")
        const events = log.slice(0, 60)
        const applied = applyAll(three, events)
        await until('the others are written', async () => (await positionOf(lifecycle)) === events.at(-1)?.position && (await positionOf(ownershipHistory)) === events.at(-1)?.position, 5000)
        expect(await positionOf(protection)).toBe(0n)
        await holding.query('commit')
        expect(statuses(await applied)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
        expect(await positionOf(protection)).toBe(events.at(-1)?.position)
      } finally {
        holding.release(true)
        await other.end()
      }
    })

    it('are written each by itself where their common session dies in the midst of it', async () => {
      let kills = 1
      const dying: Projection = { ...lifecycle, project: async (trx, schema, events) => {
        await lifecycle.project(trx, schema, events)
        if (kills-- > 0) await sql`select pg_terminate_backend(pg_backend_pid())`.execute(trx)
      } }
      const { projections, transactions } = watched([ownershipHistory, protection])
      const events = log.slice(0, 60)
      expect(statuses(await applyAll([dying, ...projections], events))).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
      expect(new Set(transactions.map(({ transaction }) => transaction)).size).toBe(3)
      expect(await Promise.all(three.map(positionOf))).toEqual(three.map(() => events.at(-1)?.position))
    })
  })
})
