import { sql, type Kysely, type RawBuilder } from 'kysely'
import { z } from 'zod'
import { shownIdentifier } from '../../domain/customer/identifier.ts'
import { StoredFieldValue } from '../../domain/category/template.ts'
import type { Organisation } from '../../domain/organisation/organisation.ts'
import type { FieldProblem } from '../../domain/rejection.ts'
import { everyone, fieldsOf, nameOf } from '../../domain/customer/group.ts'
import { groupAmong, StoredMerging, stateOf, type Placed } from './groups.ts'
import { askingNothing, missingOf } from '../../domain/customer/incomplete.ts'
import { PREPARED, unseen } from '../kysely.ts'
import { likePattern, searchTerm } from './search.ts'

/**
 * Who asks, as far as it decides what they see. `all`: everything in full. Otherwise in full: what they own, what
 * is shared with them or a department they belong to (`memberOf`), and what belongs to `departments`. Shares are those of `now`.
 */
export type Viewer = { all: true } | { all: false; employeeId: string; memberOf: readonly string[]; departments: readonly string[]; now: string }

export type CustomerSummary = {
  customerId: string
  /** false: masked; only what a colleague outside may know is filled in. */
  full: boolean
  name: string | null
  category: string
  ownerId: string | null
  ownerSince: string
  /** The owner; in the pool who held it last. */
  lastOwnerId: string | null
  departmentId: string | null
  stage: string | null
  tier: string | null
  enteredAt: string | null
  fields: Record<string, StoredFieldValue>
  revision: number
  ordinal: string
}

export type CustomerDetail = CustomerSummary & {
  /** The customers it has absorbed, and those had absorbed before. */
  absorbed: string[]
  /** The customer that stands for it, where it is asked for as it was recorded and is part of another. */
  mergedInto: string | null
  enteredBy: string | null
  changedAt: string | null
  identifiers: { kind: string; issuer?: string; value: string | null }[]
  contacts: { contactId: string; name: string | null; fields: Record<string, StoredFieldValue> }[]
  shares: { with: { kind: string; id: string }; access: string; until: string | null }[]
}

export type Filters = {
  q?: string | undefined
  identity?: string | undefined
  ownerId?: string | undefined
  departmentId?: string | undefined
  category?: string | undefined
  stage?: string | undefined
  tier?: string | undefined
  /** Customers of these categories at these stages are left out. */
  notAt?: readonly { category: string; stage: string }[] | undefined
}

const Fields = z.record(z.string(), StoredFieldValue)
const Row = z.object({
  customer_id: z.string(), ordinal: z.string(), category: z.string(), name: z.string().nullable(), stage: z.string(), tier: z.string(), owner_id: z.string().nullable(), owner_since: z.date(), last_owner_id: z.string().nullable(),
  department_id: z.string().nullable(), entered_by: z.string().nullable(), entered_at: z.date(), changed_at: z.date(), revision: z.number(), fields: Fields, personal_fields: Fields, survivor_id: z.string(), merging: StoredMerging, visible: z.boolean(),
})

const table = (schema: string, name: string) => sql.table(`${schema}.${name}`)

const seesInFull = (schema: string, viewer: Viewer): RawBuilder<boolean> =>
  viewer.all
    ? sql<boolean>`true`
    : sql<boolean>`(
        c.owner_id = ${viewer.employeeId}
        or e.department_id = any(${[...viewer.departments]}::text[])
        or exists (
          select from ${table(schema, 'share')} s
          where s.customer_id = c.customer_id and (s.until is null or s.until > ${viewer.now}::timestamptz) and ((s.with_kind = 'employee' and s.with_id = ${viewer.employeeId}) or (s.with_kind = 'department' and s.with_id = any(${[...viewer.memberOf]}::text[])))
        )) is true`

const columns = (schema: string, viewer: Viewer) => sql`
  c.customer_id, c.ordinal, c.category, c.name, c.stage, c.tier, c.owner_id, c.owner_since, c.last_owner_id, e.department_id, c.entered_by, c.entered_at, c.changed_at, c.revision, c.fields, c.personal_fields, c.survivor_id, c.merging,
  ${seesInFull(schema, viewer)} as visible`

const from = (schema: string) => sql`${table(schema, 'customer')} c left join ${table(schema, 'employee')} e on e.employee_id = c.responsible_id`

/** What a colleague outside may know: that it exists, its category, owner and department, and the start of its name. */
const toSummary = (row: z.infer<typeof Row>, nameCharacters: number): CustomerSummary => {
  const shared = { customerId: row.customer_id, category: row.category, ownerId: row.owner_id, ownerSince: row.owner_since.toISOString(), lastOwnerId: row.last_owner_id, departmentId: row.department_id, revision: row.revision, ordinal: row.ordinal }
  if (!row.visible) return { ...shared, full: false, name: row.name === null ? null : maskName(row.name, nameCharacters), stage: null, tier: null, enteredAt: null, fields: {} }
  return { ...shared, full: true, name: row.name, stage: row.stage, tier: row.tier, enteredAt: row.entered_at.toISOString(), fields: { ...row.fields, ...row.personal_fields } }
}

type FoundRow = z.infer<typeof Row>
const Member = z.object({ customer_id: z.string(), survivor_id: z.string(), name: z.string().nullable(), fields: Fields, personal_fields: Fields, merging: StoredMerging })

/** Rows as what they are with all they have absorbed: name and fields as chosen; whose ids those are, in order. */
const asOneEach = async (db: Kysely<unknown>, schema: string, rows: readonly FoundRow[]): Promise<{ row: FoundRow; absorbed: string[] }[]> => {
  const survivors = rows.filter(({ merging }) => merging !== null && (merging.merges.length > 0 || merging.openMerge !== null)).map((row) => row.customer_id)
  if (survivors.length === 0) return rows.map((row) => ({ row, absorbed: [] }))
  const found = await sql`select customer_id, survivor_id, name, fields, personal_fields, merging from ${table(schema, 'customer')}
    where absorbed_into is not null and survivor_id in (select survivor_id from ${table(schema, 'customer')} where customer_id = any(${survivors}::text[]))`.execute(db)
  const known = new Map<string, Placed>(z.array(Member).parse(found.rows).map((row) => [row.customer_id, { customerId: row.customer_id, state: stateOf(row) }]))
  return rows.map((row) => {
    if (!survivors.includes(row.customer_id)) return { row, absorbed: [] }
    const group = groupAmong({ customerId: row.customer_id, state: stateOf(row) }, known)
    const fields = Object.fromEntries([...fieldsOf(group)].map(([key, { value }]) => [key, value]))
    return { row: { ...row, name: nameOf(group)?.value ?? null, fields, personal_fields: {} }, absorbed: everyone(group).slice(1).map((member) => member.customerId) }
  })
}

/** The first characters, as a reader counts them, and always the same number of stars: a length tells something, too. */
export const maskName = (name: string, characters: number): string =>
  [...new Intl.Segmenter('zh', { granularity: 'grapheme' }).segment(name)].slice(0, characters).map((part) => part.segment).join('') + '**'

/**
 * One customer as this viewer sees it; undefined when there is none. An absorbed one is answered by the customer that
 * stands for it, unless it is asked for `asRecorded`: then by its own record alone.
 */
export const customerById = async (
  db: Kysely<unknown>, schema: string, asked: string, viewer: Viewer, nameCharacters: number, options: { asRecorded?: boolean } = {},
): Promise<CustomerDetail | undefined> => {
  const customers = table(schema, 'customer')
  const { rows } = await sql`${PREPARED} select ${columns(schema, viewer)} from ${from(schema)} where c.customer_id = ${options.asRecorded ? asked : sql`(select survivor_id from ${customers} where customer_id = ${asked})`}`.execute(db)
  const [found] = z.array(Row).parse(rows)
  if (found === undefined) return undefined
  const [one] = options.asRecorded ? [{ row: found, absorbed: [] }] : await asOneEach(db, schema, [found])
  if (!one) return undefined
  const { row, absorbed } = one
  const customerId = row.customer_id
  const summary = { ...toSummary(row, nameCharacters), absorbed, mergedInto: row.survivor_id === customerId ? null : row.survivor_id }
  if (!row.visible) return { ...summary, absorbed: [], enteredBy: null, changedAt: null, identifiers: [], contacts: [], shares: [] }
  const ids = [customerId, ...absorbed]
  const { identifiers, contacts, shares } = await besideCustomer(db, schema, customerId, ids, viewer)
  return {
    ...summary, enteredBy: row.entered_by, changedAt: row.changed_at.toISOString(), identifiers: identifiers.map(shownIdentifier),
    contacts: contacts.map((contact) => ({ contactId: contact.contact_id, name: contact.name, fields: { ...contact.fields, ...contact.personal_fields } })),
    shares: shares.map((share) => ({ with: { kind: share.with_kind, id: share.with_id }, access: share.access, until: share.until?.toISOString() ?? null })),
  }
}

const Beside = z.object({
  identifiers: z.array(z.object({ kind: z.string(), value: z.string().nullable() })),
  contacts: z.array(z.object({ contact_id: z.string(), name: z.string().nullable(), fields: Fields, personal_fields: Fields })),
  shares: z.array(z.object({ with_kind: z.string(), with_id: z.string(), access: z.string(), until: z.string().transform((time) => new Date(time)).nullable() })),
})

/** What stands beside a customer's row: identifiers and contacts of all that it is made of, and with whom it is shared. In one trip. */
const besideCustomer = async (db: Kysely<unknown>, schema: string, customerId: string, ids: readonly string[], viewer: Viewer): Promise<z.infer<typeof Beside>> => {
  const listOf = (rows: RawBuilder<unknown>) => sql`(select coalesce(json_agg(one), '[]') from (${rows}) as one)`
  const all = sql`any(${unseen(ids, 'text')})`
  const { rows: [found] } = await sql`${PREPARED} select
    ${listOf(sql`select kind, value from ${table(schema, 'identifier')} where customer_id = ${all} order by kind, identity`)} as identifiers,
    ${listOf(sql`select contact_id, name, fields, personal_fields from ${table(schema, 'contact')} where customer_id = ${all} order by array_position(${unseen(ids, 'text')}, customer_id), place`)} as contacts,
    ${listOf(sql`select with_kind, with_id, access, until from ${table(schema, 'share')} where customer_id = ${customerId} and ${viewer.all ? sql`true` : sql`(until is null or until > ${viewer.now}::timestamptz)`} order by with_kind, with_id`)} as shares`.execute(db)
  return Beside.parse(found)
}

/** Who stands for each of these customers, as this viewer sees it, with the ids of all that is part of it; by the id asked for. */
export const customerSummaries = async (db: Kysely<unknown>, schema: string, asked: readonly string[], viewer: Viewer, nameCharacters: number): Promise<Map<string, CustomerSummary & { absorbed: string[] }>> => {
  const standing = await sql<{ customer_id: string; survivor_id: string }>`select customer_id, survivor_id from ${table(schema, 'customer')} where customer_id = any(${[...asked]}::text[])`.execute(db)
  const { rows } = await sql`select ${columns(schema, viewer)} from ${from(schema)} where c.customer_id = any(${standing.rows.map((row) => row.survivor_id)}::text[])`.execute(db)
  const found = new Map((await asOneEach(db, schema, z.array(Row).parse(rows))).map(({ row, absorbed }) => [row.customer_id, { ...toSummary(row, nameCharacters), absorbed }]))
  return new Map(standing.rows.flatMap((row) => {
    const one = found.get(row.survivor_id)
    return one ? [[row.customer_id, one] as const] : []
  }))
}

/**
 * Customers, newest entry first, after `before` (the ordinal a page ended with). By `identity` those one may not see
 * are found as well, masked; any other search shows only what the viewer sees in full, since fragments would unmask.
 */
export const findCustomers = async (
  db: Kysely<unknown>, schema: string, filters: Filters, viewer: Viewer, page: { limit: number; before?: string | undefined; nameCharacters: number },
): Promise<CustomerSummary[]> => {
  const where: RawBuilder<unknown>[] = [sql`c.absorbed_into is null`]
  if (filters.identity !== undefined) where.push(sql`c.customer_id in (select h.survivor_id from ${table(schema, 'identifier')} i join ${table(schema, 'customer')} h on h.customer_id = i.customer_id where i.identity = ${filters.identity})`)
  else where.push(seesInFull(schema, viewer))
  // A search or filter on what is masked would tell it.
  if (filters.q !== undefined) where.push(sql`c.search like ${likePattern(searchTerm(filters.q))} and ${seesInFull(schema, viewer)}`)
  if (filters.ownerId !== undefined) where.push(filters.ownerId === '' ? sql`c.owner_id is null` : sql`c.owner_id = ${filters.ownerId}`)
  if (filters.departmentId !== undefined) where.push(sql`e.department_id = ${filters.departmentId}`)
  if (filters.category !== undefined) where.push(sql`c.category = ${filters.category}`)
  if (filters.stage !== undefined) where.push(sql`c.stage = ${filters.stage} and ${seesInFull(schema, viewer)}`)
  if (filters.tier !== undefined) where.push(sql`c.tier = ${filters.tier} and ${seesInFull(schema, viewer)}`)
  if (filters.notAt !== undefined) where.push(sql`(c.category, c.stage) not in (select * from unnest(${filters.notAt.map((one) => one.category)}::text[], ${filters.notAt.map((one) => one.stage)}::text[]))`)
  if (page.before !== undefined) where.push(sql`c.ordinal < ${page.before}`)
  const { rows } = await sql`select ${columns(schema, viewer)} from ${from(schema)} where ${sql.join(where, sql` and `)} order by c.ordinal desc limit ${page.limit}`.execute(db)
  return (await asOneEach(db, schema, z.array(Row).parse(rows))).map(({ row }) => toSummary(row, page.nameCharacters))
}

export type IncompleteCustomer = CustomerSummary & { missing: FieldProblem[] }

const CANDIDATES = 250
const MOST_CANDIDATES = 2500

/**
 * Customers whose record lacks what the template in force requires at their stage, of those the viewer sees in full:
 * newest entry first, worked out for one batch of candidates after the other. A page may have fewer than it could
 * hold, even none, when many were looked at in vain: `next` says where to go on, and is absent at the end.
 */
export const findIncomplete = async (
  db: Kysely<unknown>, schema: string, filters: Filters, viewer: Viewer, page: { limit: number; before?: string | undefined; nameCharacters: number }, organisation: Organisation,
): Promise<{ items: IncompleteCustomer[]; next: string | undefined }> => {
  const notAt = askingNothing(organisation)
  const items: IncompleteCustomer[] = []
  let { before } = page
  for (let seen = 0; seen < MOST_CANDIDATES; seen += CANDIDATES) {
    const candidates = await findCustomers(db, schema, { ...filters, notAt }, viewer, { ...page, before, limit: CANDIDATES })
    const contacts = await contactsOf(db, schema, candidates.map((candidate) => candidate.customerId))
    for (const candidate of candidates) {
      // By an identifier those are found as well who are masked: what they lack is not told.
      if (!candidate.full || candidate.stage === null) continue
      const missing = missingOf({ ...candidate, stage: candidate.stage, contacts: contacts.get(candidate.customerId) ?? [] }, organisation)
      if (missing.length === 0) continue
      if (items.length === page.limit) return { items, next: items.at(-1)?.ordinal }
      items.push({ ...candidate, missing })
    }
    before = candidates.at(-1)?.ordinal
    if (candidates.length < CANDIDATES) return { items, next: undefined }
  }
  return { items, next: before }
}

const Contact = z.object({ customer_id: z.string(), contact_id: z.string(), name: z.string().nullable(), fields: Fields, personal_fields: Fields })

/** The contacts of these customers, in the order they were added. */
const contactsOf = async (db: Kysely<unknown>, schema: string, customerIds: readonly string[]) => {
  const ids = [...customerIds]
  const { rows } = await sql`
    select h.survivor_id as customer_id, k.contact_id, k.name, k.fields, k.personal_fields
    from ${table(schema, 'customer')} h join ${table(schema, 'contact')} k on k.customer_id = h.customer_id
    where h.customer_id = any(${ids}::text[]) or (h.absorbed_into is not null and h.survivor_id = any(${ids}::text[])) order by 1, h.ordinal, k.place`.execute(db)
  const contacts = z.array(Contact).parse(rows).map((row) => ({ customerId: row.customer_id, contactId: row.contact_id, name: row.name, fields: { ...row.fields, ...row.personal_fields } }))
  return Map.groupBy(contacts, (contact) => contact.customerId)
}

/** Shares whose time is over by `now` and whose end is not on record, the earliest first, and when the next ends. Those of absorbed customers rest. */
export const endedShares = async (db: Kysely<unknown>, schema: string, now: string, limit: number): Promise<{ due: { customerId: string; with: { kind: string; id: string }; until: string }[]; next: string | null }> => {
  const shares = sql`${table(schema, 'share')} s join ${table(schema, 'customer')} c on c.customer_id = s.customer_id and c.absorbed_into is null`
  const { rows } = await sql<{ customer_id: string; with_kind: string; with_id: string; until: Date }>`
    select s.customer_id, s.with_kind, s.with_id, s.until from ${shares} where s.until <= ${now}::timestamptz order by s.until, s.customer_id, s.with_kind, s.with_id limit ${limit}`.execute(db)
  const next = await sql<{ until: Date }>`select until from ${table(schema, 'share')} where until > ${now}::timestamptz order by until limit 1`.execute(db)
  return { due: rows.map((row) => ({ customerId: row.customer_id, with: { kind: row.with_kind, id: row.with_id }, until: row.until.toISOString() })), next: next.rows[0]?.until.toISOString() ?? null }
}

export const listEmployees = async (db: Kysely<unknown>, schema: string) => {
  const { rows } = await sql<{ employee_id: string; name: string | null; department_id: string; departed: boolean; revision: number }>`
    select employee_id, name, department_id, departed, revision from ${table(schema, 'employee')} order by employee_id`.execute(db)
  return rows.map((row) => ({ employeeId: row.employee_id, name: row.name, departmentId: row.department_id, departed: row.departed, revision: row.revision }))
}

export const listDepartments = async (db: Kysely<unknown>, schema: string) => {
  const { rows } = await sql<{ department_id: string; name: string; parent_id: string | null; revision: number }>`
    select department_id, name, parent_id, revision from ${table(schema, 'department')} order by department_id`.execute(db)
  return rows.map((row) => ({ departmentId: row.department_id, name: row.name, parentId: row.parent_id, revision: row.revision }))
}
