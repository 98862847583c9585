import type { Recorded } from '../../domain/decider.ts'
import { customer, ownershipNow, responsibleFor, type Customer, type FieldValues } from '../../domain/customer/customer.ts'
import type { CustomerEvent, StoredFields } from '../../domain/customer/events.ts'
import { everyone, type Group } from '../../domain/customer/group.ts'
import { storedChanges } from '../owner-changes.ts'
import { latestWhere } from '../../domain/customer/ownership-changes.ts'
import { fromMerging } from './groups.ts'
import { searchText } from './search.ts'
import type { LookupTables } from './tables.ts'

/** One customer while events are folded into it: the domain's own state, and what only readers need. */
export type CustomerRecord = {
  customerId: string
  state: Customer
  ordinal: bigint
  /** Who stands for it: itself, or where its merges lead. */
  survivorId: string
  enteredAt: string
  changedAt: string
  /** Keys of fields, and by contact, whose values were sealed: those are the personal ones. */
  personalKeys: ReadonlySet<string>
  personalContactKeys: ReadonlyMap<string, ReadonlySet<string>>
}

export const emptyRecord = (customerId: string): CustomerRecord => ({
  customerId, state: customer.initialState, ordinal: 0n, survivorId: customerId, enteredAt: '', changedAt: '', personalKeys: new Set(), personalContactKeys: new Map(),
})

const isSealedValue = (value: StoredFields[string]): boolean => value !== null && typeof value === 'object' && !Array.isArray(value) && !('amount' in value)

const withPersonal = (before: ReadonlySet<string>, change: StoredFields): Set<string> => {
  const after = new Set(before)
  for (const [key, value] of Object.entries(change)) {
    if (isSealedValue(value)) after.add(key)
    else after.delete(key)
  }
  return after
}

const personalAfter = (record: CustomerRecord, event: Recorded<CustomerEvent>): Pick<CustomerRecord, 'personalKeys' | 'personalContactKeys'> => {
  const { personalKeys, personalContactKeys } = record
  const ofContact = (contactId: string, fields: StoredFields) => new Map(personalContactKeys).set(contactId, withPersonal(personalContactKeys.get(contactId) ?? new Set(), fields))
  switch (event.type) {
    case 'CustomerCreated':
      return {
        personalKeys: withPersonal(new Set(), event.data.fields),
        personalContactKeys: new Map(event.data.contacts.map((contact) => [contact.contactId, withPersonal(new Set(), contact.fields)])),
      }
    case 'ProfileChanged':
    case 'CustomerRecategorised':
      return { personalKeys: withPersonal(personalKeys, event.data.fields), personalContactKeys }
    case 'ContactAdded':
    case 'ContactChanged':
      return { personalKeys, personalContactKeys: ofContact(event.data.contactId, event.data.fields) }
    default:
      return { personalKeys, personalContactKeys }
  }
}

export const evolveRecord = (record: CustomerRecord, event: Recorded<CustomerEvent>, ordinal: bigint): CustomerRecord => ({
  ...record,
  ...personalAfter(record, event),
  state: customer.evolve(record.state, event),
  changedAt: event.recordedAt,
  ...(event.type === 'CustomerCreated' ? { ordinal, enteredAt: event.data.enteredAt ?? event.effectiveAt } : {}),
})

const split = (fields: FieldValues, personal: ReadonlySet<string>): { fields: string; personal_fields: string } => {
  const entries = Object.entries(fields)
  return {
    fields: JSON.stringify(Object.fromEntries(entries.filter(([key]) => !personal.has(key)))),
    personal_fields: JSON.stringify(Object.fromEntries(entries.filter(([key]) => personal.has(key)))),
  }
}

const phoneKeys = ['mobile', 'officePhone', 'companyPhone', 'phone']
const phonesOf = (fields: FieldValues): string[] => phoneKeys.flatMap((key) => {
  const value = fields[key]
  return typeof value === 'string' ? [value] : []
})

export type CustomerRows = {
  customer: LookupTables['customer']
  identifiers: LookupTables['identifier'][]
  contacts: LookupTables['contact'][]
  shares: LookupTables['share'][]
}

/** The rows a record is kept in. A survivor is found by what all of its group are called. */
export const toRows = (record: CustomerRecord, group: Group): CustomerRows => {
  const { customerId, state } = record
  const owner = ownershipNow(state)
  const identifiers = [...state.identifiers]
  const contacts = [...state.contacts]
  const merging = fromMerging(state)
  const all = everyone(group).map((one) => one.state)
  const names = all.flatMap((one) => [one.name, ...[...one.contacts.values()].map((contact) => contact.name)]).filter((name) => name !== undefined)
  const numbers = all.flatMap((one) => [
    ...[...one.identifiers.values()].flatMap(({ kind, value }) => (value !== undefined && kind === 'mobile' ? [value] : [])),
    ...phonesOf(one.fields),
    ...[...one.contacts.values()].flatMap((contact) => phonesOf(contact.fields)),
  ])
  return {
    customer: {
      customer_id: customerId, ordinal: String(record.ordinal), category: state.category, name: state.name ?? null, stage: state.stage, tier: state.tier,
      owner_id: owner?.ownerId ?? null, owner_since: owner?.at ?? record.enteredAt, last_owner_id: latestWhere(state.ownership, (change) => change.ownerId !== null)?.ownerId ?? null, responsible_id: responsibleFor(state), entered_by: state.enteredBy,
      entered_at: record.enteredAt, changed_at: record.changedAt, revision: state.visibleRevision, ...split(state.fields, record.personalKeys),
      ownership: storedChanges(state.ownership), search: searchText(names, numbers),
      absorbed_into: state.absorption?.into ?? null, survivor_id: record.survivorId, merging: merging && JSON.stringify(merging),
    },
    identifiers: identifiers.map(([identity, one]) => ({ identity, customer_id: customerId, kind: one.kind, value: one.value ?? null })),
    contacts: contacts.map(([contactId, contact], place) => ({ contact_id: contactId, customer_id: customerId, place, name: contact.name ?? null, ...split(contact.fields, record.personalContactKeys.get(contactId) ?? new Set()) })),
    shares: state.shares.map((share) => ({ customer_id: customerId, with_kind: share.with.kind, with_id: share.with.id, access: share.access, until: share.until })),
  }
}

