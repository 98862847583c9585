import { complainingCustomer, complaint, streamName as complaintStream } from '../domain/complaint/complaint.ts'
import { customer, type Customer } from '../domain/customer/customer.ts'
import { streamName as customerStream } from '../domain/customer/events.ts'
import { everyone } from '../domain/customer/group.ts'
import { besideKinds, type BesideKind, type ReversalWithBeside } from '../domain/customer/reversing.ts'
import type { Decider } from '../domain/decider.ts'
import { caseIdOf, duplicateCase, pairOf, streamName as caseStream, type DuplicateCase } from '../domain/duplicate-case/duplicate-case.ts'
import type { PlacedCase } from '../domain/duplicate-case/judging.ts'
import { engagement, ownInteractions, streamName as engagementStream, type Engagement } from '../domain/engagement/engagement.ts'
import { ownPurchases, purchases, streamName as purchasesStream, type Purchases } from '../domain/purchases/purchases.ts'
import type { Placed } from './definition.ts'
import { groupAt, groupOf, isMerging } from './group.ts'
import { load, type Loaded } from './load.ts'
import type { Runtime } from './runtime.ts'

// Where commands on what lies beside customers are carried out, when those have been merged.

/** A reversal is decided on whom the absorbed is made of, and where it moves what lies beside the two, on which of them has it at this moment. */
export const placeReversal = async (runtime: Runtime, body: ReversalWithBeside, loaded: Loaded<Customer>): Promise<Placed<ReversalWithBeside, Customer> | undefined> => {
  const { absorption } = loaded.state
  const named = (kind: BesideKind) => [...body.give[kind], ...body.keep[kind]]
  if (absorption === null) return undefined
  const placed = (more: Partial<ReversalWithBeside>) => ({ id: body.absorbedId, answerId: body.absorbedId, body: { ...body, ...more }, loaded, decideOn: loaded.state, revision: loaded.state.visibleRevision })
  const parts = everyone(await groupAt(runtime, body.absorbedId, loaded)).map(({ customerId }) => customerId)
  if (besideKinds.every((kind) => named(kind).length === 0)) return placed({ parts })
  const heldBy = async (customerId: string) => ({
    purchases: new Set(ownPurchases((await load(runtime, purchases, purchasesStream(customerId))).state).keys()),
    interactions: ownInteractions((await load(runtime, engagement, engagementStream(customerId))).state),
  })
  const [survivor, absorbed] = [await heldBy(absorption.into), await heldBy(body.absorbedId)]
  const complaintsOf = new Map(await Promise.all(named('complaints').map(async (complaintId) => {
    const { state } = await load(runtime, complaint, complaintStream(complaintId))
    return [complaintId, state.status === 'none' ? null : complainingCustomer(state)] as const
  })))
  const lodgedFor = (customerId: string) => new Set([...complaintsOf].flatMap(([complaintId, whose]) => (whose === customerId ? [complaintId] : [])))
  const held = {
    purchases: { survivor: survivor.purchases, absorbed: absorbed.purchases },
    interactions: { survivor: survivor.interactions, absorbed: absorbed.interactions },
    complaints: { survivor: lodgedFor(absorption.into), absorbed: lodgedFor(body.absorbedId) },
  }
  return placed({ parts, held })
}

/** Where among a merged customer's records one of these is: what an absorbed customer has, or its survivor, is not recorded again beside it. */
const placeWithin = async <Body extends { customerId: string }, State, Event extends { type: string }>(
  runtime: Runtime, body: Body, loaded: Loaded<State>, decider: Decider<State, Event>, streamName: (customerId: string) => string, has: (state: State) => boolean,
): Promise<Placed<Body, State> | undefined> => {
  if (has(loaded.state) || !isMerging((await load(runtime, customer, customerStream(body.customerId))).state)) return undefined
  for (const { customerId } of everyone(await groupOf(runtime, body.customerId))) {
    if (customerId === body.customerId) continue
    const there = await load(runtime, decider, streamName(customerId))
    if (has(there.state)) return { id: customerId, answerId: customerId, body: { ...body, customerId }, loaded: there, decideOn: there.state, revision: there.head.revision, redirectedFrom: body.customerId }
  }
  return undefined
}

export const placeWhereBought = <Body extends { customerId: string; purchaseId: string }>(runtime: Runtime, body: Body, loaded: Loaded<Purchases>): Promise<Placed<Body, Purchases> | undefined> =>
  placeWithin(runtime, body, loaded, purchases, purchasesStream, (state) => ownPurchases(state).has(body.purchaseId))

export const placeWhereRecorded = async <Body extends { customerId: string; interactionId?: string | undefined }>(runtime: Runtime, body: Body, loaded: Loaded<Engagement>): Promise<Placed<Body, Engagement> | undefined> => {
  const { interactionId } = body
  return interactionId === undefined ? undefined : placeWithin(runtime, body, loaded, engagement, engagementStream, (state) => ownInteractions(state).has(interactionId))
}

/** A case a person opens is of the customers that stand for those named, as alike as the matcher says. One that detection opens it has looked up itself. */
export const placeCase = async (runtime: Runtime, body: PlacedCase, addressed: Loaded<DuplicateCase>): Promise<Placed<PlacedCase, DuplicateCase> | undefined> => {
  if (body.score !== undefined) return undefined
  const [one, other] = [await groupOf(runtime, body.customerIds[0]), await groupOf(runtime, body.customerIds[1])]
  const isOne = one.customerId === other.customerId
  const customerIds = isOne ? body.customerIds : pairOf([one.customerId, other.customerId])
  const caseId = caseIdOf(customerIds)
  const loaded = addressed.stream === caseStream(caseId) ? addressed : await load(runtime, duplicateCase, caseStream(caseId))
  const weights = runtime.organisation.current().policies.matching
  const found = isOne ? undefined : await runtime.nearMatches?.ofPair(customerIds, one.loaded.position > other.loaded.position ? one.loaded.position : other.loaded.position, weights)
  return { id: caseId, answerId: caseId, body: { ...body, customerIds, isOne, found: found && { score: found.score, reasons: [...found.reasons], weightsVersion: weights.version } }, loaded, decideOn: loaded.state, revision: loaded.head.revision }
}

/** A case is closed by a merge while the two are one. */
export const placeClosing = async <Body extends { caseId: string; mergeId: string; isOne?: boolean }>(runtime: Runtime, body: Body, loaded: Loaded<DuplicateCase>): Promise<Placed<Body, DuplicateCase> | undefined> => {
  if (loaded.state.status === 'none') return undefined
  const [one, other] = [await groupOf(runtime, loaded.state.customerIds[0]), await groupOf(runtime, loaded.state.customerIds[1])]
  return { id: body.caseId, answerId: body.caseId, body: { ...body, isOne: one.customerId === other.customerId }, loaded, decideOn: loaded.state, revision: loaded.head.revision }
}
