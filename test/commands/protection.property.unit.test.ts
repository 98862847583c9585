import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import { makeFolds } from '../../src/commands/folds.ts'
import { makeDueRounds } from '../../src/commands/processes/deadlines.ts'
import { makeLiveOrganisation } from '../../src/commands/organisation.ts'
import { lodgedSince } from '../../src/commands/protection-facts.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { domainEvent, type DomainEvent } from '../../src/domain/events.ts'
import { Ownership } from '../../src/domain/policy/kinds.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import { EventStoreUnavailable, type EventStore } from '../../src/event-store/port.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { makeMemoryProcessLog } from '../support/process-log.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'

/*
 * Owners, follow-ups, purchases, complaints, locks and policies at random, and time going by. A process that sends what a read
 * model lists, which may be late, and that dies before an append or after it, releases each customer if its protection is
 * truly over, and never otherwise: by the events alone, as `truthOf` reads them.
 */
const SEED = 20260303
const RUNS = 40
const DAY_MS = 86_400_000
const start = Date.parse('2026-03-01T00:00:00Z')
const base = makeMemoryStore()
let clock = start
let elapsed = 0
const baseRuntime: Runtime = { ...makeRuntime(base, { reservationWaitMs: 20 }), now: () => new Date(clock), elapsed: () => elapsed, sleep: async () => undefined }
const person = (employeeId: string): Caller => ({ actor: employeeId, role: 'system', employeeId, onBehalfOf: employeeId })
const nobody: Caller = { actor: 'crm', role: 'system', employeeId: null, onBehalfOf: null }
const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }
const customers = ['a', 'b'] as const
const employees = ['clerk', 'manager'] as const

beforeAll(async () => {
  await bootstrapLog(baseRuntime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })
  for (const customerId of customers) await handleNamed(baseRuntime, 'create-customer', { customerId, category: 'individual-retail', name: `客户${customerId}`, fields: { source: 'referral' } }, { caller: person('clerk') })
})

type Truth = { ownerId: string | null; since: string; lapsesAt: string | null; warnAt: string | null; warned: boolean }
const later = (at: string, days: number) => new Date(Date.parse(at) + Math.round(days * DAY_MS)).toISOString()

/** How the protection of a customer stands by these events, from their definition. */
const truthOf = (events: readonly DomainEvent[], customerId: string): Truth => {
  let policy = Ownership.parse({ backdatingDays: 0 })
  let owner: { ownerId: string | null; at: string } = { ownerId: null, at: '' }
  let since = ''
  let lock: { until: string | null } | null = null
  let boughtAt = ''
  let warnedSince = ''
  const open = new Set<string>()
  const complaints = new Set<string>()
  for (const one of events) {
    if (one.kind === 'policy' && one.id === 'ownership') policy = Ownership.parse(one.event.data.value)
    if (one.kind === 'complaint') {
      const { type, data } = one.event
      if (type === 'ComplaintLodged' && data.complainant.kind === 'customer' && data.complainant.customerId === customerId) complaints.add(one.id)
      if (complaints.has(one.id) && (type === 'ComplaintLodged' || type === 'ComplaintReopened')) open.add(one.id)
      if (type === 'ComplaintClosed') open.delete(one.id)
    }
    if (one.kind === 'engagement' && one.id === customerId && one.event.type === 'InteractionRecorded' && one.event.data.employeeId !== null && one.event.data.employeeId === owner.ownerId && one.event.data.at > since) since = one.event.data.at
    if (one.kind === 'purchases' && one.id === customerId && one.event.type === 'PurchaseRecorded' && one.event.data.at > boughtAt) boughtAt = one.event.data.at
    if (one.kind !== 'customer' || one.id !== customerId) continue
    const { event } = one
    const to = event.type === 'OwnershipClaimed' || event.type === 'OwnershipTransferred' ? event.data.ownerId : event.type === 'OwnershipReleased' || event.type === 'CustomerCreated' ? null : undefined
    if (to !== undefined && event.effectiveAt >= owner.at) {
      owner = { ownerId: to, at: event.effectiveAt }
      since = event.recordedAt
    }
    if (event.type === 'ProtectionRenewed') since = event.recordedAt
    if (event.type === 'ProtectionLocked') lock = { until: event.data.until }
    if (event.type === 'ProtectionUnlocked') lock = null
    if (event.type === 'ProtectionLapseWarned') warnedSince = event.data.protectedSince
  }
  const { protection } = policy
  const endless = !protection || protection.days === null || owner.ownerId === null || (lock !== null && lock.until === null) || (protection.exempt.openComplaint && open.size > 0)
  const bought = typeof protection?.exempt.recentPurchaseDays === 'number' && boughtAt !== '' ? later(boughtAt, protection.exempt.recentPurchaseDays) : ''
  const ends = endless ? [] : [later(since, protection.days ?? 0), bought, lock?.until ?? ''].toSorted()
  const lapsesAt = ends.at(-1) ?? null
  return { ownerId: owner.ownerId, since, lapsesAt, warnAt: lapsesAt === null || typeof protection?.warnDays !== 'number' ? null : later(lapsesAt, -protection.warnDays), warned: warnedSince === since }
}

type World = { runtime: Runtime; store: MemoryStore; events: (upTo?: number) => Promise<DomainEvent[]> }
const fork = async (): Promise<World> => {
  const store = base.fork()
  const runtime = { ...baseRuntime, store, folds: makeFolds(), organisation: makeLiveOrganisation(store, baseRuntime.codec) }
  await runtime.organisation.refresh()
  const read: (DomainEvent | undefined)[] = []
  const events = async (upTo = Infinity) => {
    for (const stored of await runtime.codec.decode(store.since(BigInt(read.length)))) read.push(domainEvent(stored))
    return read.slice(0, upTo).filter((event) => event !== undefined)
  }
  return { runtime, store, events }
}

/** What a read model lists that has read so many events less than there are. */
const listed = async ({ events, store, runtime }: World, behind: number) => {
  const known = await events(Number(await store.head()) - behind)
  const version = runtime.organisation.current().policies.ownership.version
  const now = new Date(clock).toISOString()
  const of = (command: string, word: string, isDue: (truth: Truth) => boolean) => customers.flatMap((customerId) => {
    const truth = truthOf(known, customerId)
    const { ownerId, since, lapsesAt } = truth
    return isDue(truth) && lapsesAt !== null ? [{ at: lapsesAt, of: customerId, intent: { command, key: `${word}/${customerId}/${since}/${lapsesAt}/${version}`, body: { customerId, ownerId, since, lapsesAt } } }] : []
  })
  return [...of('warn-of-lapse', 'warn', ({ warnAt, lapsesAt, warned }) => warnAt !== null && warnAt <= now && !warned && lapsesAt !== null && lapsesAt > now), ...of('lapse-protection', 'lapse', ({ lapsesAt }) => lapsesAt !== null && lapsesAt <= now)]
}

type Crash = 'never' | 'before an append' | 'after an append'
const dying = (store: EventStore, crash: Crash): EventStore => ({
  ...store,
  append: async (append) => {
    if (crash === 'before an append') throw new EventStoreUnavailable('gone')
    const result = await store.append(append)
    if (crash === 'after an append') throw new EventStoreUnavailable('gone')
    return result
  },
})

/** The process, begun anew: as it would go on until nothing is listed, or it dies. */
const runProcess = async (world: World, processLog: ReturnType<typeof makeMemoryProcessLog>, { behind, crash }: { behind: number; crash: Crash }) => {
  const { store } = world
  // The read model that knows where complaints are is late as well.
  const position = BigInt(Math.max(0, Number(await store.head()) - behind))
  const findComplaints: Runtime['findComplaints'] = async (customerIds) => {
    const known = await world.events(Number(position))
    const early = known.flatMap((one) => (one.kind === 'complaint' && one.event.type === 'ComplaintLodged' && one.event.data.complainant.kind === 'customer' ? [{ customerId: one.event.data.complainant.customerId, complaintId: one.id }] : []))
    return [...early, ...(await lodgedSince(store, position))].filter(({ customerId }) => customerIds.includes(customerId)).map(({ complaintId }) => complaintId)
  }
  const runtime: Runtime = { ...world.runtime, store: dying(store, crash), folds: makeFolds(), findComplaints }
  const round = makeDueRounds(runtime, processLog, 'protection', async () => ({ due: await listed(world, behind), next: null }))
  try {
    for (let rounds = 0; rounds < (behind === 0 ? 4 : 2); rounds += 1) {
      await round()
      elapsed += 100_000
    }
  } catch (error) {
    if (!(error instanceof EventStoreUnavailable)) throw error
  }
}

let keys = 0
type Step = (world: World) => Promise<unknown>
const body = (command: string, sent: object, caller = nobody): Step => async ({ runtime }) => {
  const { status, body: answer } = await handleNamed(runtime, command, sent, { caller, key: `key ${(keys += 1)}` })
  if (status >= 400 && status !== 409) expect.fail(`${command}: ${JSON.stringify(answer)}`)
}
const ago = (days: number) => new Date(clock - days * DAY_MS).toISOString()
const on = fc.constantFrom(...customers)
const who = fc.constantFrom(...employees)
const days = fc.constantFrom(0.5, 1, 2, 3)
const allSteps = ['reply-to-complaint', 'record-complaint-action', 'follow-up-complaint', 'record-improvement']
const close = (complaintId: string): Step => async (world) => {
  for (const command of allSteps) await body(command, { complaintId, ...(command === 'reply-to-complaint' ? { reply: '好' } : command === 'record-complaint-action' ? { action: '办' } : command === 'follow-up-complaint' ? { outcome: '好', satisfied: true } : { improvement: '改' }) })(world)
  await body('close-complaint', { complaintId })(world)
}
const complaintOf = (customerId: string) => `of-${customerId}`
const tried = (step: Step): Step => async (world) => step(world).catch(() => undefined)
const processLogs = new WeakMap<World, ReturnType<typeof makeMemoryProcessLog>>()
const processLogOf = (world: World) => {
  const log = processLogs.get(world) ?? makeMemoryProcessLog()
  processLogs.set(world, log)
  return log
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.tuple(on, who).map(([customerId, one]) => body('claim-ownership', { customerId }, person(one))), weight: 4 },
  fc.tuple(on, who).map(([customerId, to]) => body('transfer-ownership', { customerId, to, reason: '调整' })),
  on.map((customerId) => body('release-ownership', { customerId, reason: '放弃' })),
  { arbitrary: fc.tuple(on, who, fc.constantFrom(0, 0, 1, 2)).map(([customerId, one, back]): Step => (world) => body('record-interaction', { customerId, channel: 'phone', direction: 'inbound', purpose: 'courtesy', at: ago(back) }, person(one))(world)), weight: 3 },
  fc.tuple(on, fc.constantFrom(0, 1, 2)).map(([customerId, back]): Step => (world) => body('record-purchase', { customerId, purchaseId: `order-${(keys += 1)}`, at: ago(back), amount: { amount: 5, currency: 'CNY' } })(world)),
  on.map((customerId) => body('lodge-complaint', { complaintId: complaintOf(customerId), customerId, class: 'service', severity: 'minor', channel: 'phone', description: '慢' })),
  { arbitrary: on.map((customerId) => tried(close(complaintOf(customerId)))), weight: 2 },
  on.map((customerId) => tried(body('reopen-complaint', { complaintId: complaintOf(customerId), reason: '又慢' }))),
  fc.tuple(on, fc.option(days)).map(([customerId, ahead]): Step => (world) => body('lock-protection', { customerId, reason: '重要', ...(ahead === null ? {} : { until: ago(-ahead) }) })(world)),
  { arbitrary: on.map((customerId) => body('unlock-protection', { customerId, reason: '不再' })), weight: 2 },
  on.map((customerId) => body('renew-protection', { customerId, reason: '延期' })),
  fc.record({ days: fc.option(days, { freq: 8 }), warnDays: fc.option(fc.constantFrom(0.25, 1)), exempt: fc.record({ openComplaint: fc.boolean(), recentPurchaseDays: fc.option(days) }) })
    .map((protection) => body('revise-policy', { policy: 'ownership', value: { backdatingDays: 3650, protection }, reason: '试' }, admin)),
  { arbitrary: fc.constantFrom(0.1, 0.5, 1, 2, 6).map((passing): Step => async () => { clock += passing * DAY_MS }), weight: 6 },
  { arbitrary: fc.record({ behind: fc.nat(6), crash: fc.constantFrom<Crash>('never', 'never', 'before an append', 'after an append') }).map((how): Step => (world) => runProcess(world, processLogOf(world), how)), weight: 5 },
)

test('a customer is released if its protection is over, once, and never otherwise; its owner is warned once, and before', async () => {
  let lapses = 0
  let warnings = 0
  const steps = fc.array(step, { minLength: 10, maxLength: 30, size: 'max' })
  const policy = { backdatingDays: 3650, protection: { days: 2, warnDays: 1, exempt: { openComplaint: true, recentPurchaseDays: 1 } } }
  await fc.assert(fc.asyncProperty(steps, async (some) => {
    clock = start
    const world = await fork()
    await body('revise-policy', { policy: 'ownership', value: policy, reason: '试' }, admin)(world)
    for (const take of some) await take(world)
    // In the end it runs undisturbed, on what is so.
    await runProcess(world, processLogOf(world), { behind: 0, crash: 'never' })
    expect(await listed(world, 0)).toEqual([])

    const events = await world.events()
    const once = new Set<string>()
    events.forEach((one, index) => {
      if (one.kind !== 'customer' || (one.event.type !== 'ProtectionLapseWarned' && !(one.event.type === 'OwnershipReleased' && one.event.data.basis === 'protection-lapsed'))) return
      const { event } = one
      const truth = truthOf(events.slice(0, index), one.id)
      if (event.type === 'ProtectionLapseWarned') {
        warnings += 1
        expect(truth).toMatchObject({ ownerId: event.data.ownerId, since: event.data.protectedSince, lapsesAt: event.data.lapsesAt, warned: false })
        expect([event.data.lapsesAt > event.recordedAt, (truth.warnAt ?? '~') <= event.recordedAt]).toEqual([true, true])
      } else if (event.type === 'OwnershipReleased') {
        lapses += 1
        expect(truth).toMatchObject({ ownerId: event.data.from, since: event.data.lapse?.protectedSince })
        expect(truth.lapsesAt ?? '~').toSatisfy((at: string) => at <= event.recordedAt)
      }
      const name = `${one.id} ${event.type} ${truth.ownerId} ${truth.since}`
      expect(once.has(name)).toBe(false)
      once.add(name)
    })
  }), { numRuns: RUNS, seed: SEED })
  expect({ lapses: lapses > RUNS / 3, warnings: warnings > RUNS / 8 }).toEqual({ lapses: true, warnings: true })
})
