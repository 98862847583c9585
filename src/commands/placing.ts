import type { Customer } from '../domain/customer/customer.ts'
import { asOne, earlierOf, everyone, homeOf, onBehalfOf } from '../domain/customer/group.ts'
import { normaliseIdentifier, type Identifier } from '../domain/customer/identifier.ts'
import type { SettledMerge } from '../domain/customer/merging.ts'
import type { Placed } from './definition.ts'
import { firstEntryOf, groupOf, isMerging, type LoadedGroup } from './group.ts'
import type { Loaded } from './load.ts'
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
export const placeInGroup = async <Body extends { customerId?: string | undefined; enteredFor?: string | undefined }>(runtime: Runtime, body: Body, loaded: Loaded<Customer>, fact: Fact | undefined): Promise<Placed<Body, Customer> | undefined> => {
  const { customerId } = body
  if (customerId === undefined || !isMerging(loaded.state)) return undefined
  const group = await groupOf(runtime, customerId, loaded)
  const home = fact ? (everyoneLoaded(group).find((one) => one.customerId === homeOf(group, has(runtime, fact)).customerId) ?? group) : group
  return {
    id: home.customerId, answerId: group.customerId, body: { ...body, customerId: home.customerId, ...(home === group && group.customerId !== customerId ? { enteredFor: customerId } : {}) }, loaded: home.loaded,
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
  if (one.customerId === other.customerId) return { ...at(one, null), body: { ...body, settled: null, standsFor: one.customerId } }
  const earliest = earlierOf(await firstEntryOf(runtime, one), await firstEntryOf(runtime, other))
  const stays = (group: LoadedGroup, named: string) => (body.survivorId === undefined ? everyone(group).some(({ customerId }) => customerId === earliest.customerId) : body.survivorId === named)
  const [survivor, absorbed] = stays(one, body.customerIds[0]) ? [one, other] : [other, one]
  const standsFor = (customerId: string) => (customerId === body.customerIds[0] ? one.customerId : customerId === body.customerIds[1] ? other.customerId : customerId)
  const { name, fields } = body.take
  const take = { ...(name === undefined ? {} : { name: standsFor(name) }), fields: Object.fromEntries(Object.entries(fields).map(([key, from]) => [key, standsFor(from)])) }
  const placed = at(survivor, { survivorId: survivor.customerId, absorbedId: absorbed.customerId, survivorBy: body.survivorId === undefined ? 'earliest-entry' : 'choice', earliest })
  return { ...placed, body: { ...placed.body, take } }
}
