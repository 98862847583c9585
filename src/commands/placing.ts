import { complainingCustomer, complaint, streamName as complaintStream } from '../domain/complaint/complaint.ts'
import { customer, type Customer } from '../domain/customer/customer.ts'
import { streamName as customerStream } from '../domain/customer/events.ts'
import { asOne, earlierOf, everyone, homeOf, onBehalfOf } from '../domain/customer/group.ts'
import { normaliseIdentifier, type Identifier } from '../domain/customer/identifier.ts'
import type { SettledMerge } from '../domain/customer/merging.ts'
import { besideKinds, type BesideKind, type ReversalWithBeside } from '../domain/customer/reversing.ts'
import { engagement, ownInteractions, streamName as engagementStream } from '../domain/engagement/engagement.ts'
import { ownPurchases, purchases, streamName as purchasesStream, type Purchases } from '../domain/purchases/purchases.ts'
import type { Placed } from './definition.ts'
import { firstEntryOf, groupOf, isMerging, type LoadedGroup } from './group.ts'
import { load, type Loaded } from './load.ts'
import type { Runtime } from './runtime.ts'

/** The fact a command is about, where it is about one: it is changed where it lives. */
export type Fact = { contactId: string } | { identifier: Identifier }

const has = (runtime: Runtime, fact: Fact): ((state: Customer) => boolean) => {
  if ('contactId' in fact) return (state) => state.contacts.has(fact.contactId) || state.removedContacts.has(fact.contactId)
  const normal = normaliseIdentifier(fact.identifier)
  return (state) => normal.ok && state.identifiers.has(runtime.keyedHash.identity(normal.kind, normal.value))
}

/**
 * A command on an absorbed customer is carried out on its survivor, and decided on what all are as one; one on a contact
 * or identifier that came with an absorbed customer on that customer's own stream, by the rights over the survivor.
 */
export const placeInGroup = async <Body extends { customerId?: string | undefined }>(runtime: Runtime, body: Body, loaded: Loaded<Customer>, fact: Fact | undefined): Promise<Placed<Body, Customer> | undefined> => {
  const { customerId } = body
  if (customerId === undefined || !isMerging(loaded.state)) return undefined
  const group = await groupOf(runtime, customerId, loaded)
  const home = fact ? (everyoneLoaded(group).find((one) => one.customerId === homeOf(group, has(runtime, fact)).customerId) ?? group) : group
  return {
    id: home.customerId, answerId: group.customerId, body: { ...body, customerId: home.customerId }, loaded: home.loaded,
    decideOn: home === group ? asOne(group) : onBehalfOf(group, home), revision: group.state.visibleRevision,
    ...(group.customerId === customerId ? {} : { redirectedFrom: customerId }),
  }
}

const everyoneLoaded = (group: LoadedGroup): LoadedGroup[] => [group, ...group.members.flatMap(everyoneLoaded)]

/** Of two customers that become one: who stays, by choice or because it was entered first. What they are part of already stands for them. */
export const placeMerge = async (runtime: Runtime, body: SettledMerge): Promise<Placed<SettledMerge, Customer>> => {
  const [one, other] = [await groupOf(runtime, body.customerIds[0]), await groupOf(runtime, body.customerIds[1])]
  const at = (group: LoadedGroup, settled?: SettledMerge['settled']): Placed<SettledMerge, Customer> =>
    ({ id: group.customerId, answerId: group.customerId, body: { ...body, settled }, loaded: group.loaded, decideOn: group.state, revision: group.state.visibleRevision })
  if (one.state.status === 'none' || other.state.status === 'none') return at(one)
  if (one.customerId === other.customerId) return at(one, null)
  const earliest = earlierOf(await firstEntryOf(runtime, one), await firstEntryOf(runtime, other))
  const stays = (group: LoadedGroup, named: string) => (body.survivorId === undefined ? everyone(group).some(({ customerId }) => customerId === earliest.customerId) : body.survivorId === named)
  const [survivor, absorbed] = stays(one, body.customerIds[0]) ? [one, other] : [other, one]
  const standsFor = (customerId: string) => (customerId === body.customerIds[0] ? one.customerId : customerId === body.customerIds[1] ? other.customerId : customerId)
  const { name, fields } = body.take
  const take = { ...(name === undefined ? {} : { name: standsFor(name) }), fields: Object.fromEntries(Object.entries(fields).map(([key, from]) => [key, standsFor(from)])) }
  const placed = at(survivor, { survivorId: survivor.customerId, absorbedId: absorbed.customerId, survivorBy: body.survivorId === undefined ? 'earliest-entry' : 'choice', earliest })
  return { ...placed, body: { ...placed.body, take } }
}

/** A reversal that moves what lies beside the two is decided on which of them has it at this moment. */
export const placeReversal = async (runtime: Runtime, body: ReversalWithBeside, loaded: Loaded<Customer>): Promise<Placed<ReversalWithBeside, Customer> | undefined> => {
  const { absorption } = loaded.state
  const named = (kind: BesideKind) => [...body.give[kind], ...body.keep[kind]]
  if (absorption === null || besideKinds.every((kind) => named(kind).length === 0)) return undefined
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
  return { id: body.absorbedId, answerId: body.absorbedId, body: { ...body, held }, loaded, decideOn: loaded.state, revision: loaded.state.visibleRevision }
}

/** A purchase is where it was recorded: one that an absorbed customer has, or its survivor, is not recorded again beside it. */
export const placeWhereBought = async <Body extends { customerId: string; purchaseId: string }>(runtime: Runtime, body: Body, loaded: Loaded<Purchases>): Promise<Placed<Body, Purchases> | undefined> => {
  if (ownPurchases(loaded.state).has(body.purchaseId)) return undefined
  const { state } = await load(runtime, customer, customerStream(body.customerId))
  if (!isMerging(state)) return undefined
  for (const { customerId } of everyone(await groupOf(runtime, body.customerId))) {
    const there = customerId === body.customerId ? loaded : await load(runtime, purchases, purchasesStream(customerId))
    if (ownPurchases(there.state).has(body.purchaseId))
      return { id: customerId, answerId: customerId, body: { ...body, customerId }, loaded: there, decideOn: there.state, revision: there.head.revision, ...(customerId === body.customerId ? {} : { redirectedFrom: body.customerId }) }
  }
  return undefined
}
