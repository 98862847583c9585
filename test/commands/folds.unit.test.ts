import { describe, expect, it } from 'vitest'
import { makeFolds } from '../../src/commands/folds.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import type { EventStore } from '../../src/event-store/port.ts'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import { expectWhole } from '../event-store/contract.ts'
import { makeMemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'
import { system } from './together.world.ts'

const log = makeMemoryStore()
const base = makeRuntime(log)
await bootstrapLog(base, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })

/** Two processes on one log: each remembers what it has come upon. `reads` counts the streams that were read, by process. */
const twoProcesses = () => {
  const store = log.fork()
  const makeProcess = () => {
    const reads: string[] = []
    const counting: EventStore = {
      ...store,
      readStream: (stream, options) => {
        reads.push(stream)
        return store.readStream(stream, options)
      },
    }
    const runtime = { ...base, store: counting, folds: makeFolds() }
    const send = async (command: string, body: object, more: { key?: string; ifMatch?: number; employeeId?: string } = {}) => {
      const { employeeId = 'clerk', ...envelope } = more
      const { status, body: answer } = await handleNamed(runtime, command, { customerId: 'c', ...body }, { caller: { ...system, employeeId, onBehalfOf: employeeId }, ...envelope })
      return { status, name: 'type' in answer ? String(answer['type']).replace('/docs/problems/', '') : undefined, answer }
    }
    return { send, reads }
  }
  return { store, here: makeProcess(), there: makeProcess() }
}
const create = { category: 'individual-retail', name: 'x' }

describe('a stream that is in memory', () => {
  it('is not read for a command that is accepted', async () => {
    const { here, store } = twoProcesses()
    await here.send('create-customer', create)
    const before = here.reads.length
    expect(await here.send('change-profile', { name: '王' })).toMatchObject({ status: 200 })
    expect(await here.send('release-ownership', { reason: '调岗' })).toMatchObject({ status: 200 })
    expect(await here.send('claim-ownership', {}, { employeeId: 'manager' })).toMatchObject({ status: 200 })
    expect(here.reads.slice(before)).toEqual([])
    expectWhole(store.since(0n))
  })

  it('is read before anything is refused, and before anything is left undone', async () => {
    const { here, there } = twoProcesses()
    await here.send('create-customer', create)
    await there.send('release-ownership', { reason: '调岗' })
    // Here it is owned by the clerk still, for all that is in memory.
    expect(await here.send('claim-ownership', {}, { employeeId: 'manager' })).toMatchObject({ status: 200 })
    expect(await there.send('release-ownership', { reason: '再调' })).toMatchObject({ status: 200, answer: { events: [{ type: 'OwnershipReleased' }] } })
    expect(await here.send('claim-ownership', {}, { employeeId: 'manager' })).toMatchObject({ status: 200, answer: { events: [{ type: 'OwnershipClaimed' }] } })
    // And there it is in the pool.
    expect(await there.send('claim-ownership', {})).toMatchObject({ status: 409, name: 'already-owned' })
  })

  it('gives way to what others have written: the command is decided again on that', async () => {
    const { here, there, store } = twoProcesses()
    await here.send('create-customer', create)
    expect(await there.send('change-profile', { name: '他处' })).toMatchObject({ status: 200 })
    expect(await here.send('change-profile', { fields: { source: 'referral' } })).toMatchObject({ status: 200, answer: { revision: 3 } })
    expectWhole(store.since(0n))
  })

  it('answers a known key as the first time, whether or not the state would take the command again', async () => {
    const { here, there } = twoProcesses()
    await here.send('create-customer', create)
    const first = await here.send('change-profile', { name: '一' }, { key: 'k' })
    await here.send('change-profile', { name: '二' })
    for (const process of [here, there]) expect(await process.send('change-profile', { name: '一' }, { key: 'k' })).toEqual(first)
    expect(await here.send('change-profile', { name: '三' }, { key: 'k' })).toMatchObject({ status: 422, name: 'idempotency-key-reused' })
  })

  it('meets an If-Match of a revision that it does not know yet', async () => {
    const { here, there } = twoProcesses()
    await here.send('create-customer', create)
    await there.send('change-profile', { name: '他处' })
    expect(await here.send('change-profile', { name: '此处' }, { ifMatch: 2 })).toMatchObject({ status: 200 })
    expect(await there.send('change-profile', { name: '彼处' }, { ifMatch: 2 })).toMatchObject({ status: 412 })
  })

  it('is forgotten where the log has another past: one restored from an older copy', async () => {
    const { store } = twoProcesses()
    const runtime = { ...base, folds: makeFolds() }
    const send = (to: EventStore, command: string, body: object) => handleNamed({ ...runtime, store: to }, command, { customerId: 'c', ...body }, { caller: system })
    await send(store, 'create-customer', create)
    const older = store.fork()
    for (const name of ['一', '二', '三']) await send(store, 'change-profile', { name })
    expect(await send(older, 'change-profile', { name: '又' })).toMatchObject({ status: 200, body: { revision: 2 } })
    expectWhole(older.since(0n))
  })
})

describe('what is kept in memory', () => {
  const fold = (revision: number, bytes = 0) => ({ decider: {}, loaded: { stream: 's', state: null, head: { revision, hash: '', recordedAt: null }, position: 0n }, bytes })

  it('stays within its bytes, whatever is known', () => {
    const folds = makeFolds(100_000)
    for (let n = 0; n < 1000; n += 1) folds.set(`customer-${n}`, fold(0, 9000))
    expect(Array.from({ length: 1000 }, (_, n) => folds.get(`customer-${n}`)).filter((one) => one !== undefined).length).toBeLessThanOrEqual(10)
    expect(folds.get('customer-999')).toBeDefined()
    folds.set('customer-huge', fold(0, 1_000_000))
    expect(folds.get('customer-huge')).toBeUndefined()
  })

  it('is not set back by a command that is late', () => {
    const folds = makeFolds()
    folds.set('s', fold(5))
    folds.set('s', fold(3))
    expect(folds.get('s')?.loaded.head.revision).toBe(5)
    folds.drop('s')
    folds.set('s', fold(3))
    expect(folds.get('s')?.loaded.head.revision).toBe(3)
  })
})
