import { customer } from '../domain/customer/customer.ts'
import { streamName, type CustomerEvent } from '../domain/customer/events.ts'
import type { Instant } from '../domain/decider.ts'
import { policyReference } from '../domain/organisation/organisation.ts'
import { schemaVersionOf } from '../domain/upcasters.ts'
import type { Head } from '../event-store/chain.ts'
import type { SharedMetadata } from '../event-store/codec.ts'
import type { RecordedEvent } from '../event-store/port.ts'
import { expectedRevision, type Loaded } from './load.ts'
import type { Runtime } from './runtime.ts'

const MOST_CONFLICTS = 100

/** A step in the name of the command that began it: it came from there, whoever takes it. */
export const causedBy = ({ id, metadata }: RecordedEvent): SharedMetadata => {
  const { commandId, commandHash, actor, onBehalfOf, traceparent, $correlationId } = metadata
  return { commandId, commandHash, actor, ...(onBehalfOf === undefined ? {} : { onBehalfOf }), $correlationId, $causationId: id, ...(traceparent === undefined ? {} : { traceparent }) }
}

/** Appends to a stream at the revision it was read at, and answers its new head. A conflict does nothing, and answers nothing. */
export const stepOf = (runtime: Runtime, metadata: SharedMetadata) => {
  return async (to: Pick<Loaded<unknown>, 'stream' | 'head'>, decided: readonly { type: string; data: object }[], effectiveAt?: Instant): Promise<Head | undefined> => {
    const policies = decided.some((event) => event.type === 'OwnershipSettled') ? { policies: [policyReference(runtime.organisation.current(), 'ownership')] } : {}
    const plain = decided.map((event) => ({ type: event.type, schemaVersion: schemaVersionOf(event.type), data: JSON.parse(JSON.stringify(event.data)) }))
    const events = await runtime.codec.encode(to.stream, to.head, plain, { ...metadata, ...policies, ...(effectiveAt === undefined ? {} : { effectiveAt }) }, runtime.now().toISOString())
    const { outcome } = await runtime.store.append({ stream: to.stream, expectedRevision: expectedRevision(to.head), events })
    const last = events.at(-1)
    return outcome === 'appended' && last ? { revision: to.head.revision + events.length, hash: last.metadata.hash, recordedAt: last.metadata.recordedAt } : undefined
  }
}

/** Takes steps until there is none left to take. A conflict is a step that somebody else took. */
export const untilDone = async <T>(runtime: Runtime, take: () => Promise<T | undefined>): Promise<T> => {
  for (let round = 0; round < MOST_CONFLICTS; round += 1) {
    const done = await take()
    if (done !== undefined) return done
    if (round > 1) await runtime.sleep(Math.random() * 10)
  }
  throw new Error('a merge met contention at every step')
}

type Of<Type extends CustomerEvent['type']> = Extract<CustomerEvent, { type: Type }>
export const isStart = (event: CustomerEvent): event is Of<'MergeStarted'> => event.type === 'MergeStarted'
export const isReversal = (event: CustomerEvent): event is Of<'MergeReversed'> => event.type === 'MergeReversed'

/** Which merge a command reversed. */
export const mergeReversedBy = async (runtime: Runtime, absorbedId: string, commandId: string): Promise<string | undefined> => {
  for await (const { type, data, metadata } of runtime.store.readStream(streamName(absorbedId))) {
    if (type === 'MergeReversed' && metadata.commandId === commandId) return String(data['mergeId'])
  }
  return undefined
}

/** The event that began a merge or a reversal, and what it says. */
export const beginningOf = async <Event extends CustomerEvent & { data: { mergeId: string } }>(
  runtime: Runtime, customerId: string, is: (event: CustomerEvent) => event is Event, mergeId: string,
): Promise<{ stored: RecordedEvent; event: Event } | undefined> => {
  for await (const stored of runtime.store.readStream(streamName(customerId))) {
    if (!stored.type.startsWith('Merge')) continue
    const [opened] = await runtime.codec.decode([stored])
    const event = opened && customer.parse(stored.type, opened.data)
    if (event && is(event) && event.data.mergeId === mergeId) return { stored, event }
  }
  return undefined
}
