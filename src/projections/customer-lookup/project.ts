import { sql, type Transaction } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import { z } from 'zod'
import { customer as customerDecider, type Customer, type FieldValues } from '../../domain/customer/customer.ts'
import type { Group } from '../../domain/customer/group.ts'
import { IdentifierKind } from '../../domain/customer/identifier.ts'
import { StoredFieldValue } from '../../domain/category/template.ts'
import { reveal } from '../../domain/decider.ts'
import { PREPARED } from '../kysely.ts'
import { StoredChanges } from '../owner-changes.ts'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { deleteRows, insertRows, tableNamed } from '../rows.ts'
import { groupAmong, StoredMerging, toMerging } from './groups.ts'
import { emptyRecord, evolveRecord, toRows, type CustomerRecord } from './record.ts'
import { tables, type LookupTables } from './tables.ts'

// What the tables hold was written by this projection; it is read back like anything else from outside.
const Fields = z.record(z.string(), StoredFieldValue)
const Access = z.enum(['read', 'work'])
const SharedWithKind = z.enum(['employee', 'department'])
const CustomerRow = z.object({
  customer_id: z.string(), ordinal: z.string(), category: z.string(), name: z.string().nullable(), stage: z.string(), tier: z.string(), entered_by: z.string().nullable(),
  entered_at: z.date(), changed_at: z.date(), revision: z.number(), fields: Fields, personal_fields: Fields, ownership: StoredChanges,
  survivor_id: z.string(), merging: StoredMerging,
})
const IdentifierRow = z.object({ identity: z.string(), kind: IdentifierKind, value: z.string().nullable() })
const ContactRow = z.object({ contact_id: z.string(), name: z.string().nullable(), fields: Fields, personal_fields: Fields })
const ShareRow = z.object({ with_kind: SharedWithKind, with_id: z.string(), access: Access, until: z.string().transform((time) => new Date(time)).nullable() })
const RecordRow = CustomerRow.extend({ identifiers: z.array(IdentifierRow), contacts: z.array(ContactRow), shares: z.array(ShareRow) })

type Connection = ReturnType<typeof connect>
export const connect = (trx: Transaction<unknown>, schema: string) => trx.withSchema(schema).withTables<LookupTables>()

const merged = (row: { fields: FieldValues; personal_fields: FieldValues }): FieldValues => ({ ...row.fields, ...row.personal_fields })

/** The records of these customers as the tables have them. */
export const load = async (db: Connection, ids: string[]): Promise<Map<string, CustomerRecord>> => {
  const records = new Map<string, CustomerRecord>()
  if (ids.length === 0) return records
  const rows = await db.selectFrom('customer as c').modifyFront(PREPARED).selectAll('c')
    .select((of) => [
      jsonArrayFrom(of.selectFrom('identifier as i').select(['i.identity', 'i.kind', 'i.value']).whereRef('i.customer_id', '=', 'c.customer_id')).as('identifiers'),
      jsonArrayFrom(of.selectFrom('contact as k').select(['k.contact_id', 'k.name', 'k.fields', 'k.personal_fields']).whereRef('k.customer_id', '=', 'c.customer_id').orderBy('k.place')).as('contacts'),
      jsonArrayFrom(of.selectFrom('share as s').select(['s.with_kind', 's.with_id', 's.access', 's.until']).whereRef('s.customer_id', '=', 'c.customer_id')).as('shares'),
    ])
    .where('c.customer_id', '=', sql<string>`any(${ids})`).execute()
  for (const row of z.array(RecordRow).parse(rows)) {
    const state: Customer = {
      ...customerDecider.initialState, ...toMerging(row.merging), status: 'entered', visibleRevision: row.revision, category: row.category, name: row.name ?? undefined, fields: merged(row),
      contacts: new Map(row.contacts.map((contact) => [contact.contact_id, { name: contact.name ?? undefined, fields: merged(contact) }])),
      identifiers: new Map(row.identifiers.map((one) => [one.identity, { kind: one.kind, value: one.value ?? undefined }])),
      enteredBy: row.entered_by, ownership: row.ownership,
      shares: row.shares.map((share) => ({ with: { kind: share.with_kind, id: share.with_id }, access: share.access, until: share.until?.toISOString() ?? null })), stage: row.stage, tier: row.tier,
    }
    records.set(row.customer_id, {
      customerId: row.customer_id, state, ordinal: BigInt(row.ordinal), survivorId: row.survivor_id, enteredAt: row.entered_at.toISOString(), changedAt: row.changed_at.toISOString(),
      personalKeys: new Set(Object.keys(row.personal_fields)),
      personalContactKeys: new Map(row.contacts.map((contact) => [contact.contact_id, new Set(Object.keys(contact.personal_fields))])),
    })
  }
  return records
}

const customerTable = tableNamed(tables, 'customer')
const identifierTable = tableNamed(tables, 'identifier')
const contactTable = tableNamed(tables, 'contact')
const shareTable = tableNamed(tables, 'share')
const changing = ['category', 'name', 'stage', 'tier', 'owner_id', 'owner_since', 'last_owner_id', 'responsible_id', 'changed_at', 'revision', 'fields', 'personal_fields', 'ownership', 'search', 'absorbed_into', 'survivor_id', 'merging']

/**
 * Where merges lead after these changes: everybody of the groups that were touched, each with who stands for it. Most
 * batches touch none, and nothing more is read for them.
 */
const regroup = async (db: Connection, before: Map<string, CustomerRecord>, records: Map<string, CustomerRecord>, changed: Set<string>): Promise<void> => {
  const touched = [...changed].flatMap((id) => records.get(id) ?? []).filter(({ customerId, survivorId, state }) => survivorId !== customerId || state.absorption !== null || state.openMerge !== null || state.merges.size > 0 || state.choices.length > 0)
  if (touched.length === 0) return
  const near = touched.flatMap(({ customerId, state }) => [customerId, ...(state.absorption ? [state.absorption.into] : [])])
  const roots = [...new Set([...touched.map(({ survivorId }) => survivorId), ...(await db.selectFrom('customer').select('survivor_id').where('customer_id', 'in', near).execute()).map((row) => row.survivor_id)])]
  const others = (await db.selectFrom('customer').select('customer_id').where((eb) => eb.or([eb('customer_id', 'in', roots), eb.and([eb('absorbed_into', 'is not', null), eb('survivor_id', 'in', roots)])])).execute()).map((row) => row.customer_id)
  for (const [id, record] of await load(db, others.filter((id) => !records.has(id)))) {
    before.set(id, record)
    records.set(id, record)
  }
  const rootOf = (id: string): string => {
    const into = records.get(id)?.state.absorption?.into
    return into === undefined ? id : rootOf(into)
  }
  for (const id of new Set([...others, ...near])) {
    const record = records.get(id)
    if (!record) continue
    records.set(id, { ...record, survivorId: rootOf(id) })
    changed.add(id)
  }
}

type Change = { before: CustomerRecord | undefined; after: CustomerRecord; group: Group }

const save = async (trx: Transaction<unknown>, schema: string, changes: readonly Change[]): Promise<void> => {
  const rows = changes.map((change) => ({ ...change, ...toRows(change.after, change.group) }))
  await insertRows(trx, schema, customerTable, rows.map((row) => row.customer), { key: ['customer_id'], update: changing })
  // Rows beside it are written anew only where they have changed: state that has not is the same object.
  const anew = (part: 'identifiers' | 'contacts' | 'shares') => {
    const changed = rows.filter(({ before, after }) => before?.state[part] !== after.state[part])
    return { before: changed.flatMap(({ before, after }) => (before ? [after.customerId] : [])), rows: changed.flatMap((row): object[] => row[part]) }
  }
  for (const [table, part] of [[identifierTable, anew('identifiers')], [contactTable, anew('contacts')], [shareTable, anew('shares')]] as const) {
    await deleteRows(trx, schema, table, 'customer_id', part.before)
    await insertRows(trx, schema, table, part.rows)
  }
}

export const projectOrganisation = async (db: Connection, one: ProjectedEvent): Promise<void> => {
  if (one.kind === 'department') {
    const { event, id } = one
    if (event.type === 'DepartmentRegistered') await db.insertInto('department').values({ department_id: id, name: event.data.name, parent_id: event.data.parentId, revision: event.revision }).execute()
    else await db.updateTable('department').set({ parent_id: event.data.to, revision: event.revision }).where('department_id', '=', id).execute()
  } else if (one.kind === 'employee') {
    const { event, id } = one
    const update = (change: Partial<LookupTables['employee']>) => db.updateTable('employee').set({ ...change, revision: event.revision }).where('employee_id', '=', id).execute()
    switch (event.type) {
      case 'EmployeeRegistered':
        await db.insertInto('employee').values({ employee_id: id, name: reveal(event.data.name) ?? null, department_id: event.data.departmentId, departed: false, revision: event.revision }).execute()
        break
      case 'EmployeeMoved':
        await update({ department_id: event.data.to })
        break
      case 'AuthorityLimitChanged':
        await update({})
        break
      case 'EmployeeDeparted':
        await update({ departed: true })
        break
    }
  }
}

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const db = connect(trx, schema)
  const before = await load(db, [...new Set(events.flatMap((one) => (one.kind === 'customer' ? [one.id] : [])))])
  const records = new Map(before)
  const changed = new Set<string>()
  for (const one of events) {
    if (one.kind === 'customer') {
      records.set(one.id, evolveRecord(records.get(one.id) ?? emptyRecord(one.id), one.event, one.ordinal))
      changed.add(one.id)
    } else await projectOrganisation(db, one)
  }
  await regroup(db, before, records, changed)
  // A customer that has only been fenced, and never entered, is not there.
  await save(trx, schema, [...changed].flatMap((id) => {
    const after = records.get(id)
    return after?.state.status === 'entered' ? [{ before: before.get(id), after, group: groupAmong(after, records) }] : []
  }))
}

export const customerLookup: Projection = { model: 'customer-lookup', version: 3, kinds: ['customer', 'employee', 'department'], tables, project }
