import { eventParser, reveal, type Decider, type Instant, type Recorded } from '../decider.ts'
import type { StoredFieldValue } from '../category/template.ts'
import { events, isFence, kind, type CustomerEvent, type SharedWith, type StoredFields } from './events.ts'
import type { IdentifierKind } from './identifier.ts'
import { applyMerge, chosenByHand, neverMerged, type Merging } from './merge.ts'
import { lastOwned, latestWhere, ownershipAfter, type OwnershipChange, type OwnershipChanges } from './ownership-changes.ts'
import { applyProtection, unprotected, type Protection } from './protection.ts'

// State: only what decisions need.
export type FieldValues = Record<string, StoredFieldValue>
/** Null in `until`: until it is revoked. */
export type Share = { with: SharedWith; access: 'read' | 'work'; until: Instant | null }

export type Customer = Merging & {
  status: 'none' | 'entered'
  /** Revision of the last event a reader can see; -1 before the first. */
  visibleRevision: number
  /** How many reservations were voided: each fence and each released identifier counts one. */
  epoch: number
  fences: number
  createdBy: string
  category: string
  name: string | undefined
  fields: FieldValues
  /** `enteredFor`: the absorbed customer it was entered for, since they were merged. */
  contacts: ReadonlyMap<string, { name: string | undefined; fields: FieldValues; enteredFor?: string | undefined }>
  removedContacts: ReadonlySet<string>
  /** Identities it held once and gave up. */
  released: ReadonlySet<string>
  identifiers: ReadonlyMap<string, { kind: IdentifierKind; value: string | undefined; enteredFor?: string | undefined }>
  enteredBy: string | null
  /** Changes of owner in order of effective time, ties by revision. The first is the entry itself, without owner. */
  ownership: OwnershipChanges
  shares: readonly Share[]
  protection: Protection
  stage: string
  stageSince: Instant
  tier: string
  /** Tiers proposed and not decided on since the tier last changed. */
  proposedTiers: ReadonlySet<string>
  /** Reports by which a dispute over its ownership was settled. */
  disputes: ReadonlySet<string>
}

const nobody: Customer = {
  ...neverMerged, status: 'none', visibleRevision: -1, epoch: 0, fences: 0, createdBy: '', category: '', name: undefined, fields: {}, contacts: new Map(), removedContacts: new Set(),
  identifiers: new Map(), released: new Set(), enteredBy: null, ownership: null, shares: [], protection: unprotected, stage: '', stageSince: '', tier: '', proposedTiers: new Set(), disputes: new Set(),
}

const plain = (fields: StoredFields): FieldValues => merge({}, fields)

/** Fields after a change: null clears; an erased value is no value. */
const merge = (before: FieldValues, change: StoredFields): FieldValues => {
  const after = new Map(Object.entries(before))
  for (const [key, stored] of Object.entries(change)) {
    const value = stored !== null && typeof stored === 'object' && !Array.isArray(stored) && !('amount' in stored) ? reveal(stored) : stored
    if (value === null || value === undefined) after.delete(key)
    else after.set(key, value)
  }
  return Object.fromEntries(after)
}

const without = <K, V>(map: ReadonlyMap<K, V>, key: K): Map<K, V> => {
  const rest = new Map(map)
  rest.delete(key)
  return rest
}
const sameShare = (one: Share, other: SharedWith) => one.with.kind === other.kind && one.with.id === other.id

const apply = (state: Customer, event: Recorded<CustomerEvent>): Customer => {
  switch (event.type) {
    case 'CustomerCreated': {
      const { category, name, fields, identifiers, contacts, stage, tier, enteredBy } = event.data
      return {
        ...state, status: 'entered', entry: { at: event.data.enteredAt ?? event.recordedAt, stated: event.data.enteredAt !== null }, createdBy: event.commandId, category, name: reveal(name), fields: plain(fields), stage, stageSince: event.effectiveAt, tier, enteredBy,
        identifiers: new Map(identifiers.map((one) => [one.identity, { kind: one.kind, value: reveal(one.value) }])),
        contacts: new Map(contacts.map((one) => [one.contactId, { name: reveal(one.name), fields: plain(one.fields) }])),
        ownership: ownershipAfter(null, event),
      }
    }
    case 'ProfileChanged':
      return { ...state, ...chosenByHand(state, event.data), name: event.data.name ? reveal(event.data.name) : state.name, fields: merge(state.fields, event.data.fields) }
    case 'CustomerRecategorised':
      return { ...state, ...chosenByHand(state, event.data), category: event.data.to, fields: merge(state.fields, event.data.fields) }
    case 'ContactAdded':
      return { ...state, contacts: new Map(state.contacts).set(event.data.contactId, { name: reveal(event.data.name), fields: plain(event.data.fields), enteredFor: event.data.enteredFor }) }
    case 'ContactChanged': {
      const before = state.contacts.get(event.data.contactId)
      const name = event.data.name ? reveal(event.data.name) : before?.name
      return { ...state, contacts: new Map(state.contacts).set(event.data.contactId, { ...before, name, fields: merge(before?.fields ?? {}, event.data.fields) }) }
    }
    case 'ContactRemoved':
      return { ...state, contacts: without(state.contacts, event.data.contactId), removedContacts: new Set(state.removedContacts).add(event.data.contactId) }
    case 'IdentifierAdded':
      return { ...state, identifiers: new Map(state.identifiers).set(event.data.identity, { kind: event.data.kind, value: reveal(event.data.value), enteredFor: event.data.enteredFor }) }
    case 'IdentifierReleased':
      return { ...state, epoch: state.epoch + 1, identifiers: without(state.identifiers, event.data.identity), released: new Set(state.released).add(event.data.identity) }
    case 'EntryAbandoned':
      return { ...state, epoch: state.epoch + 1, fences: state.fences + 1 }
    case 'OwnershipAssigned':
    case 'OwnershipTransferred':
      return { ...state, ...(event.data.reportId === undefined ? {} : { disputes: new Set(state.disputes).add(event.data.reportId) }), ownership: ownershipAfter(state.ownership, event) }
    case 'OwnershipClaimed':
    case 'OwnershipReleased':
    case 'OwnershipCorrected':
      return { ...state, ownership: ownershipAfter(state.ownership, event) }
    case 'OwnershipSettled':
      return { ...state, ...applyMerge(state, event), ownership: ownershipAfter(state.ownership, event) }
    case 'MergeReversed':
      // Who holds it again by a merge of its own still does so by that merge.
      return { ...state, ...applyMerge(state, event), ownership: ownershipAfter(state.ownership, event), settlements: state.settlements.has(state.ownership?.change.revision ?? -1) ? new Set(state.settlements).add(event.revision) : state.settlements }
    case 'CustomerShared':
      return { ...state, shares: [...state.shares.filter((one) => !sameShare(one, event.data.with)), { with: event.data.with, access: event.data.access, until: event.data.until ?? null }] }
    case 'ShareRevoked':
      return { ...state, shares: state.shares.filter((one) => !sameShare(one, event.data.with)) }
    case 'ProtectionLapseWarned':
    case 'ProtectionRenewed':
    case 'ProtectionLocked':
    case 'ProtectionUnlocked':
      return state
    case 'StageChanged':
      return { ...state, stage: event.data.to, stageSince: event.effectiveAt }
    case 'TierUpgraded':
    case 'TierDowngraded':
      return { ...state, tier: event.data.to, proposedTiers: new Set() }
    case 'TierUpgradeProposed':
      return { ...state, proposedTiers: new Set(state.proposedTiers).add(event.data.to) }
    case 'MergeStarted':
    case 'CustomerAbsorbed':
    case 'MergeDeclined':
    case 'CustomerMerged':
    case 'MergeAbandoned':
    case 'MergeUndone':
      return { ...state, ...applyMerge(state, event) }
  }
}

export const customer: Decider<Customer, CustomerEvent> = {
  kind,
  events,
  parse: eventParser(events),
  initialState: nobody,
  evolve: (state, event) => {
    const after = apply(state, event)
    return { ...after, protection: applyProtection(state.protection, event, state.ownership, after.ownership), visibleRevision: isFence(event) ? state.visibleRevision : event.revision }
  },
}

/** The change of owner in force at an instant: the latest by effective time not after it, ties by revision. */
export const ownershipAt = (state: Customer, at: Instant): OwnershipChange | undefined => latestWhere(state.ownership, (change) => change.at <= at)

/** The change of owner in force now: effective times are never in the future. */
export const ownershipNow = (state: Customer): OwnershipChange | undefined => state.ownership?.change

export const ownerOf = (state: Customer): string | null => ownershipNow(state)?.ownerId ?? null

/** Whose department the customer belongs to: the owner's, in the pool the last owner's, else the entrant's. */
export const responsibleFor = (state: Customer): string | null =>
  lastOwned(state.ownership)?.ownerId ?? state.enteredBy
