import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { lifecycle } from '../src/projections/lifecycle/project.ts'
import { schemaOf } from '../src/projections/projection.ts'
import { organise } from './http/people.ts'
import { startService, type TestService } from './support/http.ts'
import { appendHistories, employeeIds, sampleHistories } from './support/lifecycle.ts'

type Row = Record<string, string | number | boolean | null>
const Cell = z.union([z.string(), z.number(), z.boolean(), z.null()])
const Stages = z.object({ items: z.array(z.looseObject({ stage: z.string().optional(), next: z.array(z.record(z.string(), Cell)).optional() })) })
const Answer = z.looseObject({ asOf: z.looseObject({ position: z.string() }) })
const Items = z.array(z.looseObject({}))

/** The rows of an answer: its items, or the list the fragment names. */
const rowsOf = (json: unknown, fragment: string): Row[] => {
  const answer = Answer.parse(json)
  if (fragment === 'next') return Stages.parse(json).items.flatMap(({ stage = '', next = [] }) => next.map((exit) => ({ stage, ...exit })))
  return Items.parse(answer[fragment === '' ? 'items' : fragment]).map((item) => Object.fromEntries(Object.entries(item).flatMap(([name, value]) => {
    const cell = Cell.safeParse(value)
    return cell.success ? [[name, cell.data]] : []
  })))
}

const camelCase = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
const isNumeric = (value: unknown): value is string | number => (typeof value === 'string' || typeof value === 'number') && value !== '' && !Number.isNaN(Number(value))
/** A row by the columns asked for: numbers to nine decimals, since SQL counts in decimals and the service in floats. */
const settled = (row: Row, columns: readonly string[]): Row =>
  Object.fromEntries(columns.map((column) => [column, isNumeric(row[column]) ? Number(Number(row[column]).toFixed(9)) : (row[column] ?? null)]))
const saysSomething = (row: Row) => Object.values(row).some((value) => typeof value === 'number' && value !== 0)
const inOrder = (rows: readonly Row[]) => rows.map((row) => JSON.stringify(row)).sort()

const doc = await readFile('docs/analysts.md', 'utf8')
const blocks = [...doc.matchAll(/(?:<!-- same as: (\S+?)(?:#(\w+))? -->\n)?```sql\n(.*?)```/gs)].map(([, path, fragment = '', sql = '']) => ({ path, fragment, sql }))
const figures = blocks.flatMap(({ path, ...block }) => (path === undefined ? [] : [{ path, ...block }]))

describe('the SQL of the page for analysts', () => {
  let service: TestService
  let analyst: pg.Client
  let position: bigint
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, 'north-1': 'north', south: null }, { [employeeIds[0]]: 'north', [employeeIds[1]]: 'north-1', [employeeIds[2]]: 'south' })
    position = await appendHistories(service.core.runtime, sampleHistories(120, 7))
    analyst = new pg.Client({ connectionString: service.database.url })
    await analyst.connect()
    await analyst.query('set role kehu_analyst')
    const log = Answer.parse((await service.as('analyst').get('/analytics/lifecycle/standing')).json).asOf.position.split('.')[0] ?? ''
    expect((await service.as('analyst').get(`/analytics/lifecycle/standing?after=${log}.${position}`)).status).toBe(200)
    expect((await service.as('auditor').get(`/customers?limit=1&after=${log}.${position}`)).status).toBe(200)
  })
  afterAll(async () => {
    await analyst.end()
    await service.close()
  })

  it('runs, all of it, with an analyst’s rights and no others', async () => {
    expect(figures.length).toBeGreaterThanOrEqual(8)
    for (const { sql } of blocks) await analyst.query(sql)
    await expect(analyst.query('select from kehu.event')).rejects.toMatchObject({ code: '42501' })
    await expect(analyst.query(`select from ${schemaOf(lifecycle)}.stay`)).rejects.toMatchObject({ code: '42501' })
  })

  it.each(figures.map(({ path, fragment, sql }) => [`${path}${fragment === '' ? '' : `#${fragment}`}`, { path, fragment, sql }] as const))('%s', async (_name, { path, fragment, sql }) => {
    const { rows, fields } = await analyst.query<Row>(sql)
    const columns = fields.map((field) => camelCase(field.name))
    const bySql = rows.map((row) => settled(Object.fromEntries(Object.entries(row).map(([name, value]) => [camelCase(name), value])), columns))
    const answer = await service.as('analyst').get(path)
    expect(answer.status, answer.text).toBe(200)
    const byService = rowsOf(answer.json, fragment)
    for (const column of columns) expect(Object.keys(byService[0] ?? {})).toContain(column)
    const said = byService.map((row) => settled(row, columns)).filter(saysSomething)
    expect(said.length).toBeGreaterThan(2)
    expect(inOrder(bySql)).toEqual(inOrder(said))
  })
})
