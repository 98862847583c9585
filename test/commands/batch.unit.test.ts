import { beforeAll, describe, expect, it, test } from 'vitest'
import { runBatch, type BatchAnswer, type BatchOptions } from '../../src/commands/batch.ts'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import { problem } from '../../src/commands/problem.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import type { EventStore } from '../../src/event-store/port.ts'
import { makeMemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'

const clerk: Caller = { actor: 'clerk', role: 'clerk', employeeId: 'clerk', onBehalfOf: null }
const base = makeMemoryStore()
const baseRuntime = makeRuntime(base)
beforeAll(async () => {
  await bootstrapLog(baseRuntime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })
})

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
type Setting = { concurrency?: number; through?: (store: EventStore) => EventStore; callerFor?: BatchOptions['callerFor'] }
/** A log of its own for each batch, seen through what a test puts before it. */
const setUp = ({ concurrency = 8, through = (store) => store, callerFor = () => clerk }: Setting = {}) => {
  const store = base.fork()
  const options: BatchOptions = { runtime: { ...baseRuntime, store: through(store) }, concurrency, callerFor, onError: () => problem('internal-error', 'It broke.') }
  return { store, run: (lines: AsyncIterable<string | undefined>) => runBatch(oneByOne(lines), options)[Symbol.asyncIterator]() }
}
async function* oneByOne(lines: AsyncIterable<string | undefined>): AsyncIterable<readonly (string | undefined)[]> {
  for await (const line of lines) yield [line]
}
async function* each(lines: Iterable<string | undefined>): AsyncIterable<string | undefined> {
  yield* lines
}
const all = async (answers: AsyncIterator<readonly BatchAnswer[]>): Promise<BatchAnswer[]> => (await Array.fromAsync({ [Symbol.asyncIterator]: () => answers })).flat()

const line = (command: string, key: string, body: object, more: object = {}) => JSON.stringify({ command, key, body, ...more })
const create = (id: string) => line('create-customer', `create-${id}`, { customerId: id, category: 'individual-retail', name: 'x' })
const stage = (id: string, to: string, key: string) => line('change-stage', key, { customerId: id, to, reason: 'to and fro' })
const outcomes = (answers: BatchAnswer[]) => answers.map((answer) => [answer.line, answer.status])

/** A store in which everything takes a moment, each time another one. */
const unsteady = (store: EventStore): EventStore => {
  let turn = 0
  const moment = () => pause((turn = (turn * 7 + 3) % 5))
  return {
    ...store,
    append: async (request) => moment().then(() => store.append(request)),
    readStream: async function* (stream, options) {
      await moment()
      yield* store.readStream(stream, options)
    },
  }
}

describe('order', () => {
  test('within a stream is the order of the lines, across streams nobody waits, and answers come in the order of the lines', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e']
    const { run, store } = setUp({ through: unsteady, concurrency: 4 })
    const moves = Array.from({ length: 8 }, (_, index) => ids.map((id) => stage(id, index % 2 === 0 ? 'prospect' : 'target', `${id}-${index}`)))
    const answers = await all(run(each([...ids.map(create), ...moves.flat()])))
    // Each move is allowed only after the one before it: one out of order would be refused or do nothing.
    expect(outcomes(answers)).toEqual([...ids.map((_, index) => [index + 1, 201]), ...moves.flat().map((_, index) => [index + 6, 200])])
    expect(answers.every(({ answer }) => 'events' in answer && Array.isArray(answer.events) && answer.events.length > 0)).toBe(true)
    for (const id of ids) expect((await Array.fromAsync(store.readStream(`customer-${id}`))).map(({ type }) => type)).toEqual(['CustomerCreated', 'OwnershipClaimed', ...Array.from({ length: 8 }, () => 'StageChanged')])
  })
  test('one that is stuck holds up its own stream alone, and the answers after its own', async () => {
    const gate = Promise.withResolvers<undefined>()
    const stuck = (store: EventStore): EventStore => ({
      ...store,
      readStream: async function* (stream, options) {
        if (stream === 'customer-stuck') await gate.promise
        yield* store.readStream(stream, options)
      },
    })
    const { run, store } = setUp({ through: stuck })
    const answers = all(run(each([create('stuck'), stage('stuck', 'prospect', '1'), create('free'), stage('free', 'prospect', '2')])))
    await pause(50)
    expect((await Array.fromAsync(store.readStream('customer-free'))).map(({ type }) => type)).toEqual(['CustomerCreated', 'OwnershipClaimed', 'StageChanged'])
    expect(await Array.fromAsync(store.readStream('customer-stuck'))).toEqual([])
    gate.resolve(undefined)
    expect(outcomes(await answers)).toEqual([[1, 201], [2, 200], [3, 201], [4, 200]])
  })
  test('commands whose body names no stream, or a wrong one, are answered in their place', async () => {
    const { run } = setUp()
    const answers = await all(run(each([line('create-customer', '1', { category: 'individual-retail', name: 'x' }), line('change-stage', '2', { to: 'prospect' }), create('a')])))
    expect(outcomes(answers)).toEqual([[1, 201], [2, 422], [3, 201]])
  })
})

describe('memory is bounded', () => {
  test('who takes no answers is read no further than four lines for each command under way', async () => {
    let read = 0
    async function* endless(): AsyncIterable<string> {
      for (;;) yield create(`n${(read += 1)}`)
    }
    const { run } = setUp({ concurrency: 3 })
    const answers = run(endless())
    let answered = 0
    const next = async () => {
      answered += (await answers.next()).value?.length ?? 0
      await pause(50)
    }
    for (let times = 0; times < 5; times += 1) {
      await next()
      expect(read - answered).toBeLessThanOrEqual(3 * 4 + 1)
    }
    const last = read
    await answers.return?.()
    await pause(20)
    expect(read).toBeLessThanOrEqual(last + 1)
  })
  test('no more commands than allowed are under way at once', async () => {
    let now = 0
    let most = 0
    const counting = (store: EventStore): EventStore => ({
      ...store,
      append: async (request) => {
        most = Math.max(most, (now += 1))
        await pause(2)
        now -= 1
        return store.append(request)
      },
    })
    const { run } = setUp({ through: counting, concurrency: 3 })
    const answers = await all(run(each(Array.from({ length: 20 }, (_, index) => create(`n${index}`)))))
    expect(answers.every(({ status }) => status === 201)).toBe(true)
    expect(most).toBe(3)
  })
})

describe('answers come as they are there', () => {
  test('to one who sends the next line only after the answer to the last', async () => {
    const asked = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
    async function* hesitant(): AsyncIterable<string> {
      yield create('a')
      await asked[0]?.promise
      yield stage('a', 'prospect', '1')
      await asked[1]?.promise
    }
    const { run } = setUp()
    const answers = run(hesitant())
    expect(await answers.next()).toMatchObject({ done: false, value: [{ line: 1, status: 201 }] })
    asked[0]?.resolve(undefined)
    expect(await answers.next()).toMatchObject({ done: false, value: [{ line: 2, status: 200 }] })
    asked[1]?.resolve(undefined)
    expect(await answers.next()).toMatchObject({ done: true })
  })
  test('to one whose connection breaks, up to where it broke; what was taken is done', async () => {
    async function* broken(): AsyncIterable<string> {
      yield create('a')
      await pause(20)
      throw new Error('connection lost')
    }
    const { run, store } = setUp()
    const answers = run(broken())
    expect(await answers.next()).toMatchObject({ value: [{ line: 1, status: 201 }] })
    await expect(answers.next()).rejects.toThrow('connection lost')
    expect(await Array.fromAsync(store.readStream('customer-a'))).toHaveLength(2)
  })
})

describe('a line that cannot be run is answered, and the others go on', () => {
  const cases: [string, string | undefined, number, object][] = [
    ['that is too long', undefined, 413, { key: null, answer: { type: '/docs/problems/body-too-large' } }],
    ['that is not JSON', '{"command"', 400, { key: null, answer: { type: '/docs/problems/malformed-json' } }],
    ['that is no object', '[]', 422, { key: null }],
    ['without a key, of a wrong shape', '{"command":"create-customer","body":[],"colour":"red"}', 422, { key: null, answer: { errors: expect.arrayContaining(['key', 'body', 'colour'].map((path) => expect.objectContaining({ path }))) } }],
    ['with a key that is not printable', line('create-customer', 'ключ', {}), 422, { key: null, answer: { errors: [{ path: 'key' }] } }],
    ['of an unknown command', line('explode', 'k', {}), 422, { key: 'k', answer: { errors: [{ path: 'command' }] } }],
    ['with half a character', line('create-customer', 'k', { customerId: 'c', name: '\ud800' }), 422, { key: 'k', answer: { errors: [{ path: 'name' }] } }],
    ['for a role that may not', line('define-policy', 'k', { policy: 'ownership', value: {} }), 403, { key: 'k' }],
  ]
  it.each(cases)('%s', async (_what, text, status, answer) => {
    const { run } = setUp()
    const answers = await all(run(each([create('a'), text, create('b')])))
    expect(outcomes(answers)).toEqual([[1, 201], [2, status], [3, 201]])
    expect(answers[1]).toMatchObject(answer)
  })
  test('whose body is nested without end', async () => {
    const deep = `{"command":"define-policy","key":"deep","body":{"policy":"stages","value":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}}`
    const { run } = setUp({ callerFor: () => ({ actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }) })
    const answers = await all(run(each([deep, line('register-department', '1', { departmentId: 'a', name: 'A' }), deep])))
    expect(outcomes(answers)).toEqual([[1, 422], [2, 201], [3, 422]])
    expect(answers[0]).toMatchObject({ key: 'deep', answer: { errors: [{ message: expect.stringContaining('nested') }] } })
  })
  test('on behalf of somebody the caller may not act for', async () => {
    const callerFor = (onBehalfOf: string | undefined) => (onBehalfOf === undefined ? clerk : problem('role-not-permitted', 'A person acts in their own name.'))
    const { run } = setUp({ callerFor })
    expect(outcomes(await all(run(each([line('create-customer', 'k', {}, { onBehalfOf: 'manager' }), create('a')]))))).toEqual([[1, 403], [2, 201]])
  })
  test('because something broke, also when others of its stream wait for it', async () => {
    let broken = true
    const breaking = (store: EventStore): EventStore => ({
      ...store,
      append: async (request) => {
        if (!broken) return store.append(request)
        broken = false
        throw new Error('disk full')
      },
    })
    const { run } = setUp({ through: breaking })
    expect(outcomes(await all(run(each([create('a'), line('create-customer', 'again', { customerId: 'a', category: 'individual-retail', name: 'x' }), stage('a', 'prospect', '1')]))))).toEqual([[1, 500], [2, 201], [3, 200]])
  })
  test('blank lines are passed over, and counted', async () => {
    const { run } = setUp()
    expect(outcomes(await all(run(each(['', create('a'), '  \r', '\t', create('b'), '']))))).toEqual([[2, 201], [5, 201]])
    expect(await all(run(each([])))).toEqual([])
  })
})

test('the same file sent again gives the same answers, and does nothing twice', async () => {
  const { run, store } = setUp({ through: unsteady })
  const file = [create('a'), stage('a', 'prospect', '1'), stage('a', 'dormant', '2'), create('a'), line('claim-ownership', '3', { customerId: 'a' })]
  const first = await all(run(each(file)))
  expect(outcomes(first)).toEqual([[1, 201], [2, 200], [3, 409], [4, 201], [5, 200]])
  const head = await store.head()
  expect(await all(run(each(file)))).toEqual(first)
  expect(await store.head()).toBe(head)
})

test('a revision a line names must be the one there is', async () => {
  const { run } = setUp()
  const answers = await all(run(each([create('a'), line('change-stage', '1', { customerId: 'a', to: 'prospect' }, { ifMatch: 0 }), line('change-stage', '2', { customerId: 'a', to: 'prospect' }, { ifMatch: 1 })])))
  expect(outcomes(answers)).toEqual([[1, 201], [2, 412], [3, 200]])
})
