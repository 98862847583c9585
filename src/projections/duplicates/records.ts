import { sql, type Transaction } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import { blockingKeys } from '../../domain/matching/blocking.ts'
import { featuresOf } from '../../domain/matching/features.ts'
import { matchProfile, type MatchProfile } from '../../domain/matching/profile.ts'
import { emptyOrganisation, templateOf, type CategoryInForce, type TemplateInForce } from '../../domain/organisation/organisation.ts'
import { sameValue } from '../../domain/values.ts'
import { PREPARED } from '../kysely.ts'
import { makeArrayWriter } from '../../event-store/binary.ts'
import type { ProjectedEvent } from '../projection.ts'
import { evolveProfile } from './profile.ts'
import { tableNamed, updateRows } from '../rows.ts'
import { tables, type DuplicatesTables } from './tables.ts'

const matchRecordTable = tableNamed(tables, 'match_record')

type MatchRecord = Pick<DuplicatesTables['match_record'], 'record' | 'customer_id' | 'category' | 'profile'>
type Categories = ReadonlyMap<string, CategoryInForce>
type Connection = ReturnType<typeof connect>
const connect = (trx: Transaction<unknown>, schema: string) => trx.withSchema(schema).withTables<DuplicatesTables>()

/**
 * What is compared follows from what a customer's events and the categories say now, not from what a template said
 * when the customer was entered: a field that is given a meaning has it for everybody. So a row depends on nothing but
 * where in the log the model stands, whatever the batches were.
 */
export const projectRecords = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const db = connect(trx, schema)
  const { categories: before, records } = await load(db, events)
  const categories = evolveCategories(before, events)
  const stood = new Map(records)
  const changed = new Set<string>()
  for (const one of events) {
    if (one.kind !== 'customer') continue
    const { event, id } = one
    const known = event.type === 'CustomerCreated' ? { record: String(one.ordinal), customer_id: id, category: event.data.category, profile: { fields: {}, identifiers: {} } } : records.get(id)
    const profile = known && evolveProfile(known.profile, event)
    // Most events say nothing of the profile: a new owner, another stage.
    if (!known || !profile || profile === known.profile) continue
    records.set(id, { ...known, profile, category: event.type === 'CustomerRecategorised' ? event.data.to : known.category })
    changed.add(id)
  }
  const templates = templatesOf(categories)
  await saveCategories(db, before, categories)
  // Of most changes to a profile the matcher takes nothing: a note, a source.
  const isTold = (after: MatchRecord): boolean => {
    const before = stood.get(after.customer_id)
    return before?.record !== after.record || before.category !== after.category || !sameValue(profileIn(before, templates), profileIn(after, templates))
  }
  const { told = [], noted = [] } = Object.groupBy([...changed].flatMap((id) => records.get(id) ?? []), (after) => (isTold(after) ? 'told' : 'noted'))
  await updateRows(trx, schema, matchRecordTable, noted.map(({ record, profile }) => ({ record, profile: JSON.stringify(profile) })), { key: ['record'], where: 'true' })
  await write(trx, schema, told, templates)
  await writeAbsorptions(db, events)
  if (categories !== before) await matchAnew(trx, schema, changedMeanings(before, categories), templates)
}

/** Whose record it is now: what is like an absorbed customer is like the one that stands for it. */
const writeAbsorptions = async (db: Connection, events: readonly ProjectedEvent[]): Promise<void> => {
  const into = new Map<string, string | null>()
  for (const one of events) {
    if (one.kind !== 'customer') continue
    if (one.event.type === 'CustomerAbsorbed') into.set(one.id, one.event.data.into)
    if (one.event.type === 'MergeReversed') into.set(one.id, null)
  }
  for (const [customerId, survivorId] of into) await db.updateTable('match_record').set({ absorbed_into: survivorId }).where('customer_id', '=', customerId).execute()
}

const evolveCategories = (before: Categories, events: readonly ProjectedEvent[]): Categories => {
  const revised = events.flatMap((one) => {
    if (one.kind !== 'category') return []
    const { parentId, labels, criterion, kind, template, version } = one.event.data
    return [[one.id, { categoryId: one.id, version, definition: { parentId, labels, criterion, kind, template } }] as const]
  })
  return revised.length === 0 ? before : new Map([...before, ...revised])
}

const saveCategories = async (db: Connection, before: Categories, after: Categories): Promise<void> => {
  for (const [id, { version, definition }] of after) {
    if (before.get(id)?.version === version) continue
    const row = { category_id: id, version, definition: sql<DuplicatesTables['category']['definition']>`${JSON.stringify(definition)}::jsonb` }
    await db.insertInto('category').values(row).onConflict((conflict) => conflict.column('category_id').doUpdateSet({ version, definition: row.definition })).execute()
  }
}

type Templates = (category: string) => TemplateInForce | undefined
const templatesOf = (categories: Categories): Templates => {
  const known = new Map<string, TemplateInForce | undefined>()
  return (category) => {
    if (!known.has(category)) known.set(category, templateOf({ ...emptyOrganisation, categories }, category))
    return known.get(category)
  }
}

/** The categories whose kind or fields mean something else to the matcher than before. */
const changedMeanings = (before: Categories, after: Categories): string[] => {
  const [old, now] = [before, after].map((categories) => {
    const templates = templatesOf(categories)
    return (category: string) => {
      const inForce = templates(category)
      return inForce && { kind: inForce.kind, fields: inForce.template.fields.map(({ key, type, matchAs }) => ({ key, type, matchAs })) }
    }
  })
  return [...after.keys()].filter((category) => !sameValue(old?.(category), now?.(category)))
}

/**
 * The records of the customers these events are of, and the categories that tell what they mean: their own, those they
 * come into, and whatever these are part of. All, where one of them changes. In one trip.
 */
const load = async (db: Connection, events: readonly ProjectedEvent[]): Promise<{ categories: Categories; records: Map<string, MatchRecord> }> => {
  const ids = [...new Set(events.flatMap((one) => (one.kind === 'customer' ? [one.id] : [])))]
  const comeInto = [...new Set(events.flatMap(({ event }) => (event.type === 'CustomerCreated' ? event.data.category : event.type === 'CustomerRecategorised' ? event.data.to : [])))]
  const isAmong = sql<boolean>`customer_id = any(${ids}::text[])`
  const { categories, records } = await db.withRecursive('meant(category_id)', (of) => of
    .selectFrom('category').select('category_id').where((one) => one.or([
      sql<boolean>`${events.some(({ kind }) => kind === 'category')}::boolean`,
      sql<boolean>`category_id = any(${comeInto}::text[])`,
      one('category_id', 'in', one.selectFrom('match_record').select('category').where(isAmong)),
    ]))
    .union(of.selectFrom('meant').innerJoin('category as part', 'part.category_id', 'meant.category_id').select(sql<string>`part.definition ->> 'parentId'`.as('category_id'))),
  ).selectNoFrom((of) => [
    jsonArrayFrom(of.selectFrom('category').selectAll().where('category_id', 'in', of.selectFrom('meant').select('category_id'))).as('categories'),
    jsonArrayFrom(of.selectFrom('match_record').select([sql<string>`record::text`.as('record'), 'customer_id', 'category', 'profile']).where(isAmong)).as('records'),
  ]).modifyFront(PREPARED).executeTakeFirstOrThrow()
  return {
    categories: new Map(categories.map(({ category_id: categoryId, version, definition }) => [categoryId, { categoryId, version, definition }])),
    records: new Map(records.map((row) => [row.customer_id, row])),
  }
}

const MATCHED_AT_ONCE = 1000

/** A field that means something else from now on does so for everybody in these categories. */
const matchAnew = async (trx: Transaction<unknown>, schema: string, categories: readonly string[], templates: Templates): Promise<void> => {
  if (categories.length === 0) return
  const db = connect(trx, schema)
  for (let after = '-1'; ; ) {
    const rows = await db.selectFrom('match_record').select(['record', 'customer_id', 'category', 'profile'])
      .where('record', '>', after).where(sql<boolean>`category = any(${[...categories]}::text[])`).orderBy('record').limit(MATCHED_AT_ONCE).execute()
    await write(trx, schema, rows, templates)
    const last = rows.at(-1)
    if (!last || rows.length < MATCHED_AT_ONCE) return
    after = last.record
  }
}

/** Separates keys on their way to Postgres: no value that was accepted holds it. */
const BETWEEN_KEYS = '\u001f'

const write = async (trx: Transaction<unknown>, schema: string, records: readonly MatchRecord[], templates: Templates): Promise<void> => {
  if (records.length === 0) return
  const rows = records.map((record) => {
    const features = featuresOf(profileIn(record, templates))
    return { ...record, features, keys: blockingKeys(features) }
  })
  const [matchRecord, matchKey] = ['match_record', 'match_key'].map((table) => sql.table(`${schema}.${table}`))
  const { bigints, texts } = makeArrayWriter()
  const given = [rows.map((row) => row.customer_id), rows.map((row) => row.category), rows.map((row) => JSON.stringify(row.profile)), rows.map((row) => JSON.stringify(row.features)), rows.map((row) => row.keys.join(BETWEEN_KEYS))]
  // Of keys only those that come or go are written: most changes of a profile leave what tells who it is. Those that
  // go are found by both, key and record: by either alone all who have it would be read.
  await sql`${PREPARED}
    with given as materialized (
      select record, customer_id, category, profile::jsonb as profile, features::jsonb as features,
        array(select distinct hashtextextended(key, 0) from unnest(string_to_array(keys, ${BETWEEN_KEYS})) as key order by 1) as keys
      from unnest(${bigints(rows.map((row) => row.record))}::bigint[], ${sql.join(given.map((values) => sql`${texts(values)}::text[]`))}) as row (record, customer_id, category, profile, features, keys)
    ), old as materialized (
      select key, g.record from given g, lateral (select unnest(r.keys) as key from ${matchRecord} r where r.record = g.record) as had where key <> all(g.keys)
    ), gone as (
      delete from ${matchKey} k using old where k.key = old.key and k.record = old.record
    ), come as (
      insert into ${matchKey} (key, record)
      select key, g.record from given g, unnest(g.keys) as key
      where key <> all(coalesce((select r.keys from ${matchRecord} r where r.record = g.record), '{}')) order by key, g.record
    )
    insert into ${matchRecord} (record, customer_id, category, profile, features, keys)
    select record, customer_id, category, profile, features, keys from given
    on conflict (record) do update set category = excluded.category, profile = excluded.profile, features = excluded.features, keys = excluded.keys`.execute(trx)
}

const profileIn = ({ category, profile }: MatchRecord, templates: Templates): MatchProfile => {
  const inForce = templates(category)
  return matchProfile({ kind: inForce?.kind ?? 'individual', name: profile.name, fields: inForce?.template.fields ?? [], values: profile.fields, identifiers: Object.values(profile.identifiers) })
}
