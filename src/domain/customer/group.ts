import type { Instant } from '../decider.ts'
import type { StoredFieldValue } from '../category/template.ts'
import type { Customer, FieldValues } from './customer.ts'

/**
 * A customer with those it has absorbed, and those they had absorbed before. Whether a customer is part of another its
 * own stream says; the survivor's says whose values count.
 */
export type Group = { customerId: string; state: Customer; members: readonly Group[] }

/** What absorbed customers and their survivor are as one: of each value, whose it is. */
export type Sourced<T> = { value: T; customerId: string }

/** Of a name (null) or field: the last choice that can still be followed; else its own, else of the first that has one. */
const valueIn = <T>({ customerId, state, members }: Group, field: string | null, own: (group: Group) => T | undefined): Sourced<T> | undefined => {
  const choice = state.choices.findLast((one) => one.field === field && (one.from === null || members.some((member) => member.customerId === one.from)))
  const mine = own({ customerId, state, members })
  const here = mine === undefined ? undefined : { value: mine, customerId }
  if (choice) return choice.from === null ? here : members.flatMap((member) => (member.customerId === choice.from ? [valueIn(member, field, own)] : []))[0]
  if (here) return here
  for (const member of members) {
    const take = state.merges.get(member.customerId)?.take
    const from = field === null ? take?.name : take?.fields[field]
    const found = from === undefined || from === member.customerId ? valueIn(member, field, own) : undefined
    if (found) return found
  }
  return undefined
}

/** The group and all below it, each before those it absorbed. */
export const everyone = (group: Group): Group[] => [group, ...group.members.flatMap(everyone)]

export const nameOf = (group: Group): Sourced<string> | undefined => valueIn(group, null, ({ state }) => state.name)

export const fieldsOf = (group: Group): Map<string, Sourced<StoredFieldValue>> => {
  const keys = [...new Set(everyone(group).flatMap(({ state }) => Object.keys(state.fields)))]
  return new Map(keys.flatMap((key) => {
    const found = valueIn(group, key, ({ state }) => (Object.hasOwn(state.fields, key) ? state.fields[key] : undefined))
    return found ? [[key, found] as const] : []
  }))
}

const plain = (fields: ReadonlyMap<string, Sourced<StoredFieldValue>>): FieldValues => Object.fromEntries([...fields].map(([key, { value }]) => [key, value]))

/** The survivor as commands and readers see it: its own stage, tier, owner and shares; values by choice; all contacts and identifiers. */
export const asOne = (group: Group): Customer => {
  if (group.members.length === 0) return group.state
  const all = everyone(group)
  return {
    ...group.state, name: nameOf(group)?.value, fields: plain(fieldsOf(group)),
    contacts: new Map(all.flatMap(({ state }) => [...state.contacts])),
    removedContacts: new Set(all.flatMap(({ state }) => [...state.removedContacts])),
    identifiers: new Map(all.flatMap(({ state }) => [...state.identifiers])),
    released: new Set(all.flatMap(({ state }) => [...state.released])),
  }
}

/** In whose stream a fact of the group lives: there it is changed, so that a reversal gives it back as it is then. */
export const homeOf = (group: Group, has: (state: Customer) => boolean): Group => everyone(group).find(({ state }) => has(state)) ?? group

/**
 * A member of a group for a command on a fact of its: the rights, category and stage are those of the survivor.
 */
export const onBehalfOf = ({ state: survivor }: Group, { state }: Group): Customer =>
  ({ ...state, ownership: survivor.ownership, shares: survivor.shares, enteredBy: survivor.enteredBy, category: survivor.category, stage: survivor.stage })

/** When and where in the log a customer was entered. */
export type Entry = { customerId: string; at: Instant; stated: boolean; position: bigint }

/** First is who comes first in the log; a record taken over counts from when it was entered elsewhere. */
export const isEarlier = (one: Entry, other: Entry): boolean =>
  one.stated || other.stated ? one.at < other.at || (one.at === other.at && one.position < other.position) : one.position < other.position

export const earlierOf = (one: Entry, other: Entry): Entry => (isEarlier(other, one) ? other : one)
