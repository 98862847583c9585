import { customer, type Customer } from '../domain/customer/customer.ts'
import { streamName } from '../domain/customer/events.ts'
import { asOne, earlierOf, everyone, type Entry, type Group } from '../domain/customer/group.ts'
import { load, type Loaded } from './load.ts'
import { holderFrom, type Holder } from './reservation.ts'
import type { Runtime } from './runtime.ts'

/** A group as its streams tell it. */
export type LoadedGroup = Omit<Group, 'members'> & { loaded: Loaded<Customer>; members: readonly LoadedGroup[] }

const loadCustomer = (runtime: Runtime, customerId: string) => load(runtime, customer, streamName(customerId))

/** Whether a customer has anything to do with merges: most have not, and nothing more is read for them. */
export const isMerging = ({ absorption, openMerge, merges }: Customer): boolean => absorption !== null || openMerge !== null || merges.size > 0

/** A customer and those it has absorbed, whether or not it is absorbed itself. */
export const groupAt = async (runtime: Runtime, customerId: string, loaded?: Loaded<Customer>): Promise<LoadedGroup> => {
  const own = loaded ?? (await loadCustomer(runtime, customerId))
  const { merges, openMerge } = own.state
  const members: LoadedGroup[] = []
  for (const { absorbedId, mergeId } of [...merges.values(), ...(openMerge ? [openMerge] : [])]) {
    const member = await loadCustomer(runtime, absorbedId)
    if (member.state.absorption?.mergeId === mergeId) members.push(await groupAt(runtime, absorbedId, member))
  }
  return { customerId, state: own.state, loaded: own, members }
}

/** The group a customer is part of, from its survivor down. */
export const groupOf = async (runtime: Runtime, customerId: string, loaded?: Loaded<Customer>): Promise<LoadedGroup> => {
  const own = loaded ?? (await loadCustomer(runtime, customerId))
  const { absorption } = own.state
  return absorption === null ? groupAt(runtime, customerId, own) : groupOf(runtime, absorption.into)
}

/** A customer as commands see it: absorbed, it is its survivor; a survivor is all it has absorbed. Null when there is none. */
export const customerAsOne = async (runtime: Runtime, customerId: string): Promise<Customer | null> => {
  const own = await loadCustomer(runtime, customerId)
  if (own.state.status === 'none') return null
  return isMerging(own.state) ? asOne(await groupOf(runtime, customerId, own)) : own.state
}

/** A customer as its own stream tells it. Null when there is none. */
export const customerAsRecorded = async (runtime: Runtime, customerId: string): Promise<Customer | null> => {
  const { state } = await loadCustomer(runtime, customerId)
  return state.status === 'entered' ? state : null
}

/** An identifier an absorbed customer holds is its survivor's: that one is named, and whose record it is in. */
export const holderAsOne = async (runtime: Runtime, holder: Holder): Promise<Holder & { absorbedId?: string }> => {
  const { customerId, state } = await groupOf(runtime, holder.customerId)
  if (customerId === holder.customerId) return holder
  return { ...holderFrom(runtime, customerId, state), absorbedId: holder.customerId }
}

const entryOf = async (runtime: Runtime, { customerId, state }: Group): Promise<Entry> => {
  for await (const { position } of runtime.store.readStream(streamName(customerId))) return { customerId, ...state.entry, position }
  throw new Error(`${customerId} has no first event`)
}

/** The entry that came first among a group's. */
export const firstEntryOf = async (runtime: Runtime, group: Group): Promise<Entry> => {
  let first = await entryOf(runtime, group)
  for (const member of everyone(group).slice(1)) first = earlierOf(first, await entryOf(runtime, member))
  return first
}
