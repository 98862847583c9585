import fc from 'fast-check'
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askingNothing, missingOf, type Held } from '../../src/domain/customer/incomplete.ts'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'
import { findIncomplete } from '../../src/projections/customer-lookup/queries.ts'
import { schemaOf } from '../../src/projections/projection.ts'
import { createTables } from '../../src/projections/table.ts'
import { makeDatabase, openPool, type TestDatabase } from '../support/database.ts'
import { departed, field, label, organisation, person, withCategory, withPolicy } from '../support/given.ts'
import { kyselyOn } from '../../src/projections/kysely.ts'

const complete: Held = { name: person.name, category: 'individual-retail', stage: 'active', fields: { address: person.address, importance: 'A', source: 'referral' }, contacts: [] }
const reachable = { title: person.title, role: 'insider', mobile: '+8613700137000', email: person.contactEmail }
const withContact = (fields: Held['fields'], name: string | null = person.contact): Held => ({ ...complete, contacts: [{ contactId: 'k', name, fields }] })
const missing = (held: Held, now = organisation) => missingOf(held, now).map(({ path }) => path)

describe('what a record lacks', () => {
  it('is each required field that is missing, malformed, or holds a placeholder', () => {
    expect(missing(complete)).toEqual([])
    expect(missing({ ...complete, fields: {} })).toEqual(['fields/address', 'fields/importance', 'fields/source'])
    expect(missingOf({ ...complete, fields: { address: '暂无', importance: 'Z', source: 'referral' } }, organisation)).toEqual([
      { path: 'fields/address', message: 'is required, and a placeholder is not a value' }, { path: 'fields/importance', message: 'must be one of A, B, C' },
    ])
    // What is not required may be left open, in words as well.
    expect(missing({ ...complete, fields: { ...complete.fields, hobbies: '无' } })).toEqual([])
  })

  it('is a name that says nothing, of the customer or of a contact', () => {
    expect(missing({ ...complete, name: '未知' })).toEqual(['name'])
    expect(missing(withContact(reachable, '待定'))).toEqual(['contacts/k/name'])
  })

  it('is a contact who cannot be reached', () => {
    expect(missing(withContact(reachable))).toEqual([])
    expect(missingOf(withContact({ title: person.title, role: 'insider' }), organisation)).toEqual([
      { path: 'contacts/k/fields/mobile', message: 'is required' }, { path: 'contacts/k/fields/email', message: 'is required' },
      { path: 'contacts/k/fields', message: 'cannot be reached: has none of officePhone, mobile, email' },
    ])
    // A prospect is asked for no field, but for somebody to speak to; an office phone is enough.
    expect(missing({ ...withContact({}), stage: 'prospect' })).toEqual(['contacts/k/fields'])
    expect(missing({ ...withContact({ officePhone: '+8675526881234' }), stage: 'prospect' })).toEqual([])
    expect(missing({ ...withContact({}), category: 'bare' }, withCategory({ categoryId: 'bare', contactFields: [field('title')] }))).toEqual([])
  })

  it('is what the template, the categories above it, or the stages have asked for since', () => {
    expect(missing(complete, withCategory({ categoryId: 'individual-retail', version: 2, fields: [field('address'), field('importance'), field('source'), field('passport', { requiredFrom: 'prospect' })] }))).toEqual(['fields/passport'])
    const software: Held = { ...complete, category: 'supplier-software', stage: 'prospect', fields: {} }
    expect(missing(software)).toEqual([])
    expect(missing(software, withCategory({ categoryId: 'supplier', fields: [field('licence', { requiredFrom: 'target' })] }))).toEqual(['fields/licence'])
    const { stages, ...rest } = organisation.policies.stages.value
    expect(missing({ ...complete, stage: 'prospect', fields: {} }, withPolicy('stages', { ...rest, stages: stages.map((stage) => ({ ...stage, completeness: 2 })) }))).toHaveLength(3)
  })

  it('is nothing where nothing is asked, nor of who was erased', () => {
    for (const stage of ['target', 'dormant', 'lost', 'a-stage-of-the-past']) expect(missing({ ...withContact({}, '无'), stage, fields: {} })).toEqual([])
    expect(missing({ ...complete, name: null, fields: {} })).toEqual([])
    expect(missing({ ...complete, category: 'a-category-of-nowhere', fields: {} })).toEqual([])
  })

  it('is nothing at every category and stage that are passed over without a look', () => {
    const asking = withCategory({ categoryId: 'strict', fields: [field('licence', { requiredFrom: 'target', labels: label })] })
    const nothing = askingNothing(asking)
    expect(nothing).not.toContainEqual({ category: 'strict', stage: 'lost' })
    expect(nothing).toContainEqual({ category: 'enterprise', stage: 'lost' })
    fc.assert(fc.property(fc.constantFrom(...nothing), fc.constantFrom(person.name, '无'), fc.dictionary(fc.constantFrom('address', 'source', 'licence'), fc.constantFrom('无', 'x')), (at, name, fields) => {
      expect(missingOf({ ...withContact({}), ...at, name, fields }, departed('gone', asking))).toEqual([])
    }))
  })
})

describe('the list of incomplete customers', () => {
  const schema = schemaOf(customerLookup)
  let database: TestDatabase
  let db: Kysely<unknown>
  beforeAll(async () => {
    database = await makeDatabase()
    db = kyselyOn(openPool(database.url, { max: 2 }))
    await sql`create schema ${sql.id(schema)}`.execute(db)
    await createTables(db, schema, customerLookup.tables)
    // 12,000 customers: one in 4,000 lacks its address, each third is a target of whom nothing is asked.
    await sql`
      insert into ${sql.table(`${schema}.customer`)} (customer_id, ordinal, category, name, stage, tier, owner_id, owner_since, responsible_id, entered_by, entered_at, changed_at, revision, fields, personal_fields, ownership, search, survivor_id)
      select 'c' || n, n, 'individual-retail', '王小明', case when n % 3 = 0 then 'target' else 'active' end, 'standard', 'clerk', now(), 'clerk', 'clerk', now(), now(), 1,
        '{"importance": "A", "source": "referral"}', case when n % 4000 = 1000 or n % 3 = 0 then '{}'::jsonb else '{"address": "深圳"}' end, '[]', '', 'c' || n
      from generate_series(1, 12000) n`.execute(db)
  })
  afterAll(async () => {
    await db.destroy()
    await database.drop()
  })

  it('is whole over all pages, however few there are among however many, and however small the pages', async () => {
    for (const limit of [1, 500]) {
      const found: string[] = []
      const pages: number[] = []
      for (let before: string | undefined; ; ) {
        const { items, next } = await findIncomplete(db, schema, {}, { all: true }, { limit, before, nameCharacters: 1 }, organisation)
        found.push(...items.map((item) => item.customerId))
        pages.push(items.length)
        for (const item of items) expect(item.missing).toEqual([{ path: 'fields/address', message: 'is required' }])
        if (next === undefined) break
        before = next
      }
      // c9000 is a target.
      expect(found).toEqual(['c5000', 'c1000'])
      expect(Math.max(...pages)).toBeLessThanOrEqual(limit)
    }
  })

  it('shows only what the viewer sees in full', async () => {
    const of = async (viewer: Parameters<typeof findIncomplete>[3]) => (await findIncomplete(db, schema, {}, viewer, { limit: 5, before: '5001', nameCharacters: 1 }, organisation)).items.length
    expect(await of({ all: false, employeeId: 'rival', memberOf: [], departments: [], now: new Date().toISOString() })).toBe(0)
    expect(await of({ all: false, employeeId: 'clerk', memberOf: [], departments: [], now: new Date().toISOString() })).toBe(1)
  })
})
