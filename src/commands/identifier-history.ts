import { customer } from '../domain/customer/customer.ts'
import { streamName as customerStream, type CustomerEvent } from '../domain/customer/events.ts'
import type { Instant, Recorded } from '../domain/decider.ts'
import { recordedEvent } from '../domain/events.ts'
import { identity as identityDecider, streamName as identityStream } from '../domain/identity/identity.ts'
import type { RecordedEvent } from '../event-store/port.ts'
import type { Runtime } from './runtime.ts'

/** A customer held an identifier for a time: since when, by whose decision, and until when; null: still. */
export type Holding = { customerId: string; from: Instant; actor: string; to: Instant | null; releasedBy: string | null }

/**
 * Who has held an identity, earliest first. The identity's own stream names everybody who ever reserved it; whether,
 * and how long, they held it, their own streams tell.
 */
export const identifierHistory = async (runtime: Pick<Runtime, 'store' | 'codec'>, identity: string): Promise<Holding[]> => {
  const reserving = new Set<string>()
  for await (const stored of runtime.store.readStream(identityStream(identity))) {
    const event = recordedEvent(identityDecider.parse, stored)
    if (event?.type === 'IdentityReserved') reserving.add(event.data.customerId)
  }
  const holdings: Holding[] = []
  for (const customerId of reserving) holdings.push(...holdingsOf(customerId, identity, await eventsOf(runtime, customerId)))
  return holdings.toSorted((one, other) => (one.from < other.from ? -1 : 1))
}

const eventsOf = async ({ store, codec }: Pick<Runtime, 'store' | 'codec'>, customerId: string): Promise<Recorded<CustomerEvent>[]> => {
  const stored: RecordedEvent[] = []
  for await (const event of store.readStream(customerStream(customerId))) stored.push(event)
  return (await codec.decode(stored)).flatMap((event) => recordedEvent(customer.parse, event) ?? [])
}

const holdingsOf = (customerId: string, identity: string, events: readonly Recorded<CustomerEvent>[]): Holding[] => {
  const holdings: Holding[] = []
  for (const event of events) {
    const held = holdings.at(-1)
    if (gains(event, identity)) holdings.push({ customerId, from: event.recordedAt, actor: event.actor, to: null, releasedBy: null })
    else if (held?.to === null && event.type === 'IdentifierReleased' && event.data.identity === identity) holdings[holdings.length - 1] = { ...held, to: event.recordedAt, releasedBy: event.actor }
  }
  return holdings
}

const gains = (event: CustomerEvent, identity: string): boolean =>
  event.type === 'CustomerCreated' ? event.data.identifiers.some((one) => one.identity === identity) : event.type === 'IdentifierAdded' && event.data.identity === identity
