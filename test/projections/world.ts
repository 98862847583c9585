import { sql, type Kysely } from 'kysely'
import { expect } from 'vitest'
import { z } from 'zod'
import type { Answer } from '../../src/commands/handle.ts'
import { readPositionToken } from '../../src/commands/position.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { emptyHead, headAfter } from '../../src/event-store/chain.ts'
import type { EventStore, JsonObject } from '../../src/event-store/port.ts'
import { projections } from '../../src/projections/all.ts'
import { runProjection, type RunnerDependencies } from '../../src/projections/runner.ts'
import { schemaOf, type Build, type Projection } from '../../src/projections/projection.ts'
import type { RebuildDependencies } from '../../src/projections/rebuild.ts'
import { makeService } from '../support/runtime.ts'
import { kyselyOn } from '../../src/projections/kysely.ts'
import { openPool } from '../support/database.ts'

/** Models with events of their own that `everything` does not make are tested in files of their own. */
const testedElsewhere = ['complaints', 'duplicate-cases', 'record-reports', 'protection', 'handovers']
export const models = projections.filter((projection) => !testedElsewhere.includes(projection.model))

export const importer: Caller = { actor: 'importer', role: 'system', employeeId: 'clerk', onBehalfOf: 'clerk' }
export const behalfOf = (employeeId: string): Caller => ({ ...importer, employeeId, onBehalfOf: employeeId })
const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }

/** Waits for a condition, looking often. What it came to is in the failure. */
export const until = async (what: string, holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> => {
  const end = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > end) expect.fail(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export type Report = { model: string; level: string; message: string }

/** A command side and projections on a database of their own. Runners are started by hand, as many as a test wants. */
export const makeWorld = async () => {
  const service = await makeService({ reservationWaitMs: 20 })
  const { runtime, store, database } = service
  const pool = openPool(database.url, { max: 20, pipeline: true })
  const db = kyselyOn(pool)
  const placeId = runtime.organisation.current().log?.places.at(-1) ?? expect.fail('the log has no place')
  const rebuilding: RebuildDependencies = { db, store, codec: runtime.codec, placeId, analystRole: null }
  const stops: (() => Promise<void>)[] = []

  const run = (projection: Projection, more: Partial<RunnerDependencies> = {}) => {
    const abort = new AbortController()
    const reports: Report[] = []
    const { status, done } = runProjection({
      db, connectionString: database.url, store, codec: runtime.codec, placeId, analystRole: null, report: (report) => reports.push(report), ...more,
    }, projection, abort.signal)
    const stop = async () => {
      abort.abort()
      await done
    }
    stops.push(stop)
    const reaches = (position: bigint, withinMs?: number) =>
      until(`${projection.model} reaches ${position}, is ${JSON.stringify({ ...status(), position: String(status().position) })}`, () => status().state === 'live' && status().position >= position, withinMs)
    return { status, reports, stop, reaches, caughtUp: async (withinMs?: number) => reaches(await store.head(), withinMs) }
  }

  return {
    ...service, db, placeId, rebuilding, run,
    close: async () => {
      await Promise.all(stops.map((stop) => stop()))
      await db.destroy()
      await service.close()
    },
  }
}
export type World = Awaited<ReturnType<typeof makeWorld>>

const Accepted = z.looseObject({ customerId: z.string().default(''), revision: z.number(), position: z.string() })

/** Sends a command that must be accepted. */
export const send = async (runtime: Runtime, name: string, body: object, caller: Caller = importer) => {
  const answer = await handleNamed(runtime, name, body, { caller: rolesOfAdmin.test(name) ? admin : caller })
  if (answer.status >= 300) expect.fail(`${name}: ${JSON.stringify(answer.body)}`)
  return acceptedOf(runtime, answer)
}
const rolesOfAdmin = /-(department|employee|authority-limit|category|policy)$/

export const acceptedOf = (runtime: Runtime, answer: Answer) => {
  const { customerId, revision, position: token } = Accepted.parse(answer.body)
  const read = readPositionToken(runtime, token)
  return { customerId, revision, token, position: read.kind === 'here' ? read.position : expect.fail(`not a position of this log: ${token}`) }
}

export const mobile = (number: number) => ({ kind: 'mobile', value: `139${String(number).padStart(8, '0')}` })

export const create = (runtime: Runtime, more: object = {}) =>
  send(runtime, 'create-customer', { category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, ...more })

/** Appends an event as a hand, or another version of this program, would: no decider is asked. */
export const appendByHand = async ({ store, runtime }: { store: EventStore; runtime: Runtime }, stream: string, type: string, data: JsonObject) => {
  let head = emptyHead(stream)
  for await (const event of store.readStream(stream)) head = headAfter(event)
  const metadata = { commandId: crypto.randomUUID(), commandHash: 'by hand', actor: 'hand', $correlationId: 'hand', $causationId: 'hand' }
  const events = await runtime.codec.encode(stream, head, [{ type, schemaVersion: 1, data }], metadata, new Date().toISOString())
  const result = await store.append({ stream, expectedRevision: head.revision < 0 ? 'no_stream' : head.revision, events })
  return result.outcome === 'appended' ? result.position : expect.fail(`${type} was not appended`)
}

/** A writer that stopped between its reservation and its customer. Whoever wants the identity next fences it. */
export const stopAfterReserving = async (world: { store: EventStore; runtime: Runtime }, customerId: string, value: string) => {
  const identity = world.runtime.keyedHash.identity('mobile', `+86${value}`)
  await appendByHand(world, `identity-${identity}`, 'IdentityReserved', { customerId, commandId: crypto.randomUUID(), epoch: 0 })
}

/** A log with an event of every kind a read model looks at, and rows in every table. Answers the fenced customer that was never created. */
export const everything = async (world: World): Promise<{ neverCreated: string; customers: string[] }> => {
  const { runtime } = world
  const on = (name: string, customerId: string, body: object = {}, caller = importer) => send(runtime, name, { customerId, ...body }, caller)
  await send(runtime, 'register-department', { departmentId: 'south', name: '华南部', parentId: 'head-office' })
  await send(runtime, 'register-department', { departmentId: 'east', name: '华东部' })
  await send(runtime, 'move-department', { departmentId: 'east', parentId: 'head-office' })
  for (const [employeeId, name] of [['zhou', '周芷若'], ['shan', '单雄信']] as const) await send(runtime, 'register-employee', { employeeId, name, departmentId: 'south' })
  await send(runtime, 'move-employee', { employeeId: 'zhou', departmentId: 'east' })

  const person = await create(runtime, {
    name: '曾国藩', identifiers: [mobile(1), { kind: 'email', value: 'Zeng@Example.com' }], effectiveAt: '2026-01-02T03:04:05.678Z', enteredBy: 'manager', enteredAt: '2019-05-06T07:08:09+08:00',
    fields: { source: 'web-enquiry', address: '湘乡 1 号', importance: 'A', sex: 'male', hobbies: '围棋' },
  })
  await on('change-profile', person.customerId, { name: '曾涤生', fields: { address: null, occupation: '总督' } })
  await on('share-customer', person.customerId, { employeeId: 'zhou', access: 'read' })
  await on('share-customer', person.customerId, { employeeId: 'zhou', access: 'work', reason: '协助跟进' })
  await on('share-customer', person.customerId, { departmentId: 'south', access: 'read' })
  await on('share-customer', person.customerId, { departmentId: 'east', access: 'read' })
  await on('revoke-share', person.customerId, { departmentId: 'east' })
  await on('add-identifier', person.customerId, { identifier: mobile(2) })
  await on('change-identifier', person.customerId, { from: mobile(2), to: mobile(3), reason: '换号' })
  await on('release-identifier', person.customerId, { identifier: mobile(1), reason: '停用' })

  const shop = await create(runtime, {
    category: 'enterprise', name: '重庆单氏商行', claim: false, identifiers: [mobile(4)],
    fields: { source: 'referral', importance: 'B', address: '重庆 2 号', companyPhone: '010-62345678', industry: '零售', numberOfComputers: 3, registeredCapital: { amount: 100_000_00, currency: 'CNY' } },
    contacts: [{ name: '单雄信', fields: { sex: 'male', title: '经理', role: 'decision-maker', mobile: '13700000001', email: 'shan@example.com' } }, { name: '徐茂公', fields: {} }],
  })
  await on('add-contact', shop.customerId, { name: '秦琼', fields: { mobile: '13700000002' } })
  const { rows: contacts } = await world.database.pool.query<{ id: string }>(`select data::jsonb->'contacts'->n->>'contactId' as id from kehu.event, generate_series(0, 1) n where type = 'CustomerCreated' and stream = $1 order by n`, [`customer-${shop.customerId}`])
  await on('change-contact', shop.customerId, { contactId: contacts[0]?.id, name: '单二哥', fields: { mobile: '13700000003' } })
  await on('remove-contact', shop.customerId, { contactId: contacts[1]?.id, reason: '已离职' })
  await on('claim-ownership', shop.customerId, {}, behalfOf('zhou'))
  await on('transfer-ownership', shop.customerId, { to: 'shan', reason: '区域调整' })
  await on('release-ownership', shop.customerId, { reason: '不再跟进' })
  await on('assign-ownership', shop.customerId, { to: 'manager', reason: '重新分配' })
  await on('change-stage', shop.customerId, { to: 'prospect' })
  await on('change-stage', shop.customerId, { to: 'lost', reason: '无回应' })
  await on('change-stage', shop.customerId, { to: 'prospect' })
  await on('upgrade-tier', shop.customerId, { to: 'premier', basis: 'spend', evidence: '年消费 80 万' })
  await on('downgrade-tier', shop.customerId, { to: 'preferred', basis: 'correction', evidence: { amount: 3 } })
  await on('recategorise-customer', shop.customerId, { category: 'partner', reason: '成为伙伴' })

  // Two writers that stopped half-way: one tries again later, the other never does. Both are fenced.
  await stopAfterReserving(world, 'late', '13900000005')
  await stopAfterReserving(world, 'never', '13900000006')
  const quick = await create(runtime, { name: '李四', identifiers: [mobile(5), mobile(6)] })
  const late = await create(runtime, { customerId: 'late', name: '赵六' })
  // What one customer lets go another takes up.
  const heir = await create(runtime, { name: '钱七', identifiers: [mobile(1)] })
  await send(runtime, 'depart-employee', { employeeId: 'zhou', reason: '离职' })
  return { neverCreated: 'never', customers: [person, shop, quick, late, heir].map((one) => one.customerId) }
}

/** Every cell of every table of a model as text, row by row; but for generated keys, which only name a row within a build. */
export const dump = async (db: Kysely<unknown>, projection: Projection, build: Build = 'live'): Promise<Record<string, string[]>> => {
  const tables: Record<string, string[]> = {}
  for (const table of projection.tables) {
    const columns = table.columns.filter((column) => !column.type.includes('generated')).map((column) => sql.id(column.name))
    const { rows } = await sql<{ row: string }>`select row(${sql.join(columns)})::text as row from ${sql.id(schemaOf(projection, build), table.name)}`.execute(db)
    tables[table.name] = rows.map(({ row }) => row).toSorted()
  }
  return tables
}
