import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lifecycle } from '../../src/projections/lifecycle/project.ts'
import { pauseModel, resumeModel, watchPauses, type Pauses } from '../../src/projections/pauses.ts'
import { schemaOf, type Projection } from '../../src/projections/projection.ts'
import { answeredElsewhere, pruneVersions } from '../../src/projections/versions.ts'
import { create, makeWorld, until, type World } from './world.ts'

let world: World
let pauses: Pauses
beforeEach(async () => {
  world = await makeWorld()
  pauses = await watchPauses(world.db, world.database.url)
})
afterEach(async () => {
  await pauses.close()
  await world.close()
})

const customers = async (schema: string) => Number((await sql<{ n: string }>`select count(*) as n from ${sql.table(`${schema}.customer`)}`.execute(world.db)).rows[0]?.n)

describe('a read model that is paused', () => {
  it('stands still in every process, stays so over a restart, and goes on from where it stands', async () => {
    const { runtime, db } = world
    const first = world.run(lifecycle, { pauses })
    const second = world.run(lifecycle, { pauses })
    await create(runtime)
    const active = await Promise.race([first.caughtUp().then(() => first), second.caughtUp().then(() => second)])
    await pauseModel(db, 'lifecycle')
    await until('both are paused', () => [first, second].every((runner) => runner.status().state === 'paused'))
    const stood = active.status().position
    const { position } = await create(runtime)

    await first.stop()
    const pausesAnew = await watchPauses(db, world.database.url)
    const again = world.run(lifecycle, { pauses: pausesAnew })
    await until('it is paused as it starts', () => again.status().state === 'paused')
    expect(await customers(schemaOf(lifecycle))).toBe(1)
    expect(active.status().position).toBe(stood)
    await again.stop()
    await pausesAnew.close()

    await resumeModel(db, 'lifecycle')
    await second.reaches(position)
    expect(await customers(schemaOf(lifecycle))).toBe(2)
    expect([first, second, again].flatMap((runner) => runner.reports)).toEqual([])
  })
})

describe('versions of a read model side by side', () => {
  const newer: Projection = { ...lifecycle, version: lifecycle.version + 1 }
  const shown = async () => (await sql<{ definition: string }>`select pg_get_viewdef('analytics.customer_lifecycle'::regclass) as definition`.execute(world.db)).rows[0]?.definition
  const prune = (projections: readonly Projection[]) => pruneVersions({ db: world.db, connectionString: world.database.url, analystRole: null }, projections)

  it('are built while another process answers, and that is known; what nobody runs any more is dropped, and nothing else', async () => {
    await create(world.runtime)
    const old = world.run(lifecycle)
    await old.caughtUp()
    expect(await answeredElsewhere(world.db, [lifecycle])).toEqual([])
    expect(await answeredElsewhere(world.db, [newer])).toEqual(['lifecycle'])
    const release = Promise.withResolvers<void>()
    const fresh = world.run({ ...newer, project: (trx, schema, events) => release.promise.then(() => lifecycle.project(trx, schema, events)) })
    await until('the new version has begun', async () => (await sql`select from kehu.checkpoint where model = 'lifecycle' and version = ${newer.version}`.execute(world.db)).rows.length > 0)
    expect(await answeredElsewhere(world.db, [newer])).toEqual(['lifecycle'])
    expect(await prune([newer])).toEqual([])
    release.resolve()
    await fresh.caughtUp()
    expect(await answeredElsewhere(world.db, [newer])).toEqual([])

    // Run by another process: kept. Interrupted there, it does not take the analysts' views back.
    expect(await prune([newer])).toEqual([])
    await old.stop()
    const interrupted = world.run(lifecycle)
    await interrupted.caughtUp()
    expect(await shown()).toContain(schemaOf(newer))
    await interrupted.stop()

    expect(await prune([newer])).toEqual([{ model: 'lifecycle', version: lifecycle.version }])
    expect((await sql`select from pg_namespace where nspname = ${schemaOf(lifecycle)}`.execute(world.db)).rows).toEqual([])
    expect(await customers(schemaOf(newer))).toBe(1)
    await fresh.stop()

    // A step back to the version before: its views are its own again once the later one is dropped.
    const back = world.run(lifecycle)
    await back.caughtUp()
    expect(await prune([lifecycle])).toEqual([{ model: 'lifecycle', version: newer.version }])
    expect(await shown()).toContain(schemaOf(lifecycle))
  })
})
