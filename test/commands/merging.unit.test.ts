import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { bootstrapLog, firstEmployees } from '../../src/commands/bootstrap.ts'
import { groupOf } from '../../src/commands/group.ts'
import type { Answer } from '../../src/commands/handle.ts'
import { settleMerge, settleReversal } from '../../src/commands/merging.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { customer, ownerOf } from '../../src/domain/customer/customer.ts'
import { asOne, everyone } from '../../src/domain/customer/group.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import { stepped, type Stepped } from '../support/interleaving.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'

/*
 * Merges and reversals in the real code, step by step: whatever the order of the reads and appends of several attempts,
 * and wherever one stops for ever, no ring comes about, and what stands half-way is brought to an end by whoever comes upon it.
 */

const SEED = 20260303
const importer: Caller = { actor: 'importer', role: 'system', employeeId: null, onBehalfOf: null }
const base = makeMemoryStore()
const runtime = makeRuntime(base, { reservationWaitMs: 20 })
const ids = ['a', 'b', 'c', 'd'] as const
type Id = (typeof ids)[number]
const mobileOf = (id: string) => ({ kind: 'mobile', value: `1380013800${ids.findIndex((one) => one === id)}` })

const ownerOfEntry = (id: string) => firstEmployees[ids.findIndex((one) => one === id)]?.employeeId ?? ''

const send = (to: typeof runtime, command: string, body: object, key?: string): Promise<Answer> => handleNamed(to, command, body, { caller: importer, key })
const accept = async (to: typeof runtime, command: string, body: object, key?: string) => {
  const answer = await send(to, command, body, key)
  if (answer.status >= 300) expect.fail(`${command}: ${JSON.stringify(answer.body)}`)
  return answer
}
const merge = (to: typeof runtime, survivorId: string, absorbedId: string, key: string) => send(to, 'merge-customers', { customerIds: [survivorId, absorbedId], survivorId, reason: '同一客户' }, key)
const reverse = (to: typeof runtime, absorbedId: string, key: string) => send(to, 'reverse-merge', { absorbedId, reason: '不是同一客户' }, key)

beforeAll(async () => {
  await bootstrapLog(runtime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })
  for (const id of ids) {
    await accept(runtime, 'create-customer', { customerId: id, category: 'individual-retail', name: `客户${id}`, fields: { source: 'referral' }, claim: false, identifiers: [mobileOf(id)] })
    await accept(runtime, 'assign-ownership', { customerId: id, to: ownerOfEntry(id), reason: '分配' })
  }
})

const Started = z.object({ mergeId: z.string(), absorbedId: z.string().optional() })

/** As the merge process would: everything that was begun is brought to its end. */
const finishAll = async (store: MemoryStore): Promise<void> => {
  const to = { ...runtime, store }
  for (const event of store.since(0n)) {
    const id = event.stream.slice('customer-'.length)
    if (event.type === 'MergeStarted') await settleMerge(to, id, Started.parse(event.data).mergeId)
    if (event.type === 'MergeReversed') await settleReversal(to, id, Started.parse(event.data).mergeId)
  }
}

/** Into whom each customer is absorbed, by its own stream; fails when somebody is absorbed into themselves. */
const partition = async (store: MemoryStore): Promise<Record<string, string>> => {
  const into = new Map<string, string>()
  for (const id of ids) {
    let state = customer.initialState
    let revision = 0
    for (const stored of await runtime.codec.decode(await Array.fromAsync(store.readStream(`customer-${id}`)))) {
      const event = customer.parse(stored.type, stored.data)
      if (event) state = customer.evolve(state, { ...event, revision: revision++, recordedAt: stored.metadata.recordedAt, effectiveAt: stored.metadata.recordedAt, actor: '', onBehalfOf: null, commandId: '', policies: [] })
    }
    if (state.absorption) into.set(id, state.absorption.into)
  }
  return Object.fromEntries(ids.map((id) => {
    const met = new Set<string>()
    let at: string = id
    for (let next = into.get(at); next !== undefined; next = into.get(at)) {
      if (met.has(at)) throw new Error(`a ring: ${[...met].join(' → ')}`)
      met.add(at)
      at = next
    }
    return [id, at]
  }))
}

/** Every identifier and every customer is part of exactly one group, and nothing is left half-way. */
const checkWhole = async (store: MemoryStore): Promise<void> => {
  const to = { ...runtime, store }
  const survivors = new Set(Object.values(await partition(store)))
  const members: string[] = []
  const identities: string[] = []
  for (const id of survivors) {
    const group = await groupOf(to, id)
    for (const one of everyone(group)) {
      expect(one.state.openMerge, `${one.customerId} has a merge that is not decided`).toBeNull()
      members.push(one.customerId)
      // What the survivor says of its merges is what the absorbed say.
      expect([...one.state.merges.keys()].toSorted()).toEqual(one.members.map((member) => member.customerId).toSorted())
      // Each is its that was entered first of those it is made of, also one that is part of another.
      const [earliest = ''] = everyone(one).map((member) => member.customerId).toSorted()
      expect(ownerOf(one.state), `${one.customerId}, made of ${everyone(one).map((member) => member.customerId).join(', ')}`).toBe(ownerOfEntry(earliest))
    }
    identities.push(...asOne(group).identifiers.keys())
  }
  expect(members.toSorted()).toEqual([...ids])
  expect(new Set(identities).size).toBe(ids.length)
  expect(identities.length).toBe(ids.length)
}

describe('merges at the same moment', () => {
  const pair = fc.tuple(fc.constantFrom(...ids), fc.constantFrom(...ids)).filter(([one, other]) => one !== other)
  const attemptsOf = (store: MemoryStore, pairs: readonly (readonly [Id, Id])[]): Stepped<Answer>[] => {
    const begin = stepped(store)
    return pairs.map(([survivor, absorbed], index) => begin(`merge ${absorbed} into ${survivor}`, (view) => merge({ ...runtime, ...view }, survivor, absorbed, `merge-${index}`)))
  }

  it('never make a ring, whatever their order and wherever they stop; who comes later brings them to an end', async () => {
    const rings: (readonly [Id, Id])[][] = [[['a', 'b'], ['b', 'a']], [['a', 'b'], ['b', 'c'], ['c', 'a']], [['a', 'b'], ['c', 'a']], [['a', 'b'], ['c', 'b']]]
    const pairs = fc.oneof(fc.constantFrom(...rings), fc.array(pair, { minLength: 2, maxLength: 3 }))
    let conflicts = 0
    let abandoned = 0
    await fc.assert(fc.asyncProperty(pairs, fc.array(fc.nat(), { minLength: 60, maxLength: 60, size: 'max' }), fc.array(fc.option(fc.nat(25)), { minLength: 3, maxLength: 3 }), async (those, order, stops) => {
      const store = base.fork()
      const attempts = attemptsOf(store, those)
      const taken = attempts.map(() => 0)
      for (const choice of order) {
        const running = attempts.flatMap((attempt, index) => (attempt.waitsTo() && (stops[index] ?? Infinity) > (taken[index] ?? 0) ? [index] : []))
        const index = running[choice % running.length]
        if (index === undefined) break
        const step = await attempts[index]?.next()
        taken[index] = (taken[index] ?? 0) + 1
        if (step?.does === 'append' && step.outcome === 'conflict') conflicts += 1
      }
      await partition(store)
      await finishAll(store)
      await checkWhole(store)
      // Those that were only waiting come to what the others made of it.
      for (const [index, attempt] of attempts.entries()) {
        while (attempt.waitsTo() && stops[index] === null) await attempt.next()
        const answer = attempt.answer()
        if (answer?.status === 409) abandoned += 1
        const [survivor, absorbed] = those[index] ?? []
        if (answer?.status === 200 && survivor && absorbed) {
          const ends = await partition(store)
          expect(ends[absorbed], `${absorbed} was said to be part of ${survivor}`).toBe(ends[survivor])
        }
      }
      await finishAll(store)
      await checkWhole(store)
    }), { numRuns: 200, seed: SEED })
    // So that this says something: they did meet.
    expect(conflicts).toBeGreaterThan(5)
    expect(abandoned).toBeGreaterThan(5)
  }, 300_000)
})

it('of two that would take in each other at the same moment one does, whatever their order', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.nat(), { minLength: 60, maxLength: 60, size: 'max' }), async (order) => {
    const store = base.fork()
    const begin = stepped(store)
    const attempts = ([['a', 'b'], ['b', 'a']] as const).map(([survivor, absorbed], index) => begin(`merge ${absorbed} into ${survivor}`, (view) => merge({ ...runtime, ...view }, survivor, absorbed, `mirror-${index}`)))
    for (const choice of order) {
      const running = attempts.filter((attempt) => attempt.waitsTo())
      if (running.length === 0) break
      await running[choice % running.length]?.next()
    }
    for (const attempt of attempts) while (attempt.waitsTo()) await attempt.next()
    await finishAll(store)
    await checkWhole(store)
    const ends = await partition(store)
    expect(ends['a']).toBe(ends['b'])
    expect(attempts.filter((attempt) => attempt.answer()?.status === 200)).not.toEqual([])
  }), { numRuns: 100, seed: SEED })
}, 300_000)

describe('a chain of merges and reversals', () => {
  type Step = { does: 'merge'; pair: readonly [Id, Id] } | { does: 'reverse'; id: Id }
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(fc.constantFrom(...ids), fc.constantFrom(...ids)).filter(([one, other]) => one !== other).map((pair): Step => ({ does: 'merge', pair })) },
    { weight: 2, arbitrary: fc.constantFrom(...ids).map((id): Step => ({ does: 'reverse', id })) },
  )

  it('ends as a plain model says, in any order: one group for each customer, one holder for each identifier', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 10, size: 'max' }), fc.boolean(), async (steps, dies) => {
      const store = base.fork()
      const to = { ...runtime, store }
      const into = new Map<string, string>()
      const root = (id: string): string => {
        const next = into.get(id)
        return next === undefined ? id : root(next)
      }
      for (const [index, one] of steps.entries()) {
        if (one.does === 'merge') {
          const [survivor, absorbed] = one.pair
          const answer = await merge(to, survivor, absorbed, `step-${index}`)
          // One already, and the other was to stand for both: that is said, and changes nothing.
          expect(answer.status).toBe(root(survivor) === root(absorbed) && root(survivor) !== survivor ? 409 : 200)
          if (root(survivor) !== root(absorbed)) into.set(root(absorbed), root(survivor))
        } else if (dies) {
          // The process dies between the reversal and what follows from it.
          const attempt = stepped(store)(`reverse ${one.id}`, (view) => reverse({ ...runtime, ...view }, one.id, `step-${index}`))
          for (let taken = attempt.waitsTo(); taken; taken = attempt.waitsTo()) {
            const made = await attempt.next()
            if (made.does === 'append' && made.types.includes('MergeReversed')) break
          }
          into.delete(one.id)
          await finishAll(store)
        } else {
          const answer = await reverse(to, one.id, `step-${index}`)
          expect([200, 409]).toContain(answer.status)
          into.delete(one.id)
        }
        expect(await partition(store)).toEqual(Object.fromEntries(ids.map((id) => [id, root(id)])))
        await checkWhole(store)
      }
    }), { numRuns: 40, seed: SEED })
  }, 300_000)
})
