import { expect } from 'vitest'
import { z } from 'zod'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import type { Answer } from '../../src/commands/handle.ts'
import type { CountHoldings } from '../../src/commands/holdings.ts'
import { makeLiveOrganisation, type LiveOrganisation } from '../../src/commands/organisation.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { customer, ownerOf, type Customer } from '../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../src/domain/customer/events.ts'
import type { Caller, Recorded } from '../../src/domain/decider.ts'
import { recordedEvent } from '../../src/domain/events.ts'
import { dayOf } from '../../src/domain/portfolio/limits.ts'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { chainFault, emptyHead, headAfter, type Head } from '../../src/event-store/chain.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import type { RecordedEvent } from '../../src/event-store/port.ts'
import { stepped, type Pace, type Step, type Stepped, type View } from '../support/interleaving.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'
import type { Kind, Limit } from './slots.model.ts'

/** The slots' protocol in the real code, step by step, on a log in memory. */

/** How long a writer waits for another's slot, by its own clock. */
export const WAIT = 20
const zone = 'Asia/Shanghai'

export const clerk: Caller = { actor: 'clerk', role: 'clerk', employeeId: 'clerk', onBehalfOf: null }
const rival: Caller = { actor: 'rival', role: 'clerk', employeeId: 'rival', onBehalfOf: null }
const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }
export const system: Caller = { actor: 'importer', role: 'system', employeeId: null, onBehalfOf: null }

const base = makeMemoryStore()
const before = new Date('2026-03-01T04:00:00.000Z')
const baseRuntime: Runtime = { ...makeRuntime(base, { reservationWaitMs: WAIT }), now: () => before }
await bootstrapLog(baseRuntime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: zone })
const accepted = ({ status, body }: Answer): void => {
  if (status >= 300) throw new Error(`not accepted: ${JSON.stringify(body)}`)
}
accepted(await handleNamed(baseRuntime, 'register-employee', { employeeId: 'rival', name: '对手', departmentId: 'head-office' }, { caller: admin }))

export const poolOf = ({ capacity, quota, ofTier }: Limit) => ({
  coolOffDays: null, dailyQuota: quota ?? null, uncountedStages: [],
  capacity: capacity === undefined ? null : ofTier ? { total: null, byTier: { premier: capacity } } : { total: capacity, byTier: {} },
})

export const enter = async (runtime: Runtime, customerId: string): Promise<void> =>
  accepted(await handleNamed(runtime, 'create-customer', { customerId, category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, claim: false }, { caller: system }))

export const nameOf = (index: number) => `customer-${index}`

type Folded = { position: bigint; customerId: string; event: Recorded<CustomerEvent> }
/** The events of customers in a log, each read once. What is sealed is no matter here. */
const makeReading = (store: MemoryStore) => {
  const folded: Folded[] = []
  let seen = 0n
  return (): readonly Folded[] => {
    for (const event of store.since(seen)) {
      seen = event.position
      if (!event.stream.startsWith('customer-')) continue
      const known = recordedEvent(customer.parse, { ...event, data: opened(event.data) })
      if (known) folded.push({ position: event.position, customerId: event.stream.slice('customer-'.length), event: known })
    }
    return folded
  }
}
const opened = (data: RecordedEvent['data']): unknown => JSON.parse(JSON.stringify(data, (_, value: unknown) => (typeof value === 'object' && value !== null && 'sealed' in value ? { erased: true } : value)))

/** Customers as a log has them up to a position. */
const stateUpTo = (events: readonly Folded[], upTo?: bigint): Map<string, Customer> => {
  const customers = new Map<string, Customer>()
  for (const { position, customerId, event } of events) {
    if (upTo === undefined || position <= upTo) customers.set(customerId, customer.evolve(customers.get(customerId) ?? customer.initialState, event))
  }
  return customers
}

/** Counts as a read model does that has come as far as it must, if it was not further to begin with; or to the end. */
const makeCount = (read: () => readonly Folded[], stale: boolean, began: bigint): CountHoldings => async (employeeId, { uncountedStages, among, after }) => {
  const held = [...stateUpTo(read(), stale ? (after > began ? after : began) : undefined)].filter(([, state]) => ownerOf(state) === employeeId)
  const byTier: Record<string, number> = {}
  for (const [, { tier, stage }] of held) if (!uncountedStages.includes(stage)) byTier[tier] = (byTier[tier] ?? 0) + 1
  return { byTier, held: new Set(held.map(([id]) => id).filter((id) => among.includes(id))) }
}
/** Counts all that a log has. */
export const countIn = (store: MemoryStore): CountHoldings => makeCount(makeReading(store), false, 0n)

/** Customers nobody claims but newcomers. */
const SPARE = 100
const NEWCOMERS = 4

/** A log with so many customers in the pool, a few of them held, and a limit from then on; and spare ones for newcomers. */
export type Place = { store: MemoryStore; limit: Limit; organisation: LiveOrganisation }
export const placeWith = async (limit: Limit, customers: number, held: readonly number[] = []): Promise<Place> => {
  const store = base.fork()
  const organisation = makeLiveOrganisation(store, baseRuntime.codec)
  await organisation.refresh()
  const runtime = { ...baseRuntime, organisation, store }
  for (const index of [...Array(customers).keys(), ...Array.from({ length: NEWCOMERS }, (_, n) => SPARE + n)]) {
    await enter(runtime, nameOf(index))
    if (limit.ofTier && index >= SPARE) accepted(await send(runtime, { does: 'upgrade', customer: index }, `upgrade ${index}`))
  }
  for (const index of held) accepted(await handleNamed(runtime, 'claim-ownership', { customerId: nameOf(index) }, { caller: clerk }))
  accepted(await handleNamed(runtime, 'revise-policy', { policy: 'ownership', value: { ...defaultPolicies.ownership, pool: poolOf(limit) }, reason: '限额' }, { caller: admin }))
  return { store, limit, organisation }
}
export const runtimeAt = ({ store, organisation }: Place, more: Partial<Runtime> = {}): Runtime => ({ ...baseRuntime, organisation, store, ...more })
export const forked = (place: Place): Place => ({ ...place, store: place.store.fork() })

const noon = Date.parse('2026-03-25T04:00:00.000Z')
export const timeOn = (day: number) => new Date(noon + day * 86_400_000)

const send = (runtime: Runtime, kind: Kind, key: string): Promise<Answer> => {
  const customerId = nameOf(kind.customer)
  switch (kind.does) {
    case 'claim':
      return handleNamed(runtime, 'claim-ownership', { customerId }, { caller: clerk, key })
    case 'release':
      return handleNamed(runtime, 'release-ownership', { customerId, reason: '没有时间' }, { caller: system, key })
    case 'rival':
      return handleNamed(runtime, 'claim-ownership', { customerId }, { caller: rival, key })
    case 'upgrade':
      return handleNamed(runtime, 'upgrade-tier', { customerId, to: 'premier', basis: 'approval', evidence: '总经理' }, { caller: system, key })
    case 'other':
      return handleNamed(runtime, 'share-customer', { customerId, employeeId: 'rival', access: 'read' }, { caller: system, key })
  }
}

const Refused = z.looseObject({ type: z.templateLiteral(['/docs/problems/', z.enum(['capacity-reached', 'quota-reached', 'already-owned', 'not-owned', 'contention'])]) })
const Accepted = z.looseObject({ streamId: z.string(), events: z.array(z.object({ id: z.string(), type: z.string(), revision: z.number() })) })

export type Attempt = Stepped<Answer> & { kind: Kind }
/** What has been met, over all worlds. */
export const tally = { steps: 0, conflicts: 0, fences: 0, givenBack: 0, settledForOthers: 0 }

/** Attempts at one log, and somebody who looks after every step whether a limit is passed. */
export const makeWorld = async ({ store, limit, organisation }: Place, stale: boolean) => {
  const begin = stepped(store)
  const read = makeReading(store)
  const attempts: Attempt[] = []
  const last = new Map<Attempt, string>()
  const trace: string[] = []
  const streams = new Map<string, RecordedEvent[]>()
  let seen = 0n
  let newcomers = 0
  const count = makeCount(read, stale, await store.head())

  const held = () => [...stateUpTo(read())].filter(([, state]) => ownerOf(state) === 'clerk' && (!limit.ofTier || state.tier === 'premier'))
  /** What has come into the tier since it was gained is no gain, and may pass the limit. */
  const isRaised = (id: string) => {
    const events = streams.get(`customer-${id}`) ?? []
    return events.findLastIndex(({ type }) => type === 'TierUpgraded') > events.findLastIndex(({ type }) => type === 'OwnershipClaimed')
  }
  const claimedOn = (day: string) => [...streams.values()].flat().filter(({ type, data, metadata }) => type === 'OwnershipClaimed' && data['ownerId'] === 'clerk' && dayOf(metadata.recordedAt, zone).day === day).length
  const dayOn = (day: number) => dayOf(timeOn(day).toISOString(), zone).day

  const look = () => {
    let changed = false
    for (const event of store.since(seen)) {
      seen = event.position
      streams.set(event.stream, [...(streams.get(event.stream) ?? []), event])
      changed ||= event.stream.startsWith('customer-')
    }
    if (!changed) return
    if (limit.capacity !== undefined && held().filter(([id]) => !isRaised(id)).length > limit.capacity) throw new Error(`MORE HELD THAN THE CAPACITY\n${trace.join('\n')}`)
    if (limit.quota !== undefined && [0, 1].some((day) => claimedOn(dayOn(day)) > (limit.quota ?? 0))) throw new Error(`MORE CLAIMED THAN THE QUOTA\n${trace.join('\n')}`)
  }

  const start = (kind: Kind, key: string, name = `attempt ${attempts.length}`): Attempt => {
    const day = kind.does === 'claim' ? (kind.day ?? 0) : 0
    const work = ({ ask, ...view }: View) => send({
      ...baseRuntime, organisation, ...view, now: () => timeOn(day),
      holdings: async (...asked) => {
        await ask('holdings')
        return count(...asked)
      },
    }, kind, key)
    const attempt = { ...begin(name, work), kind }
    attempts.push(attempt)
    return attempt
  }

  /** The letters of the model's steps; whatever ends a slot is u. */
  const letterOf = (step: Step, attempt: Attempt): string => {
    const own = `customer-${nameOf(attempt.kind.customer)}`
    switch (step.does) {
      case 'start':
      case 'sleep':
        return ''
      case 'ask':
        return 'c'
      case 'read':
        if (step.stream.startsWith('portfolio-')) return 'p'
        // A customer is read after the portfolio, without a pause, only to see to a slot.
        return ['p', 'c', 'h'].includes(last.get(attempt) ?? '') ? 'h' : 'r'
      case 'append':
        if (step.types[0] === 'SlotReserved') return 'R'
        if (step.stream.startsWith('portfolio-')) return 'u'
        if (step.types[0] === 'EntryAbandoned') return step.stream === own ? 'f' : 'F'
        return 'w'
    }
  }

  const go = async (attempt: Attempt, pace: Pace = 'late'): Promise<string> => {
    const step = await attempt.next(pace)
    const letter = letterOf(step, attempt)
    last.set(attempt, letter)
    trace.push(`${attempt.name} (${attempt.kind.does} ${attempt.kind.customer}): ${letter} ${JSON.stringify(step)}${attempt.waitsTo() ? '' : `, answers ${JSON.stringify(attempt.answer()?.body)}`}`)
    tally.steps += 1
    if (step.does === 'append') {
      if (step.outcome === 'conflict') tally.conflicts += 1
      else if (letter === 'F') tally.fences += 1
      else if (letter === 'f') tally.givenBack += 1
      else if (letter === 'u' && step.types[0] === 'SlotSettled' && attempt.kind.customer >= SPARE) tally.settledForOthers += 1
    }
    look()
    return letter
  }

  /** Lets it go on until it has taken a step of this letter. It may end before that, on another way than the one thought of. */
  const until = async (attempt: Attempt, letter: string): Promise<void> => {
    while (attempt.waitsTo() && (await go(attempt)) !== letter);
  }
  const finish = async (attempt: Attempt, pace: Pace = 'punctual'): Promise<Answer> => {
    while (attempt.waitsTo()) await go(attempt, pace)
    return attempt.answer() ?? expect.fail(`${attempt.name} ended without an answer`)
  }

  /** Whoever is stopped: somebody new gains a customer where there is room, after the wait at most, and is refused where there is none. */
  const newcomer = async (day = 0): Promise<{ status: number; waited: number }> => {
    const index = SPARE + newcomers
    newcomers += 1
    // What was raised into the tier since is whom a read model may be late to tell of: no gain waits for that.
    const unsure = limit.capacity !== undefined && held().length >= limit.capacity && held().filter(([id]) => !isRaised(id)).length < limit.capacity
    const room = (limit.capacity === undefined || held().length < limit.capacity) && (limit.quota === undefined || claimedOn(dayOn(day)) < limit.quota)
    const attempt = start({ does: 'claim', customer: index, command: index, day }, `newcomer-${index}`, 'newcomer')
    const { status } = await finish(attempt)
    const told = `a newcomer, where there is ${room ? 'room' : 'none'}\n${trace.join('\n')}`
    if (unsure) expect([200, 409], told).toContain(status)
    else expect(status, told).toBe(room ? 200 : 409)
    expect(attempt.elapsed(), `the wait of ${told}`).toBeLessThanOrEqual(WAIT)
    return { status, waited: attempt.elapsed() }
  }

  /** What was acknowledged is in the log; refusals are of a kind that was meant; every chain is whole. */
  const verify = (): void => {
    for (const attempt of attempts) {
      const answer = attempt.answer()
      if (!answer) continue
      if (answer.status === 200) {
        const { streamId, events } = Accepted.parse(answer.body)
        const there = streams.get(streamId) ?? []
        expect(events.map(({ revision }) => there[revision]).map((event) => event && { id: event.id, type: event.type, revision: event.revision }), trace.join('\n')).toEqual(events)
      } else {
        expect(answer.status, trace.join('\n')).toBe(409)
        Refused.parse(answer.body)
      }
    }
    for (const [stream, events] of streams) {
      let head: Head = emptyHead(stream)
      for (const event of events) {
        expect(chainFault(event, head)).toBeUndefined()
        head = headAfter(event)
      }
    }
  }

  const types = (stream: string) => (streams.get(stream) ?? []).map((event) => event.type)
  look()
  return { start, go, until, finish, newcomer, verify, types }
}
