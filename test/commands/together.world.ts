import { runBatch, type BatchAnswer, type BatchOptions } from '../../src/commands/batch.ts'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import { problem } from '../../src/commands/problem.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import { EventStoreUnavailable, type EventStore } from '../../src/event-store/port.ts'
import { expectWhole } from '../event-store/contract.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'

/** What is sent in these tests, by whom, and how it is looked at. */
export const system: Caller = { actor: 'crm', role: 'system', employeeId: 'clerk', onBehalfOf: 'clerk' }
export const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }
const base = makeMemoryStore()
const noon = new Date('2026-03-25T04:00:00.000Z')
const baseRuntime: Runtime = { ...makeRuntime(base, { reservationWaitMs: 20 }), now: () => noon }
await bootstrapLog(baseRuntime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })

export type Line = { command: string; key: string; body: object; ifMatch?: number }
/** A log of its own, and how commands get to it: many lines in a batch, or each by itself. */
export const setUp = (through: (store: EventStore, alone: (...lines: readonly Line[]) => Promise<BatchAnswer[]>) => Partial<EventStore> = () => ({}), caller = system) => {
  const store = base.fork()
  const plain = { ...baseRuntime, store }
  const told: string[] = []
  const appended: number[] = []
  const counting: EventStore = {
    ...store,
    receipts: {
      ...store.receipts,
      // It takes a moment, as everywhere: meanwhile the next lines come.
      find: async (commandId) => new Promise(setImmediate).then(() => store.receipts.find(commandId)),
    },
    append: (request) => {
      if (request.receipt) appended.push(1)
      return store.append(request)
    },
    appendTogether: (requests) => {
      appended.push(requests.length)
      return store.appendTogether(requests)
    },
  }
  const options = (runtime: Runtime): BatchOptions => ({
    runtime, concurrency: 64, callerFor: () => caller,
    onError: (error) => (error instanceof EventStoreUnavailable ? problem('log-unavailable', 'Away.') : problem('internal-error', 'It broke.')),
  })
  async function* each(lines: readonly Line[]): AsyncIterable<readonly string[]> {
    for (const line of lines) yield [JSON.stringify(line)]
  }
  const send = async (lines: readonly Line[], runtime: Runtime) => (await Array.fromAsync(runBatch(each(lines), options(runtime)))).flat()
  const viewed = { ...plain, store: { ...counting, ...through(counting, (...lines) => send(lines, plain)) }, observe: (command: string, outcome: string) => told.push(`${command} ${outcome}`) }
  return {
    store, told,
    /** How many commands each append held. */
    appended,
    batch: (lines: readonly Line[]) => send(lines, viewed),
    oneByOne: async (lines: readonly Line[]) => {
      const answers: BatchAnswer[] = []
      for (const [index, line] of lines.entries()) answers.push(...(await send([line], plain)).map((answer) => ({ ...answer, line: index + 1 })))
      return answers
    },
    types: async (stream = 'customer-c') => (await Array.fromAsync(store.readStream(stream))).map(({ type }) => type),
  }
}

let keys = 0
export const line = (command: string, more: object = {}, key = `key ${(keys += 1)}`): Line => ({ command, key, body: { customerId: 'c', ...more } })
export const create = (customerId = 'c', more: object = {}) => line('create-customer', { customerId, category: 'individual-retail', name: 'x', ...more })
export const rename = (name: string, key?: string) => line('change-profile', { name }, key)
export const renames = (count: number) => Array.from({ length: count }, (_, index) => rename(`名${index}`))
export const mobile = (number: number) => ({ kind: 'mobile', value: `1380000000${number}` })
export const statuses = (answers: readonly BatchAnswer[]) => answers.map(({ status }) => status)
export const nameOf = ({ status, answer }: BatchAnswer) => ('type' in answer && typeof answer.type === 'string' ? answer.type.replace('/docs/problems/', '') : status)
/** An answer without what is drawn anew each time, or depends on what others wrote between. */
export const shape = (answers: readonly BatchAnswer[]) => answers.map(({ answer, ...rest }) => {
  const { position, events, ...content }: { position?: unknown; events?: unknown } = { ...answer }
  return { ...rest, answer: { ...content, hasPosition: position !== undefined, events: Array.isArray(events) ? events.map(({ type, revision }: { type: string; revision: number }) => [type, revision]) : undefined } }
})
/** All that a log says, but for ids and times: streams with their events, opened, and refused attempts. */
export const stateOf = async (store: MemoryStore) => {
  const streams: Record<string, unknown[]> = {}
  const events = await baseRuntime.codec.decode(store.since(await base.head()))
  for (const { stream, type, data, metadata } of events) (streams[stream] ??= []).push([type, data, metadata.commandId, metadata.effectiveAt !== undefined])
  const refused = store.refused().map(({ problem: name, commandId, ranInto }) => [name, commandId, ranInto])
  return { streams, refused }
}
export const expectWholeLog = async (store: MemoryStore) => expectWhole(store.since(0n))

