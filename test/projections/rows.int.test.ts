import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kyselyOn } from '../../src/projections/kysely.ts'
import { projections } from '../../src/projections/all.ts'
import { deleteRows, insertRows, updateRows } from '../../src/projections/rows.ts'
import { createTables, type Table } from '../../src/projections/table.ts'
import { makeDatabase, openPool, type TestDatabase } from '../support/database.ts'

const SCHEMA = 'rows_test'
const column = (name: string, type: string) => ({ name, type, comment: name })
const table: Table = {
  name: 'kept', comment: 'A column of each type', constraints: ['primary key (id)'],
  columns: [
    column('id', 'integer not null'), column('words', 'text'), column('whole', 'integer'), column('large', 'bigint'), column('truth', 'boolean'), column('at', 'timestamptz'),
    column('json', 'jsonb'), column('fraction', 'double precision'), column('during', 'tstzrange'), column('known', 'int8range'),
  ],
}
const during = '[2026-03-03T00:00:00.000Z,)'
const fullBut = {
  id: 1, words: '王小明 “,{}\\ 🦊', whole: -2147483648, large: '-9223372036854775808', truth: true, at: '2026-03-03T01:02:03.004Z',
  json: JSON.stringify({ 名: ['“', null, 1.5] }), fraction: 9.33, known: '[3,9)',
}
const full = { ...fullBut, during }
const empty = { id: 2, words: null, whole: null, large: null, truth: null, at: null, json: null, fraction: null, during: null, known: null }

describe('rows of read models', () => {
  let database: TestDatabase
  let db: ReturnType<typeof kyselyOn>
  beforeAll(async () => {
    database = await makeDatabase()
    db = kyselyOn(openPool(database.url, { max: 2 }))
    await sql`create schema ${sql.id(SCHEMA)}`.execute(db)
    await createTables(db, SCHEMA, [table])
  })
  afterAll(async () => {
    await db.destroy()
    await database.drop()
  })
  const read = async () => (await sql`
    select id, words, whole, large::text as large, truth, to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, json::text::jsonb as json, fraction,
      to_char(lower(during) at time zone 'utc', 'YYYY-MM-DD') as from, upper_inf(during) as open, known::text as known
    from ${sql.id(SCHEMA, 'kept')} order by id`.execute(db)).rows
  const expected = { ...fullBut, json: { 名: ['“', null, 1.5] }, from: '2026-03-03', open: true }
  const nothing = { id: 2, words: null, whole: null, large: null, truth: null, at: null, json: null, fraction: null, from: null, open: null, known: null }

  it('are written as they are, of every type a column has, and null', async () => {
    await db.transaction().execute((trx) => insertRows(trx, SCHEMA, table, [full, empty]))
    expect(await read()).toEqual([expected, nothing])
    const types = new Set(projections.flatMap(({ tables }) => tables.flatMap(({ columns }) => columns.map(({ type }) => type.replace(/ (not null|generated).*$/, '')))))
    types.delete('bigint[]')
    expect(table.columns.map(({ type }) => type.replace(' not null', ''))).toEqual(expect.arrayContaining([...types]))
  })

  it('take new values where their key is there already, are changed, and go', async () => {
    await db.transaction().execute((trx) => insertRows(trx, SCHEMA, table, [{ ...empty, words: '改' }, { ...full, id: 3 }], { key: ['id'], update: ['words'] }))
    expect(await read()).toEqual([expected, { ...nothing, words: '改' }, { ...expected, id: 3 }])
    await db.transaction().execute((trx) => updateRows(trx, SCHEMA, table, [{ id: 2, whole: 7 }, { id: 3, whole: 8 }], { key: ['id'], where: 'old.truth is null' }))
    expect((await read()).slice(1)).toEqual([{ ...nothing, words: '改', whole: 7 }, { ...expected, id: 3 }])
    await db.transaction().execute((trx) => deleteRows(trx, SCHEMA, table, 'words', ['改']))
    expect(await read()).toEqual([expected, { ...expected, id: 3 }])
  })

  it.each([['words', true], ['whole', 1.5], ['whole', '1'], ['large', 'x'], ['truth', 'true'], ['at', 'gestern'], ['json', {}]])('of a value that is not of its column, %s, are not written', async (name, value) => {
    await expect(db.transaction().execute((trx) => insertRows(trx, SCHEMA, table, [{ ...empty, id: 9, [name]: value }]))).rejects.toThrow(TypeError)
  })
})
