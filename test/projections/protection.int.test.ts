import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { groupOf } from '../../src/commands/group.ts'
import { makeDueRounds } from '../../src/commands/processes/deadlines.ts'
import { placeWithFacts } from '../../src/commands/protection-facts.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { asOne } from '../../src/domain/customer/group.ts'
import { standingOf } from '../../src/domain/customer/protection.ts'
import { dueByProcess } from '../../src/due.ts'
import { makeComplaintFinder } from '../../src/finders.ts'
import { makeProcessLog, type ProcessLog } from '../../src/event-store/process-log.ts'
import { complaints } from '../../src/projections/complaints/project.ts'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { dueLapses, dueWarnings } from '../../src/projections/protection/due.ts'
import { protection } from '../../src/projections/protection/project.ts'
import { protectionOfCustomer, protections } from '../../src/projections/protection/queries.ts'
import { makeReadModels, type ReadModels } from '../../src/projections/read-models.ts'
import { compareWithReplay, rebuild } from '../../src/projections/rebuild.ts'
import { behalfOf, create, dump, makeWorld, send, type World } from './world.ts'

const DAY_MS = 86_400_000
const policy = (more: object = {}) => ({ policy: 'ownership', value: { backdatingDays: 3650, protection: { days: 10, byTier: { premier: 20 }, byCategory: { enterprise: 5 }, warnDays: 2, exempt: { openComplaint: true, recentPurchaseDays: 15 }, ...more } }, reason: '试' })
const shop = { category: 'enterprise', fields: { source: 'referral', importance: 'B', address: '重庆 2 号', companyPhone: '010-62345678', industry: '零售', numberOfComputers: 3, registeredCapital: { amount: 100, currency: 'CNY' } } }
const minor = { class: 'service', severity: 'minor', channel: 'phone', description: '慢' }
const called = (customerId: string) => ({ customerId, channel: 'phone', direction: 'outbound', purpose: 'courtesy' })

describe('the read model of protection', () => {
  let world: World
  let readModels: ReadModels
  let processLog: ProcessLog
  let models: ReturnType<World['run']>[]
  const started = Date.now()
  const inDays = (days: number) => new Date(started + days * DAY_MS).toISOString()
  const organisation = () => world.runtime.organisation.current()
  const caughtUp = () => Promise.all(models.map((model) => model.caughtUp()))
  const schema = schemaOf(protection)
  const lapsing = async (days: number) => (await dueLapses(world.db, schema, organisation(), inDays(days), 100)).due.map(({ customerId }) => customerId).toSorted()
  const warning = async (days: number) => (await dueWarnings(world.db, schema, organisation(), inDays(days), 100)).due.map(({ customerId }) => customerId).toSorted()
  const settle = async (complaintId: string) => {
    const { runtime } = world
    await send(runtime, 'reply-to-complaint', { complaintId, reply: '好' })
    await send(runtime, 'record-complaint-action', { complaintId, action: '办' })
    await send(runtime, 'follow-up-complaint', { complaintId, outcome: '好', satisfied: true })
    await send(runtime, 'record-improvement', { complaintId, improvement: '改' })
    await send(runtime, 'close-complaint', { complaintId })
  }
  const merge = (survivorId: string, absorbedId: string) => send(world.runtime, 'merge-customers', { customerIds: [survivorId, absorbedId], survivorId, reason: '同一客户' })
  const at = (days: number): Runtime => ({ ...world.runtime, now: () => new Date(started + days * DAY_MS), findComplaints: makeComplaintFinder(readModels, world.runtime.store) })
  const runDue = (process: string, days: number) => makeDueRounds(at(days), processLog, process, dueByProcess(world.runtime, readModels)[process] ?? expect.fail(`there is no process ${process}`))()

  beforeAll(async () => {
    world = await makeWorld()
    readModels = makeReadModels({ db: world.db, connectionString: world.database.url, head: world.store.head, waitMs: 20_000 })
    processLog = makeProcessLog(world.database.pool)
    models = [protection, complaints, customerLookup].map((projection) => world.run(projection))
    const { runtime } = world
    await send(runtime, 'revise-policy', policy())
    for (const customerId of ['plain', 'bought', 'complained', 'settled', 'locked', 'locked-until', 'premier', 'released', 'survivor', 'absorbed', 'given-back']) await create(runtime, { customerId, name: `客户${customerId}` })
    await create(runtime, { customerId: 'shop', name: '重庆单氏商行', ...shop })
    await create(runtime, { customerId: 'pool', name: '无主', claim: false })
    await send(runtime, 'record-purchase', { customerId: 'bought', purchaseId: 'order-1', at: inDays(-1), amount: { amount: 5, currency: 'CNY' } })
    await send(runtime, 'lodge-complaint', { complaintId: 'open', customerId: 'complained', ...minor })
    await send(runtime, 'lodge-complaint', { complaintId: 'closed', customerId: 'settled', ...minor })
    await caughtUp()
    await settle('closed')
    await send(runtime, 'lock-protection', { customerId: 'locked', reason: '战略客户' })
    await send(runtime, 'lock-protection', { customerId: 'locked-until', reason: '招标', until: inDays(12) })
    await send(runtime, 'upgrade-tier', { customerId: 'premier', to: 'premier', basis: 'approval', evidence: '批准' })
    await send(runtime, 'release-ownership', { customerId: 'released', reason: '放弃' })
    await merge('survivor', 'absorbed')
    await merge('survivor', 'given-back')
    await send(runtime, 'lodge-complaint', { complaintId: 'of-absorbed', customerId: 'absorbed', ...minor })
    await send(runtime, 'record-purchase', { customerId: 'given-back', purchaseId: 'order-2', at: inDays(0), amount: { amount: 5, currency: 'CNY' } })
    await caughtUp()
  })
  afterAll(async () => {
    await readModels.close()
    await world.close()
  })

  it('finds what is over at a time, by the policy of now, what exempts it, and all that was absorbed', async () => {
    expect(await lapsing(4.9)).toEqual([])
    expect(await lapsing(6)).toEqual(['shop'])
    expect(await lapsing(11)).toEqual(['plain', 'settled', 'shop'])
    expect(await lapsing(13)).toEqual(['locked-until', 'plain', 'settled', 'shop'])
    expect(await lapsing(14.5)).toEqual(['bought', 'locked-until', 'plain', 'settled', 'shop'])
    expect(await lapsing(30)).toEqual(['bought', 'locked-until', 'plain', 'premier', 'settled', 'shop'])
    const { due, next } = await dueLapses(world.db, schema, organisation(), inDays(30), 2)
    expect(due.map(({ customerId, ownerId }) => [customerId, ownerId])).toEqual([['shop', 'clerk'], ['plain', 'clerk']])
    expect(next).toBeNull()
    expect((await dueLapses(world.db, schema, organisation(), inDays(1), 5)).next?.slice(0, 13)).toBe(inDays(5).slice(0, 13))
  })

  it('says of each what a decision would find in the streams', async () => {
    for (const customerId of ['plain', 'bought', 'complained', 'settled', 'locked', 'locked-until', 'premier', 'survivor', 'shop']) {
      const group = await groupOf(world.runtime, customerId)
      const { facts } = (await placeWithFacts(world.runtime, { customerId, ownerId: 'clerk', since: '', lapsesAt: '' }, group.loaded)).body
      const standing = standingOf(asOne(group), facts ?? expect.fail('no facts'), organisation(), inDays(11))
      expect(await protectionOfCustomer(world.db, schema, organisation(), customerId, inDays(11)), customerId).toMatchObject({ protectedSince: standing?.since, protectedUntil: standing?.until, lapsesAt: standing?.lapsesAt, exemptions: standing?.exemptions })
    }
    expect(await protectionOfCustomer(world.db, schema, organisation(), 'pool', inDays(0))).toBeNull()
  })

  it('lists for people what lapses first, a page after the other', async () => {
    const all = await protections(world.db, schema, organisation(), {}, { now: inDays(0), limit: 20 })
    expect(all.map(({ customerId }) => customerId)).toEqual(['shop', ...all.map(({ customerId }) => customerId).filter((id) => id === 'plain' || id === 'settled'), 'locked-until', 'bought', 'premier', 'complained', 'locked', 'survivor'])
    const paged: string[] = []
    for (let after: { at: string; customerId: string } | undefined; ;) {
      const [one] = await protections(world.db, schema, organisation(), {}, { now: inDays(0), limit: 1, after })
      if (!one) break
      paged.push(one.customerId)
      after = { at: one.lapsesAt ?? 'infinity', customerId: one.customerId }
    }
    expect(paged).toEqual(all.map(({ customerId }) => customerId))
    expect((await protections(world.db, schema, organisation(), { before: inDays(11), ownerIds: ['clerk'] }, { now: inDays(0), limit: 20 })).map(({ customerId }) => customerId)).toHaveLength(3)
    expect(await protections(world.db, schema, organisation(), { ownerIds: ['manager'] }, { now: inDays(0), limit: 20 })).toEqual([])
  })

  it('goes by another policy at once, also one that counts no purchases or protects without end', async () => {
    await send(world.runtime, 'revise-policy', policy({ exempt: { openComplaint: false, recentPurchaseDays: null } }))
    expect(await lapsing(11)).toEqual(['bought', 'complained', 'plain', 'settled', 'shop', 'survivor'])
    await send(world.runtime, 'revise-policy', policy({ days: null, byCategory: {}, byTier: { premier: 1 } }))
    expect(await lapsing(300)).toEqual(['premier'])
    await send(world.runtime, 'revise-policy', { policy: 'ownership', value: { backdatingDays: 3650 }, reason: '试' })
    expect(await lapsing(300)).toEqual([])
    await send(world.runtime, 'revise-policy', policy())
  })

  it('gives back with a reversal what came with the absorbed', async () => {
    await settle('of-absorbed')
    await caughtUp()
    expect(await lapsing(14.9)).not.toContain('survivor')
    await send(world.runtime, 'reverse-merge', { absorbedId: 'given-back', reason: '误合并' })
    await caughtUp()
    expect(await lapsing(14.9)).toContain('survivor')
    expect(await lapsing(14.9)).not.toContain('given-back')
    await send(world.runtime, 'record-interaction', called('absorbed'))
    await caughtUp()
    const { protectedSince } = (await protectionOfCustomer(world.db, schema, organisation(), 'survivor', inDays(0))) ?? expect.fail('nobody holds it')
    expect(Date.parse(protectedSince)).toBeGreaterThan(started)
  })

  it('is what the processes act by: each warning and each lapse once, and shares that end', async () => {
    await send(world.runtime, 'share-customer', { customerId: 'plain', employeeId: 'manager', access: 'work', until: inDays(1) })
    await caughtUp()
    await runDue('protection-warnings', 9)
    await caughtUp()
    expect(await warning(9)).toEqual([])
    expect((await protections(world.db, schema, organisation(), { before: inDays(11) }, { now: inDays(9), limit: 20 })).map(({ customerId, warned }) => [customerId, warned]).toSorted()).toEqual(
      [['plain', true], ['settled', true], ['shop', false], ['survivor', true]])
    for (let times = 0; times < 2; times += 1) {
      await runDue('shares-that-end', 9)
      await runDue('protection-lapses', 14)
    }
    await caughtUp()
    await runDue('protection-lapses', 14)
    expect(await lapsing(14)).toEqual([])
    expect(await processLog.parked()).toEqual([])
    const released = await Array.fromAsync(world.store.readStream('customer-plain'))
    expect(released.map(({ type }) => type)).toEqual(['CustomerCreated', 'OwnershipClaimed', 'CustomerShared', 'ProtectionLapseWarned', 'ShareRevoked', 'OwnershipReleased'])
    expect(released.at(-1)).toMatchObject({ data: { from: 'clerk', basis: 'protection-lapsed', lapse: { days: 10, followedUpAt: null } }, metadata: { actor: 'protection-lapses', policies: [{ name: 'ownership' }] } })
    // Claimed again: a period of its own.
    await send(at(15), 'claim-ownership', { customerId: 'plain' }, behalfOf('manager'))
    await caughtUp()
    expect(await lapsing(24)).not.toContain('plain')
    expect(await lapsing(26)).toContain('plain')
  })

  it('is the same live and in a rebuild', async () => {
    await caughtUp()
    expect(await compareWithReplay(world.rebuilding, protection)).toEqual([])
    const [model] = models
    const rows = await dump(world.db, protection)
    await model?.stop()
    await rebuild(world.rebuilding, protection)
    expect(await dump(world.db, protection)).toEqual(rows)
  })
})
