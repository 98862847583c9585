import type { StoredFields } from '../../domain/customer/events.ts'
import type { CustomerEvent } from '../../domain/customer/events.ts'
import type { IdentifierKind } from '../../domain/customer/identifier.ts'
import { reveal } from '../../domain/decider.ts'

/** What of a customer may tell who it is: kept whatever the template says of its fields, since that may change. */
export type Profile = {
  name?: string
  fields: { [key: string]: string | number }
  /** By identity. */
  identifiers: { [identity: string]: { kind: IdentifierKind; value: string } }
}

/** No name, number or address is longer; a free text may be. */
const LONGEST = 300

/** The fields after a change: null clears, and so does an erased value. */
const merged = (before: Profile['fields'], change: StoredFields): Profile['fields'] => {
  const after = new Map(Object.entries(before))
  for (const [key, stored] of Object.entries(change)) {
    const value = stored !== null && typeof stored === 'object' && !Array.isArray(stored) && !('amount' in stored) ? reveal(stored) : stored
    if (typeof value === 'number' || (typeof value === 'string' && value.length <= LONGEST)) after.set(key, value)
    else after.delete(key)
  }
  return Object.fromEntries(after)
}

const without = (identifiers: Profile['identifiers'], identity: string): Profile['identifiers'] => Object.fromEntries(Object.entries(identifiers).filter(([held]) => held !== identity))

const renamed = (name: string | undefined): { name?: string } => (name === undefined ? {} : { name })

/** A profile after an event of its customer; the same one where the event says nothing of it. */
export const evolveProfile = (profile: Profile, event: CustomerEvent): Profile => {
  switch (event.type) {
    case 'CustomerCreated': {
      const identifiers = event.data.identifiers.flatMap(({ identity, kind, value: held }) => {
        const value = reveal(held)
        return value === undefined ? [] : [[identity, { kind, value }] as const]
      })
      return { ...renamed(reveal(event.data.name)), fields: merged({}, event.data.fields), identifiers: Object.fromEntries(identifiers) }
    }
    case 'ProfileChanged':
      return { ...profile, ...(event.data.name ? renamed(reveal(event.data.name)) : {}), fields: merged(profile.fields, event.data.fields) }
    case 'CustomerRecategorised':
      return { ...profile, fields: merged(profile.fields, event.data.fields) }
    case 'IdentifierAdded': {
      const { identity, kind } = event.data
      const value = reveal(event.data.value)
      return value === undefined ? profile : { ...profile, identifiers: { ...profile.identifiers, [identity]: { kind, value } } }
    }
    case 'IdentifierReleased':
      return { ...profile, identifiers: without(profile.identifiers, event.data.identity) }
    default:
      return profile
  }
}
