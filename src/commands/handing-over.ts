import { customer, type Customer } from '../domain/customer/customer.ts'
import { streamName, subject, type CustomerEvent, type StoredFields } from '../domain/customer/events.ts'
import type { IdentifierKind } from '../domain/customer/identifier.ts'
import { personal, reveal, type Personal } from '../domain/decider.ts'
import type { RecordedEvent } from '../event-store/port.ts'
import { load, type Loaded } from './load.ts'
import { causedBy, stepOf, untilDone } from './merge-steps.ts'
import { reservations } from './reservation.ts'
import type { Runtime } from './runtime.ts'

type Reversal = { stored: RecordedEvent; event: Extract<CustomerEvent, { type: 'MergeReversed' }> }
type StoredContact = { contactId: string; name: Personal<string>; fields: StoredFields; enteredFor?: string | undefined }
type StoredIdentifier = { kind: IdentifierKind; identity: string; value: Personal<string>; enteredFor?: string | undefined }

/**
 * After a reversal: the contacts and identifiers that were given, and have left the survivor, are said anew of the
 * customer given back. An identifier somebody else has come to hold since stays theirs.
 */
export const handOver = async (runtime: Runtime, { stored, event }: Reversal): Promise<void> => {
  const { mergeId, from, give } = event.data
  if (give.contacts.length === 0 && give.identities.length === 0) return
  const stream = stored.stream
  const customerId = stream.slice(streamName('').length)
  const left = await leftWith(runtime, from, mergeId)
  const metadata = causedBy(stored)
  const step = stepOf(runtime, metadata)
  const said = async (): Promise<ReadonlySet<string>> => new Set((await eventsOf(runtime, stream, stored.revision + 1)).flatMap((later) =>
    later.type === 'ContactAdded' ? [later.data.contactId] : later.type === 'IdentifierAdded' ? [later.data.identity] : []))
  const readOnce = async (): Promise<{ loaded: Loaded<Customer>; already: ReadonlySet<string> }> => ({ loaded: await load(runtime, customer, stream), already: await said() })

  await untilDone(runtime, async () => {
    const { loaded, already } = await readOnce()
    const missing = left.contacts.filter(({ contactId }) => give.contacts.includes(contactId) && !already.has(contactId))
    if (missing.length === 0) return true
    await step(loaded, missing.map(({ enteredFor, ...contact }): CustomerEvent => ({ type: 'ContactAdded', data: { ...contact, ...stillFor({ enteredFor }, customerId), template: [] } })))
    return undefined
  })
  for (const { kind, identity, value, enteredFor } of left.identifiers.filter((one) => give.identities.includes(one.identity))) {
    await untilDone(runtime, async () => {
      const { loaded, already } = await readOnce()
      const normal = reveal(value)
      if (already.has(identity) || normal === undefined || loaded.state.identifiers.has(identity)) return true
      const { outcome } = await reservations(runtime).reserve([identity], { customerId, loaded, metadata }, [])
      if (outcome === 'held') return true
      if (outcome === 'timed-out') throw new Error('an identifier that is given is reserved by another writer')
      if (outcome === 'reserved') await step(loaded, [{ type: 'IdentifierAdded', data: { kind, identity, value: personal(subject(customerId), normal), ...stillFor({ enteredFor }, customerId) } }])
      return undefined
    })
  }
}

/** Entered for one that is part of the customer given back, it goes on with that one when it is given back itself. */
const stillFor = ({ enteredFor }: { enteredFor?: string | undefined }, customerId: string): { enteredFor?: string } => (enteredFor === undefined || enteredFor === customerId ? {} : { enteredFor })

const eventsOf = async (runtime: Runtime, stream: string, fromRevision = 0) => {
  const events = await runtime.codec.decode(await Array.fromAsync(runtime.store.readStream(stream, { fromRevision })))
  return events.flatMap(({ type, data }) => customer.parse(type, data) ?? [])
}

/** Contacts and identifiers a survivor had when a merge was undone, each value as it was sealed. What was erased is nothing that could be given. */
const leftWith = async (runtime: Runtime, survivorId: string, mergeId: string): Promise<{ contacts: StoredContact[]; identifiers: StoredIdentifier[] }> => {
  const contacts = new Map<string, StoredContact>()
  const identifiers = new Map<string, StoredIdentifier>()
  for (const event of await eventsOf(runtime, streamName(survivorId))) {
    if (event.type === 'MergeUndone' && event.data.mergeId === mergeId) break
    switch (event.type) {
      case 'CustomerCreated':
        for (const contact of event.data.contacts) contacts.set(contact.contactId, contact)
        for (const identifier of event.data.identifiers) identifiers.set(identifier.identity, identifier)
        break
      case 'ContactAdded':
        contacts.set(event.data.contactId, event.data)
        break
      case 'ContactChanged': {
        const before = contacts.get(event.data.contactId)
        const fields = Object.entries({ ...before?.fields, ...event.data.fields }).filter(([, value]) => value !== null)
        if (before) contacts.set(before.contactId, { ...before, name: event.data.name ?? before.name, fields: Object.fromEntries(fields) })
        break
      }
      case 'ContactRemoved':
        contacts.delete(event.data.contactId)
        break
      case 'IdentifierAdded':
        identifiers.set(event.data.identity, event.data)
        break
      case 'IdentifierReleased':
        identifiers.delete(event.data.identity)
        break
      default:
    }
  }
  return {
    contacts: [...contacts.values()].flatMap(({ contactId, name, fields, enteredFor }) => ('value' in name ? [{ contactId, name, fields, enteredFor }] : [])),
    identifiers: [...identifiers.values()],
  }
}
