import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apply, prepare } from '../../src/projections/apply.ts'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'
import { customerById, findCustomers, listDepartments, listEmployees } from '../../src/projections/customer-lookup/queries.ts'
import { duplicates } from '../../src/projections/duplicates/project.ts'
import { holders } from '../../src/projections/duplicates/queries.ts'
import { lifecycle } from '../../src/projections/lifecycle/project.ts'
import { customerTransitions, standing, transitionMatrix } from '../../src/projections/lifecycle/queries.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { discard, rebuild } from '../../src/projections/rebuild.ts'
import { viewsOf } from '../../src/projections/table.ts'
import { ANALYTICS, swapViews } from '../../src/projections/views.ts'
import { create, everything, makeWorld, models, send, type World } from './world.ts'

type Described = { schema: string; relation: string; column: string | null; comment: string | null }

describe('the tables of the read models', () => {
  let world: World
  let known: { neverCreated: string; customers: string[] }
  beforeAll(async () => {
    world = await makeWorld()
    known = await everything(world)
    for (const projection of models) await rebuild(world.rebuilding, projection)
  })
  afterAll(() => world.close())

  const described = async (schemas: string[]): Promise<Described[]> => (await sql<Described>`
    select n.nspname as schema, c.relname as relation, a.attname as column, case when a.attname is null then obj_description(c.oid) else col_description(c.oid, a.attnum) end as comment
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join lateral (select attname, attnum from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped union all select null, 0) a on true
    where c.relkind in ('r', 'v') and n.nspname = any(${schemas})`.execute(world.db)).rows

  it('carry a comment each, and one for every column, as do the analysts’ views', async () => {
    const all = await described([...models.map((projection) => schemaOf(projection)), ANALYTICS])
    expect(all.length).toBeGreaterThan(150)
    expect(all.filter((one) => one.comment === null || one.comment.trim() === '')).toEqual([])
    const told = new Set(all.map((one) => `${one.schema}.${one.relation}.${one.column ?? ''} ${one.comment ?? ''}`))
    for (const projection of models) {
      for (const table of projection.tables) for (const column of table.columns) expect(told).toContain(`${schemaOf(projection)}.${table.name}.${column.name} ${column.comment}`)
    }
  })

  it('have exactly the columns that are described', async () => {
    for (const projection of models) {
      const there = await described([schemaOf(projection)])
      const columns = there.flatMap((one) => (one.column === null ? [] : [`${one.relation}.${one.column}`])).toSorted()
      expect(columns).toEqual(projection.tables.flatMap((table) => table.columns.map((column) => `${table.name}.${column.name}`)).toSorted())
    }
  })

  it('are shown to analysts without a personal column', async () => {
    const views = (await described([ANALYTICS])).flatMap((one) => (one.column === null ? [] : [`${one.relation}.${one.column}`])).toSorted()
    const expected = models.flatMap((projection) => projection.tables.flatMap((table) => (table.view === undefined ? [] : table.columns.filter((column) => !column.personal).map((column) => `${table.view ?? ''}.${column.name}`)))).toSorted()
    expect(views).toEqual(expected)
    // By name, so that a description that forgets to say personal is found.
    expect(views.filter((column) => /\.(name|value|search|reason|identity|personal_fields)$/.test(column))).toEqual(['department.name', 'stay.name'])
    const values = ['曾国藩', '曾涤生', 'zengguofan', '13900000001', 'zeng@example.com', '湘乡', '围棋', '总督', '单雄信', '单二哥', '秦琼', '13700000003', 'shan@example.com', '周芷若', '协助跟进', '区域调整', '年消费']
    for (const projection of models) {
      for (const view of viewsOf(schemaOf(projection), projection.tables)) {
        const { rows } = await sql<{ row: string }>`select v::text as row from ${sql.id(ANALYTICS, view.name)} v`.execute(world.db)
        const text = rows.map((one) => one.row).join('\n').toLowerCase()
        expect(values.filter((value) => text.includes(value)), view.name).toEqual([])
        expect(rows.length, view.name).toBeGreaterThan(0)
      }
    }
  })

  it('are not readable to the analysts’ role, whose views are', async () => {
    const { db } = world
    await sql`drop role if exists kehu_test_analyst`.execute(db)
    await sql`create role kehu_test_analyst nologin`.execute(db)
    try {
      await db.transaction().execute((trx) => swapViews(trx, customerLookup, schemaOf(customerLookup), 'kehu_test_analyst'))
      const as = (query: string) => db.transaction().execute(async (trx) => {
        await sql`set local role kehu_test_analyst`.execute(trx)
        return (await sql.raw(query).execute(trx)).rows.length
      })
      expect(await as('select customer_id from analytics.customer')).toBe(known.customers.length)
      for (const refused of [`select from ${schemaOf(customerLookup)}.customer`, 'select from kehu.event', 'select from kehu.keyring', 'delete from analytics.customer', 'select from kehu.checkpoint']) await expect(as(refused)).rejects.toMatchObject({ code: '42501' })
    } finally {
      await sql`drop owned by kehu_test_analyst`.execute(db)
      await sql`drop role kehu_test_analyst`.execute(db)
    }
  })

  it('give the same text to search, wherever a batch ended', async () => {
    const { db, runtime, placeId, store } = world
    // Names in several readings, renamed, with contacts that come and go: the text is made from all of it.
    const { customerId } = await create(runtime, { category: 'enterprise', name: '重庆曾氏行', contacts: [{ name: '单于' }, { name: '仇英', fields: { mobile: '13700000009' } }], fields: { companyPhone: '010-62345678' } })
    await send(runtime, 'change-profile', { customerId, name: '重阳乐行 Ltd.' })
    await send(runtime, 'add-contact', { customerId, name: '解缙', fields: { officePhone: '021-58888888' } })
    await send(runtime, 'add-identifier', { customerId, identifier: { kind: 'mobile', value: '13700000010' } })
    const log = (await Array.fromAsync(store.readAll({ after: 0n, batchSize: 10_000 }))).flatMap((batch) => batch.events)
    const texts = new Set<string>()
    for (const size of [1, 7, 1000]) {
      await discard(db, customerLookup, 'rebuild')
      let checkpoint = await prepare(db, customerLookup, 'rebuild', placeId)
      for (let at = 0; at < log.length; at += size) {
        const events = log.slice(at, at + size)
        checkpoint = (await apply({ db, codec: runtime.codec, projection: customerLookup, build: 'rebuild' }, checkpoint, { events, position: events.at(-1)?.position ?? 0n, caughtUp: false }, { ready: false })).checkpoint
      }
      const { rows } = await sql<{ customer_id: string; search: string }>`select customer_id, search from ${sql.table(`${schemaOf(customerLookup, 'rebuild')}.customer`)} order by customer_id`.execute(db)
      texts.add(JSON.stringify(rows))
      const mine = rows.find((row) => row.customer_id === customerId)?.search.split('\n') ?? []
      expect(mine).toEqual(expect.arrayContaining(['重阳乐行ltd.', '单于', 'shanyu', '仇英', 'qiuying', '解缙', 'xiejin', '+8613700000009', '+8613700000010']))
      expect(mine).toEqual(mine.toSorted())
    }
    await discard(db, customerLookup, 'rebuild')
    expect(texts.size).toBe(1)
  })

  it('answer what is asked of them', async () => {
    const { db } = world
    await rebuild(world.rebuilding, customerLookup)
    const lookup = schemaOf(customerLookup)
    const all = { all: true } as const
    const [person = '', shop = ''] = known.customers
    const page = { limit: 10, nameCharacters: 1 }
    const found = async (filters: Parameters<typeof findCustomers>[2]) => (await findCustomers(db, lookup, filters, all, page)).map((customer) => customer.customerId)
    expect(await customerById(db, lookup, person, all, 1)).toMatchObject({
      name: '曾涤生', ownerId: 'clerk', ownerSince: '2026-01-02T03:04:05.678Z', enteredBy: 'manager', enteredAt: '2019-05-05T23:08:09.000Z', fields: { source: 'web-enquiry', sex: 'male', hobbies: '围棋', occupation: '总督', importance: 'A' },
      identifiers: [{ kind: 'email', value: 'zeng@example.com' }, { kind: 'mobile', value: '+8613900000003' }], shares: [{ with: { kind: 'department', id: 'south' }, access: 'read' }, { with: { kind: 'employee', id: 'zhou' }, access: 'work' }],
    })
    expect(await customerById(db, lookup, shop, all, 1)).toMatchObject({ category: 'partner', stage: 'prospect', tier: 'preferred', ownerId: 'manager', contacts: [{ name: '单二哥' }, { name: '秦琼' }] })
    expect(await customerById(db, lookup, known.neverCreated, all, 1)).toBeUndefined()
    for (const q of ['涤生', 'zengdisheng', 'zds', 'disheng', '900000003', 'ZengDi']) expect(await found({ q }), q).toEqual([person])
    for (const q of ['shanerge', '二哥', 'chongqing', '0000003']) expect(await found({ q }), q).toContain(shop)
    for (const q of ['曾国藩', '%', '_', '徐茂公']) expect(await found({ q }), q).toEqual([])
    expect((await listEmployees(db, lookup)).find((employee) => employee.employeeId === 'zhou')).toEqual({ employeeId: 'zhou', name: '周芷若', departmentId: 'east', departed: true, revision: 2 })
    expect((await listDepartments(db, lookup)).find((department) => department.departmentId === 'east')).toEqual({ departmentId: 'east', name: '华东部', parentId: 'head-office', revision: 1 })
    const identity = (value: string) => world.runtime.keyedHash.identity('mobile', value)
    expect((await holders(db, schemaOf(duplicates), [identity('+8613900000001'), identity('+8613900000002'), identity('+8613900000003')])).map((one) => one.customerId).toSorted()).toEqual([person, known.customers[4] ?? ''].toSorted())
    expect((await customerTransitions(db, schemaOf(lifecycle), [shop])).map(({ axis, from, to, kind }) => `${axis} ${from ?? '-'} ${to} ${kind}`)).toEqual([
      'stage - target entry', 'tier - standard entry', 'stage target prospect progress', 'stage prospect lost setback', 'stage lost prospect won-back', 'tier standard premier up', 'tier premier preferred down',
    ])
    expect((await transitionMatrix(db, schemaOf(lifecycle), 'stage', { from: null, to: null })).filter((cell) => cell.to === 'prospect')).toEqual([{ from: 'lost', to: 'prospect', move: 'won-back', backward: false, customers: 1, transitions: 1 }, { from: 'target', to: 'prospect', move: 'progress', backward: false, customers: 1, transitions: 1 }])
    expect(await standing(db, schemaOf(lifecycle))).toContainEqual({ category: 'partner', stage: 'prospect', tier: 'preferred', customers: 1 })
  })
})
