import { customer, ownershipNow, responsibleFor, type Customer } from '../domain/customer/customer.ts'
import { streamName as customerStream } from '../domain/customer/events.ts'
import { identity, streamName as identityStream } from '../domain/identity/identity.ts'
import { schemaVersionOf } from '../domain/upcasters.ts'
import type { SharedMetadata } from '../event-store/codec.ts'
import type { JsonObject } from '../event-store/port.ts'
import { expectedRevision, load, type Loaded } from './load.ts'
import type { Runtime } from './runtime.ts'

/**
 * Uniqueness of identifiers over single-stream appends: reserve on the identity stream, then write the customer.
 * A writer that stops between the two is fenced (`EntryAbandoned` on its customer): whatever it reserved before
 * is void, and its own append, at the revision it read, can no longer succeed. The order of the steps and the
 * revisions each append names are what makes it safe; docs/architecture.md gives the argument. Time decides how
 * long one waits, never who is right.
 */
export type Reservation =
  | { outcome: 'reserved' }
  /** What was read of one's own customer is out of date: read it again and decide anew. */
  | { outcome: 'start-over' }
  | { outcome: 'held'; holder: Holder; name: string }
  /** Another writer could not be settled with in time. */
  | { outcome: 'timed-out' }

/** Who holds an identifier, and whom to ask: its owner since when, or the department responsible. */
export type Holder = { customerId: string; ownerId: string | null; since: string | null; departmentId: string | null }

/** One attempt of one command: the customer as read (revision, epoch), and who is writing. */
export type Attempt = { customerId: string; loaded: Loaded<Customer>; metadata: SharedMetadata }

/** A command fences this many writers at most, for each identifier: then it tells its caller to try later. */
const MOST_FENCES = 5

/** A customer as those are told of it who run into an identifier it holds. */
export const holderFrom = ({ organisation }: Pick<Runtime, 'organisation'>, customerId: string, holder: Customer): Holder => {
  const ownership = ownershipNow(holder)
  const responsible = organisation.current().employees.get(responsibleFor(holder) ?? '')
  return { customerId, ownerId: ownership?.ownerId ?? null, since: ownership?.at ?? null, departmentId: responsible?.departmentId ?? null }
}

/** One event of a protocol, at exactly the revision that was read. */
export const appendTo = (runtime: Runtime) => async <State>(to: Loaded<State>, metadata: SharedMetadata, type: string, data: JsonObject) => {
  const events = await runtime.codec.encode(to.stream, to.head, [{ type, schemaVersion: schemaVersionOf(type), data }], metadata, runtime.now().toISOString())
  return runtime.store.append({ stream: to.stream, expectedRevision: expectedRevision(to.head), events })
}

export const reservations = (runtime: Runtime) => {
  const append = appendTo(runtime)
  const readIdentity = (name: string) => load(runtime, identity, identityStream(name))
  const readCustomer = (customerId: string) => load(runtime, customer, customerStream(customerId))

  /** Reserves one identity for the attempt's customer, at the epoch it read. */
  const reserveOne = async (name: string, attempt: Attempt): Promise<Reservation> => {
    const { customerId, loaded, metadata } = attempt
    const epoch = loaded.state.epoch
    // Longer for each time this one was fenced, so that two writers don't fence each other for ever.
    const patience = runtime.reservationWaitMs * (1 + loaded.state.fences / 2)
    let waitingFor: { revision: number; since: number } | undefined
    let fences = 0
    for (let look = 0; ; look += 1) {
      const read = await readIdentity(name)
      const take = async () => (await append(read, metadata, 'IdentityReserved', { customerId, commandId: metadata.commandId, epoch })).outcome === 'appended'
      const { reservedFor } = read.state
      if (reservedFor === null || (reservedFor.customerId === customerId && reservedFor.epoch < epoch)) {
        if (await take()) return { outcome: 'reserved' }
        continue
      }
      if (reservedFor.customerId === customerId) return { outcome: reservedFor.epoch === epoch ? 'reserved' : 'start-over' }

      const other = await readCustomer(reservedFor.customerId)
      if (other.state.identifiers.has(name)) return { outcome: 'held', holder: holderFrom(runtime, reservedFor.customerId, other.state), name }
      if (reservedFor.epoch < other.state.epoch) {
        if (await take()) return { outcome: 'reserved' }
        continue
      }
      if (waitingFor?.revision !== read.head.revision) waitingFor = { revision: read.head.revision, since: runtime.elapsed() }
      const left = patience - (runtime.elapsed() - waitingFor.since)
      if (left > 0) {
        await runtime.sleep(Math.min(left, 5 * 2 ** Math.min(look, 5) * (0.5 + Math.random() / 2)))
        continue
      }
      if (fences >= MOST_FENCES) return { outcome: 'timed-out' }
      fences += 1
      // The fence goes to the other customer at the revision just read; the reservation at the revision of the
      // identity seen before that. Reading the identity again here would take over a newer, valid reservation.
      if ((await append(other, metadata, 'EntryAbandoned', { by: customerId })).outcome !== 'appended') continue
      if (await take()) return { outcome: 'reserved' }
    }
  }

  /** Reserves all identities, in the order of their stream names. `reliedOn` collects what is reserved for the attempt. */
  const reserve = async (identities: readonly string[], attempt: Attempt, reliedOn: string[]): Promise<Reservation> => {
    for (const name of [...identities].sort()) {
      const reservation = await reserveOne(name, attempt)
      if (reservation.outcome !== 'reserved') return reservation
      reliedOn.push(name)
    }
    return { outcome: 'reserved' }
  }

  /**
   * Gives reservations back: first a fence on one's own customer, so that no other attempt for it still relies on
   * them, then each that is still its own. False when the customer has changed: start over.
   */
  const giveUp = async (attempt: Attempt, reliedOn: readonly string[]): Promise<boolean> => {
    if (reliedOn.length === 0) return true
    const fenced = await append(attempt.loaded, attempt.metadata, 'EntryAbandoned', { by: attempt.customerId })
    if (fenced.outcome !== 'appended') return false
    for (const name of reliedOn) await release(name, attempt, (epoch) => epoch === attempt.loaded.state.epoch)
    return true
  }

  const release = async (name: string, { customerId, metadata }: Attempt, ours: (epoch: number) => boolean): Promise<void> => {
    for (;;) {
      const read = await readIdentity(name)
      const { reservedFor } = read.state
      if (reservedFor?.customerId !== customerId || !ours(reservedFor.epoch)) return
      if ((await append(read, metadata, 'IdentityReleased', { customerId, commandId: metadata.commandId })).outcome === 'appended') return
    }
  }

  /** After `IdentifierReleased` on the customer: frees the identities, unless reserved anew since the attempt read it. */
  const releaseHeld = async (attempt: Attempt, identities: readonly string[]): Promise<void> => {
    for (const name of identities) await release(name, attempt, (epoch) => epoch <= attempt.loaded.state.epoch)
  }

  /** Who holds an identity now, by the log; undefined when nobody does. */
  const findHolder = async (name: string): Promise<Holder | undefined> => {
    const { reservedFor } = (await readIdentity(name)).state
    if (reservedFor === null) return undefined
    const other = await readCustomer(reservedFor.customerId)
    return other.state.identifiers.has(name) ? holderFrom(runtime, reservedFor.customerId, other.state) : undefined
  }

  return { reserve, giveUp, releaseHeld, findHolder }
}
