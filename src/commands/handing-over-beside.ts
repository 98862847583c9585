import { complainingCustomer, complaint, streamName as complaintStream, type Complainant, type ComplaintEvent } from '../domain/complaint/complaint.ts'
import { customer } from '../domain/customer/customer.ts'
import { streamName as customerStream, subject, type CustomerEvent } from '../domain/customer/events.ts'
import type { BesideKind } from '../domain/customer/reversing.ts'
import { personal, reveal, type Decider, type Instant, type Personal } from '../domain/decider.ts'
import { engagement, streamName as engagementStream, type Engagement, type EngagementEvent } from '../domain/engagement/engagement.ts'
import { purchases, streamName as purchasesStream, type Purchases, type PurchasesEvent } from '../domain/purchases/purchases.ts'
import type { Position, RecordedEvent } from '../event-store/port.ts'
import { load } from './load.ts'
import { causedBy, stepOf, untilDone } from './merge-steps.ts'
import type { Runtime } from './runtime.ts'

type Reversal = { stored: RecordedEvent; event: Extract<CustomerEvent, { type: 'MergeReversed' }> }
/** From one of the two to the other: which purchases, interactions and complaints. */
type Move = Record<BesideKind, readonly string[]> & { from: string; to: string; mergeId: string }
type Step = ReturnType<typeof stepOf>

/**
 * After a reversal: the purchases, interactions and complaints that were named go to the other of the two. A purchase or
 * interaction is first given away by the stream it is in, then told whole in the other's; a complaint says itself whose
 * it is. Each step is looked for before it is taken, so that whoever comes upon a reversal takes it on. Answers the
 * position from which all of it can be read.
 */
export const handOverBeside = async (runtime: Runtime, { stored, event }: Reversal): Promise<Position> => {
  const { beside, from: survivorId, mergeId } = event.data
  if (!beside) return stored.position
  const absorbedId = stored.stream.slice(customerStream('').length)
  const step = stepOf(runtime, causedBy(stored))
  for (const move of [{ ...beside.give, from: survivorId, to: absorbedId, mergeId }, { ...beside.keep, from: absorbedId, to: survivorId, mergeId }]) {
    await moveAll(runtime, step, ofPurchases, move, move.purchases)
    await moveAll(runtime, step, ofInteractions, move, move.interactions)
    for (const complaintId of move.complaints) await moveComplaint(runtime, step, move, complaintId)
  }
  const both = [survivorId, absorbedId]
  const ends = await Promise.all([
    ...both.map((id) => load(runtime, purchases, purchasesStream(id))), ...both.map((id) => load(runtime, engagement, engagementStream(id))),
    ...[...beside.give.complaints, ...beside.keep.complaints].map((id) => load(runtime, complaint, complaintStream(id))),
  ])
  return ends.reduce((last, { position }) => (position > last ? position : last), stored.position)
}

/** Facts of a stream beside a customer's: how one is given away, and told whole of another customer. */
type Beside<State, Event extends { type: string; data: object }> = {
  decider: Decider<State, Event>
  streamName: (customerId: string) => string
  idOf: (event: Event) => string
  /** Of which reversal of which merge an event is part. */
  part: (event: Event) => { gives: string } | { takes: string } | undefined
  give: (id: string, move: Move) => Event
  /** What the events of one fact told of it, told of the customer it goes to; undefined when they tell nothing. */
  take: (past: readonly Event[], move: Move) => { event: Event; at: Instant } | undefined
}

const resealed = (value: Personal<string> | null, customerId: string): Personal<string> | null => {
  const plain = value === null ? undefined : reveal(value)
  return plain === undefined ? null : personal(subject(customerId), plain)
}

const ofPurchases: Beside<Purchases, PurchasesEvent> = {
  decider: purchases, streamName: purchasesStream,
  idOf: ({ data }) => data.purchaseId,
  part: (event) => (event.type === 'PurchaseGivenAway' ? { gives: event.data.mergeId } : event.type === 'PurchaseTakenOver' ? { takes: event.data.mergeId } : undefined),
  give: (purchaseId, { to, mergeId }) => ({ type: 'PurchaseGivenAway', data: { purchaseId, to, mergeId } }),
  take: (past, { from, to, mergeId }) => {
    const bought = past.findLast((one) => one.type === 'PurchaseRecorded' || one.type === 'PurchaseTakenOver')
    if (!bought) return undefined
    const { purchaseId, at, amount, lines, channel } = bought.data
    const since = past.slice(past.indexOf(bought) + 1).flatMap((one) => (one.type === 'RefundRecorded' ? [one.data] : []))
    const refunds = [...(bought.type === 'PurchaseTakenOver' ? bought.data.refunds : []), ...since]
      .map((refund) => ({ refundId: refund.refundId, at: refund.at, amount: refund.amount, reason: resealed(refund.reason, to) }))
    return { event: { type: 'PurchaseTakenOver', data: { purchaseId, at, amount, lines, channel, refunds, from, mergeId } }, at }
  },
}

const ofInteractions: Beside<Engagement, EngagementEvent> = {
  decider: engagement, streamName: engagementStream,
  idOf: ({ data }) => data.interactionId,
  part: (event) => (event.type === 'InteractionGivenAway' ? { gives: event.data.mergeId } : event.type === 'InteractionTakenOver' ? { takes: event.data.mergeId } : undefined),
  give: (interactionId, { to, mergeId }) => ({ type: 'InteractionGivenAway', data: { interactionId, to, mergeId } }),
  take: (past, { from, to, mergeId }) => {
    const was = past.findLast((one) => one.type !== 'InteractionGivenAway')
    if (!was) return undefined
    const { interactionId, at, channel, direction, purpose, contactId, employeeId, followUp } = was.data
    const outcome = resealed(was.data.outcome, to)
    const nextStep = resealed(was.data.nextStep, to)
    return { event: { type: 'InteractionTakenOver', data: { interactionId, at, channel, direction, purpose, contactId, outcome, nextStep, employeeId, ...(followUp === undefined ? {} : { followUp }), from, mergeId } }, at }
  },
}

const moveAll = async <State, Event extends { type: string; data: object }>(runtime: Runtime, step: Step, beside: Beside<State, Event>, move: Move, ids: readonly string[]): Promise<void> => {
  if (ids.length === 0) return
  const { decider, streamName, idOf, part, give, take } = beside
  // Its head first: what is read after it is at least what the head stands for, and a step that is too late meets a conflict.
  const read = async (customerId: string) => {
    const { stream, head } = await load(runtime, decider, streamName(customerId))
    const stored = await runtime.codec.decode(await Array.fromAsync(runtime.store.readStream(stream)))
    return { stream, head, events: stored.flatMap(({ type, data }) => decider.parse(type, data) ?? []) }
  }
  const gives = (event: Event) => { const of = part(event); return of !== undefined && 'gives' in of ? of.gives : undefined }
  const takes = (event: Event) => { const of = part(event); return of !== undefined && 'takes' in of ? of.takes : undefined }

  const given = await untilDone(runtime, async () => {
    const { events, ...at } = await read(move.from)
    const left = new Set(events.filter((event) => gives(event) === move.mergeId).map(idOf))
    // What another reversal has given away before is there no more.
    const isHere = (id: string) => { const last = events.findLast((event) => idOf(event) === id); return last !== undefined && gives(last) === undefined }
    const missing = ids.filter((id) => !left.has(id) && isHere(id))
    if (missing.length === 0) return events
    await step(at, missing.map((id) => give(id, move)))
    return undefined
  })
  await untilDone(runtime, async () => {
    const { stream, head, events } = await read(move.to)
    const already = new Set(events.filter((event) => takes(event) === move.mergeId).map(idOf))
    let at: typeof head | undefined = head
    for (const id of ids.filter((one) => !already.has(one))) {
      const told = given.filter((event) => idOf(event) === id)
      const gift = told.findIndex((event) => gives(event) === move.mergeId)
      const taken = gift < 0 ? undefined : take(told.slice(0, gift), move)
      if (taken) at = await step({ stream, head: at }, [taken.event], taken.at)
      if (!at) return undefined
    }
    return true
  })
}

const moveComplaint = async (runtime: Runtime, step: Step, { from, to, mergeId }: Move, complaintId: string): Promise<void> => {
  await untilDone(runtime, async () => {
    const { stream, head, state } = await load(runtime, complaint, complaintStream(complaintId))
    if (state.status === 'none' || complainingCustomer(state) !== from) return true
    // Given by this reversal before, and given again by another since, it stays where it is.
    for await (const { type, data } of runtime.store.readStream(stream)) if (type === 'ComplainantCorrected' && data['mergeId'] === mergeId) return true
    const { complainant } = state
    // Who complained is named still where the contact is one of the customer it goes to.
    const named = complainant.kind === 'contact' && (await load(runtime, customer, customerStream(to))).state.contacts.has(complainant.contactId)
    const corrected: Complainant = named ? { kind: 'contact', customerId: to, contactId: complainant.contactId } : { kind: 'customer', customerId: to }
    await step({ stream, head }, [{ type: 'ComplainantCorrected', data: { complainant: corrected, mergeId } } satisfies ComplaintEvent])
    return undefined
  })
}
