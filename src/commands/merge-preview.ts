import { ownerOf } from '../domain/customer/customer.ts'
import { asOne, everyone, fieldsOf, nameOf, type Group } from '../domain/customer/group.ts'
import { choicesOf } from '../domain/customer/merge.ts'
import { rightfulOwner, type SettledMerge } from '../domain/customer/merging.ts'
import { givenBack, settleAnew, type BesideKind, type ReversalWithBeside } from '../domain/customer/reversing.ts'
import { engagement, ownInteractions, streamName as engagementStream } from '../domain/engagement/engagement.ts'
import { ownPurchases, purchases, streamName as purchasesStream } from '../domain/purchases/purchases.ts'
import type { JsonObject } from '../event-store/port.ts'
import { groupAt } from './group.ts'
import { load } from './load.ts'
import { claimsLeft, claimsOn } from './merging.ts'
import { complaintsOf } from './protection-facts.ts'
import type { Runtime } from './runtime.ts'

/** What a merge would make of the two: who owns it, each value with whose it is, and how much comes together. */
export const previewMerge = async (runtime: Runtime, { settled, take }: SettledMerge): Promise<JsonObject> => {
  if (!settled) return {}
  const { survivorId, absorbedId, survivorBy, earliest } = settled
  const survivor = await groupAt(runtime, survivorId)
  const absorbed = await groupAt(runtime, absorbedId)
  const merge = { mergeId: '', absorbedId, take }
  const { merges, choices } = survivor.state
  const together = { ...survivor, members: [...survivor.members, absorbed], state: { ...survivor.state, merges: new Map(merges).set(absorbedId, merge), choices: [...choices, ...choicesOf(merge)] } }
  return {
    merge: {
      survivorId, absorbedId, survivorBy, earliest: { customerId: earliest.customerId, enteredAt: earliest.at },
      ownerId: rightfulOwner(await claimsOn(runtime, survivor, absorbed)).ownerId,
      name: nameOf(together) ?? null,
      fields: Object.fromEntries(fieldsOf(together)),
      counts: await countsOf(runtime, together),
    },
  }
}

type Counts = Record<'contacts' | 'identifiers' | BesideKind, number>

/** How much there is of what a customer and all it is made of have. */
const countsOf = async (runtime: Runtime, group: Group): Promise<Counts> => {
  const ids = everyone(group).map(({ customerId }) => customerId)
  const bought = await Promise.all(ids.map(async (customerId) => ownPurchases((await load(runtime, purchases, purchasesStream(customerId))).state).size))
  const met = await Promise.all(ids.map(async (customerId) => ownInteractions((await load(runtime, engagement, engagementStream(customerId))).state).size))
  const sum = (counts: readonly number[]) => counts.reduce((total, one) => total + one, 0)
  const { contacts, identifiers } = asOne(group)
  return { contacts: contacts.size, identifiers: identifiers.size, purchases: sum(bought), interactions: sum(met), complaints: (await complaintsOf(runtime, ids)).length }
}

/** What a reversal would make of the two: who owns each, and how much of what there is goes to which. */
export const previewReversal = async (runtime: Runtime, body: ReversalWithBeside): Promise<JsonObject> => {
  const absorbed = await groupAt(runtime, body.absorbedId)
  const into = absorbed.state.absorption?.into
  if (into === undefined) return {}
  const survivor = await groupAt(runtime, into)
  const left = { ...survivor, members: survivor.members.filter(({ customerId }) => customerId !== body.absorbedId) }
  const { contacts, identities } = givenBack(survivor.state, body, { identityOf: runtime.keyedHash.identity })
  const beside = (kind: BesideKind) => body.give[kind].length - body.keep[kind].length
  const moved: Counts = { contacts: contacts.length, identifiers: identities.length, purchases: beside('purchases'), interactions: beside('interactions'), complaints: beside('complaints') }
  const after = (counts: Counts, sign: 1 | -1): Counts => ({
    contacts: counts.contacts + sign * moved.contacts, identifiers: counts.identifiers + sign * moved.identifiers,
    purchases: counts.purchases + sign * moved.purchases, interactions: counts.interactions + sign * moved.interactions, complaints: counts.complaints + sign * moved.complaints,
  })
  const settled = settleAnew(survivor.state, '', await claimsLeft(runtime, left)).flatMap((event) => (event.type === 'OwnershipSettled' ? [event.data.ownerId] : []))
  return {
    reversal: {
      survivor: { customerId: into, ownerId: settled.length > 0 ? (settled[0] ?? null) : ownerOf(survivor.state), name: nameOf(left)?.value ?? null, counts: after(await countsOf(runtime, left), -1) },
      absorbed: { customerId: body.absorbedId, ownerId: ownerOf(absorbed.state), name: nameOf(absorbed)?.value ?? null, counts: after(await countsOf(runtime, absorbed), 1) },
    },
  }
}
