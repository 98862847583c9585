import { streamName as customerStream } from '../domain/customer/events.ts'
import { customer } from '../domain/customer/customer.ts'
import { asksHoldings, noHoldings, whyFull, type Holdings, type LimitedGain } from '../domain/portfolio/limits.ts'
import { portfolio, slotOf, streamName, type OpenSlot, type Portfolio, type Slot } from '../domain/portfolio/portfolio.ts'
import type { Rejection } from '../domain/rejection.ts'
import type { SharedMetadata } from '../event-store/codec.ts'
import type { Position, StoredReceipt } from '../event-store/port.ts'
import type { CannotCount } from './holdings.ts'
import { load, type Loaded } from './load.ts'
import { problem, type Problem } from './problem.ts'
import { appendTo, type Attempt } from './reservation.ts'
import type { Runtime } from './runtime.ts'

/**
 * Limits of what an employee may hold and claim, over single-stream appends: reserve a slot on the employee's portfolio,
 * at the revision at which was counted; then write the customer; then settle the slot. A slot is a command's, for one
 * customer at one epoch. One that was left open is seen to by whoever needs its room: settled if its command gained the
 * customer, else released, after a fence (`EntryAbandoned` on that customer) where the command might still come to it.
 * docs/architecture.md gives the argument. Time decides how long one waits, never who is right.
 */
export type SlotReservation =
  | { outcome: 'reserved' }
  /** What was read of the customer is out of date: read it again and decide anew. */
  | { outcome: 'start-over' }
  | { outcome: 'refused'; rejection: Rejection }
  /** Nothing was decided: the read model that counts is not there, or not far enough. */
  | { outcome: 'unable'; problem: Problem }
  /** Another writer could not be settled with in time. */
  | { outcome: 'timed-out' }

/** A command's fences may come too late so often; then it tells its caller to try again, or leaves its slot to others. */
const MOST_FENCES_LOST = 5

type SeenTo = 'changed' | 'fence-lost' | 'waits'

/** What tells whether a slot's command gained the customer of that stream: its receipt commits with the event. */
const hasGained = ({ position, streams }: StoredReceipt, stream: string): boolean => position !== null && streams.includes(stream)

export const portfolioSlots = (runtime: Runtime) => {
  const append = appendTo(runtime)
  const readPortfolio = (employeeId: string) => load(runtime, portfolio, streamName(employeeId))
  /** What this attempt has relied on and may still have to end. */
  let touched: { employeeId: string; customerId: string; epoch: number; metadata: SharedMetadata }[] = []
  const relyOn = (employeeId: string, { customerId, epoch }: Slot, metadata: SharedMetadata) => {
    touched = [...touched.filter((one) => one.customerId !== customerId), { employeeId, customerId, epoch, metadata }]
  }

  /** Ends a slot of a portfolio as read, if it can be ended by now; `patient` does not fence. */
  const seeTo = async (read: Loaded<Portfolio>, slot: OpenSlot, { by, metadata, patient }: { by: string; metadata: SharedMetadata; patient: boolean }): Promise<SeenTo> => {
    const { customerId, commandId } = slot
    const end = async (type: 'SlotSettled' | 'SlotReleased'): Promise<SeenTo> => {
      await append(read, metadata, type, { customerId, commandId })
      return 'changed'
    }
    // The customer before the receipt: with none, nothing up to that revision is of this command.
    const other = await load(runtime, customer, customerStream(customerId))
    const receipt = await runtime.store.receipts.find(commandId)
    if (receipt) return end(hasGained(receipt, other.stream) ? 'SlotSettled' : 'SlotReleased')
    if (slot.epoch < other.state.epoch) return end('SlotReleased')
    if (patient) return 'waits'
    if ((await append(other, metadata, 'EntryAbandoned', { by })).outcome !== 'appended') return 'fence-lost'
    // At the revision of the portfolio seen before the customer was read: a slot reserved anew since is not touched.
    return end('SlotReleased')
  }

  /** Where the last slot was ended: a read model that has come there has read every gain whose slot is not open. */
  const endOf = async ({ stream, state, head, position }: Loaded<Portfolio>): Promise<Position> => {
    if (state.endedAt < 0) return 0n
    if (state.endedAt === head.revision) return position
    for await (const event of runtime.store.readStream(stream, { fromRevision: state.endedAt })) return event.position
    return position
  }

  const count = async ({ employeeId, uncountedStages }: LimitedGain, read: Loaded<Portfolio>, notBefore: Position): Promise<Holdings | CannotCount> => {
    if (!runtime.holdings) return 'model-building'
    const position = await endOf(read)
    const { state } = read
    return runtime.holdings(employeeId, { uncountedStages, among: state.open.map((slot) => slot.customerId), after: position > notBefore ? position : notBefore })
  }

  /** Reserves a slot for the gain, at the epoch the attempt read; where a limit leaves no room, says why. */
  const reserve = async (attempt: Attempt, gain: LimitedGain, dryRun: boolean): Promise<SlotReservation> => {
    const { customerId, loaded, metadata } = attempt
    const { employeeId, purpose, tier, stage, on } = gain
    const slot: Slot = { customerId, commandId: metadata.commandId, epoch: loaded.state.epoch, purpose, tier, stage, ...(purpose === 'claim' ? { day: on.day } : {}) }
    const patience = runtime.reservationWaitMs * (1 + loaded.state.fences / 2)
    // Most slots are ended by their own command in a moment: if all who wait saw to them at once, they would keep it from that.
    const grace = patience / 10
    const firstSeen = new Map<number, number>()
    let fencesLost = 0
    let notBefore = 0n
    for (let look = 0; ; look += 1) {
      const read = await readPortfolio(employeeId)
      const own = slotOf(read.state, slot)
      if (own && own.epoch > slot.epoch) return { outcome: 'start-over' }
      if (own && own.epoch === slot.epoch) {
        relyOn(employeeId, slot, metadata)
        if (own.day === slot.day && own.tier === tier && own.stage === stage) return { outcome: 'reserved' }
        // Another attempt of the command may rely on it as it is: the fence ends that, and the slot.
        await append(loaded, metadata, 'EntryAbandoned', { by: customerId })
        return { outcome: 'start-over' }
      }

      const holdings = asksHoldings(gain) ? await count(gain, read, notBefore) : noHoldings
      if (typeof holdings === 'string') return { outcome: 'unable', problem: problem(holdings, 'How many customers the employee holds cannot be counted at the moment, and the ownership policy limits it.', { extensions: { model: 'customer-lookup' } }) }
      const full = whyFull(gain, slot.commandId, read.state, holdings)
      // Another attempt of this command has come to its end: after that no slot is reserved for it, or it would be settled twice.
      if (!dryRun && (!full || full.final) && (await runtime.store.receipts.find(slot.commandId))) return { outcome: 'start-over' }
      if (!full) {
        if (dryRun) return { outcome: 'reserved' }
        relyOn(employeeId, slot, metadata)
        if ((await append(read, metadata, 'SlotReserved', slot)).outcome === 'appended') return { outcome: 'reserved' }
        await runtime.sleep(5 * 2 ** Math.min(look, 5) * Math.random())
        continue
      }
      if (full.final || dryRun) {
        // A refusal is decided on the end of the log, and on the policy in force there.
        if (asksHoldings(gain) && notBefore === 0n) {
          notBefore = await runtime.store.head()
          continue
        }
        return (await runtime.organisation.refresh()) ? { outcome: 'start-over' } : { outcome: 'refused', rejection: full.rejection }
      }

      const now = runtime.elapsed()
      for (const { revision } of full.open) if (!firstSeen.has(revision)) firstSeen.set(revision, now)
      let wait = patience
      let seenTo: SeenTo = 'waits'
      for (const one of full.open) {
        const seenFor = now - (firstSeen.get(one.revision) ?? now)
        const left = (seenFor < grace ? grace : patience) - seenFor
        if (seenFor >= grace) seenTo = await seeTo(read, one, { by: customerId, metadata, patient: left > 0 })
        if (seenTo !== 'waits') break
        wait = Math.min(wait, left)
      }
      if (seenTo === 'fence-lost') fencesLost += 1
      if (fencesLost >= MOST_FENCES_LOST) return { outcome: 'timed-out' }
      if (seenTo === 'waits') await runtime.sleep(Math.min(wait, 5 * 2 ** Math.min(look, 5) * (0.5 + Math.random() / 2)))
    }
  }

  /** After the customer was gained: the slot has served. */
  const settle = async (): Promise<void> => {
    const last = touched.pop()
    while (last) {
      const { employeeId, customerId, metadata } = last
      const read = await readPortfolio(employeeId)
      const slot = { customerId, commandId: metadata.commandId }
      if (!slotOf(read.state, slot) || (await append(read, metadata, 'SlotSettled', slot)).outcome === 'appended') break
    }
  }

  /**
   * Once the command is answered: ends what it has relied on and is open still, but not what another attempt of it has
   * reserved anew since. What cannot be ended is seen to by whoever needs the room.
   */
  const giveBack = async (): Promise<void> => {
    for (const { employeeId, customerId, epoch, metadata } of touched) {
      for (let fencesLost = 0; fencesLost < MOST_FENCES_LOST;) {
        const read = await readPortfolio(employeeId)
        const own = slotOf(read.state, { customerId, commandId: metadata.commandId })
        if (!own || own.epoch > epoch) break
        if ((await seeTo(read, own, { by: customerId, metadata, patient: false })) === 'fence-lost') fencesLost += 1
      }
    }
    touched = []
  }

  return { reserve, settle, giveBack }
}
