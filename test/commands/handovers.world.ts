import { expect } from 'vitest'
import { departed, runHandovers } from '../../src/commands/processes/handovers.ts'
import { followReactions } from '../../src/commands/processes/reactions.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { customer } from '../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../src/domain/customer/events.ts'
import { ownerOf, type Customer } from '../../src/domain/customer/customer.ts'
import { domainEvent, type DomainEvent } from '../../src/domain/events.ts'
import type { EventStore } from '../../src/event-store/port.ts'
import { makeProcessLog } from '../../src/event-store/process-log.ts'
import { handovers } from '../../src/projections/handovers/project.ts'
import { findHandovers, handoverLedger } from '../../src/projections/handovers/queries.ts'
import { makeHandoverBook } from '../../src/projections/handovers/work.ts'
import { makeReadModels } from '../../src/projections/read-models.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { appendByHand, behalfOf, makeWorld, send, until } from '../projections/world.ts'

/** The process was killed: nothing it sends arrives any more. */
class Killed extends Error {}

/** A store that dies with its so-manyeth append, just before or just after it has reached the log. */
export const dying = (store: EventStore, appends: number, after: boolean): EventStore => {
  let left = appends
  const alive = () => {
    if (left < 0) throw new Killed()
  }
  return {
    ...store,
    append: async (append) => {
      left -= 1
      if (left < 0 && !after) throw new Killed()
      if (left < -1) throw new Killed()
      const result = await store.append(append)
      alive()
      return result
    },
    receipts: {
      ...store.receipts,
      record: async (receipt, attempt) => {
        alive()
        return store.receipts.record(receipt, attempt)
      },
    },
  }
}

/** A world with the process and the read model it goes by. */
export const makeHandoverWorld = async () => {
  const world = await makeWorld()
  const runner = world.run(handovers)
  const readModels = makeReadModels({ db: world.db, connectionString: world.database.url, head: world.store.head, waitMs: 5000 })
  const book = makeHandoverBook(readModels)
  const log = makeProcessLog(world.database.pool)
  const schema = schemaOf(handovers)

  const process = (runtime: Runtime, signal: AbortSignal) => Promise.all([
    followReactions(runtime, log, { process: 'departures', kinds: ['employee'], types: ['EmployeeDeparted'], react: departed }, signal),
    runHandovers({ runtime, log, book, pageSize: 4, idleMs: 5 }, signal),
  ])

  /** Runs the process on a store that dies, until it does; or until there is nothing left to do. */
  const runUntilKilled = async (store: EventStore): Promise<'killed' | 'idle'> => {
    const stop = new AbortController()
    const fresh: Runtime = { ...world.runtime, store }
    delete fresh.folds
    const running = process(fresh, stop.signal).then(() => undefined, (error: unknown) => error)
    const looking = until('the handovers are done, or the process was killed', async () => stop.signal.aborted || (await isDone()), 30_000)
    const ended = await Promise.race([running, looking.then(() => 'idle' as const)])
    stop.abort()
    await running
    if (ended === 'idle') return 'idle'
    await looking
    if (!(ended instanceof Killed)) throw ended
    return 'killed'
  }
  const isDone = async (): Promise<boolean> => {
    const events = await readLog()
    const departures = events.filter(({ event }) => event.type === 'EmployeeDeparted').length
    const started = events.filter(({ event }) => event.type === 'HandoverStarted' && event.data.cause === 'departure').length
    return departures === started && (await book.open(await world.store.head()))?.length === 0
  }
  const settle = async () => {
    while ((await runUntilKilled(world.store)) !== 'idle');
  }

  const readLog = async (): Promise<DomainEvent[]> => {
    const batches = await Array.fromAsync(world.store.readAll({ after: 0n, batchSize: 10_000, kinds: ['customer', 'employee', 'handover'] }))
    return (await world.runtime.codec.decode(batches.flatMap(({ events }) => events))).flatMap((stored) => domainEvent(stored) ?? [])
  }

  return {
    ...world, book, runner, settle, runUntilKilled, readLog,
    ledger: async (from: string) => {
      await runner.caughtUp()
      const found = await findHandovers(world.db, schema, { from: [from] }, { limit: 100 })
      return Promise.all(found.map(async ({ handover }) => ({ ...handover, customers: (await handoverLedger(world.db, schema, { handoverId: handover.handoverId }, { limit: 10_000 })).map(({ entry }) => entry) })))
    },
    close: async () => {
      await readModels.close()
      await world.close()
    },
  }
}
export type HandoverWorld = Awaited<ReturnType<typeof makeHandoverWorld>>

/** What the log, and no read model, says: that nobody who has departed holds anyone, and each was moved once. */
export const expectHandedOver = (log: readonly DomainEvent[]): { moved: number; pooled: number } => {
  const states = new Map<string, Customer>()
  const gone = new Set<string>()
  const handedOver = new Map<string, { moved: number; pooled: number }>()
  const held = new Map<string, Set<string>>()
  const total = { moved: 0, pooled: 0 }
  for (const one of log) {
    if (one.kind === 'employee' && one.event.type === 'EmployeeDeparted') gone.add(one.id)
    if (one.kind === 'handover') {
      const { event } = one
      if (event.type === 'HandoverCompleted') expect({ moved: event.data.moved, pooled: event.data.pooled }, one.id).toEqual(handedOver.get(one.id))
      else {
        handedOver.set(one.id, { moved: 0, pooled: 0 })
        if (event.data.cause === 'transfer') held.set(one.id, new Set([...states].flatMap(([id, state]) => (state.absorption === null && ownerOf(state) === event.data.from ? [id] : []))))
      }
    }
    if (one.kind !== 'customer') continue
    const before = states.get(one.id) ?? customer.initialState
    const handoverId = handoverOf(one.event)
    if (handoverId !== undefined) {
      const counts = handedOver.get(handoverId) ?? expect.fail(`${handoverId} had not started`)
      // Away from who held it, to somebody else who is here, or to the pool: so never twice.
      expect(one.event.data).toMatchObject({ from: ownerOf(before) })
      if (held.has(handoverId)) expect(held.get(handoverId)?.delete(one.id), `${one.id} had been held when the transfer began, and was moved once`).toBe(true)
      const what = one.event.type === 'OwnershipReleased' ? 'pooled' : 'moved'
      counts[what] += 1
      total[what] += 1
    }
    states.set(one.id, customer.evolve(before, one.event))
  }
  expect(gone.size).toBeGreaterThan(0)
  for (const [id, state] of states) if (state.absorption === null) expect(gone.has(ownerOf(state) ?? ''), `${id} is held by ${ownerOf(state)}, who has departed`).toBe(false)
  return total
}
const handoverOf = (event: CustomerEvent): string | undefined => (event.type === 'OwnershipTransferred' || event.type === 'OwnershipReleased' ? event.data.handoverId : undefined)

export const enterFor = async ({ runtime }: HandoverWorld, owner: string, customerId: string, more: object = {}) =>
  send(runtime, 'create-customer', { customerId, category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, ...more }, behalfOf(owner))

/** A command that may be refused, as in life. */
export const attempt = (runtime: Runtime, name: string, body: object, caller = behalfOf('manager')) => handleNamed(runtime, name, body, { caller })

/** A claim that was decided just before its claimant departed, and is recorded just after. */
export const claimLate = async (world: HandoverWorld, owner: string, customerId: string): Promise<void> => {
  await enterFor(world, 'manager', customerId, { claim: false })
  await appendByHand(world, `customer-${customerId}`, 'OwnershipClaimed', { ownerId: owner, basis: 'claim', reason: null })
}
