import { asOne, everyone, fieldsOf, nameOf } from '../domain/customer/group.ts'
import { choicesOf } from '../domain/customer/merge.ts'
import { rightfulOwner, type SettledMerge } from '../domain/customer/merging.ts'
import { engagement, ownInteractions, streamName as engagementStream } from '../domain/engagement/engagement.ts'
import { ownPurchases, purchases, streamName as purchasesStream } from '../domain/purchases/purchases.ts'
import type { JsonObject } from '../event-store/port.ts'
import { groupAt } from './group.ts'
import { load } from './load.ts'
import { claimsOn } from './merging.ts'
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
  const counted = await Promise.all(everyone(together).map(async ({ customerId }) => ({
    purchases: ownPurchases((await load(runtime, purchases, purchasesStream(customerId))).state).size,
    interactions: ownInteractions((await load(runtime, engagement, engagementStream(customerId))).state).size,
  })))
  const sum = (what: 'purchases' | 'interactions') => counted.reduce((total, one) => total + one[what], 0)
  const { contacts, identifiers } = asOne(together)
  return {
    merge: {
      survivorId, absorbedId, survivorBy, earliest: { customerId: earliest.customerId, enteredAt: earliest.at },
      ownerId: rightfulOwner(await claimsOn(runtime, survivor, absorbed)).ownerId,
      name: nameOf(together) ?? null,
      fields: Object.fromEntries(fieldsOf(together)),
      counts: { contacts: contacts.size, identifiers: identifiers.size, purchases: sum('purchases'), interactions: sum('interactions') },
    },
  }
}
