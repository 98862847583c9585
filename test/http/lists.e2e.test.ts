import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { startService, type Answer, type BatchAnswer, type Sender, type TestService } from '../support/http.ts'
import { idsOf, individual, itemsOf, organise, refused } from './people.ts'

const names = ['=1+1', '+86', '-2', '@SUM(A1)', '\t=cmd', '逗号,引号"和', '换行\n王', '龘靐齉', "O'Neill", '🐉龙']

describe('lists', () => {
  let service: TestService
  let zhao: Sender
  let ids: string[]
  let position: string
  beforeAll(async () => {
    service = await startService({ KEHU_READ_WAIT_MS: '3000' })
    await organise(service, { north: null, south: null }, { zhao: 'north', li: 'south' })
    zhao = service.as('clerk', 'zhao')
    const lines = (count: number, of: (index: number) => object) => Array.from({ length: count }, (_, index) => ({ command: 'create-customer', key: `list ${index}`, body: individual(of(index)) }))
    const mine = await zhao.batch(lines(names.length + 13, (index) => ({ name: names[index] ?? `客户${index}` })))
    await service.as('clerk', 'li').batch(lines(5, (index) => ({ name: `别人的${index}` })))
    ids = mine.map((answer) => answer.answer.customerId ?? '')
    position = latest(mine)
    expect(mine.map((answer) => answer.status)).toEqual(ids.map(() => 201))
  })
  afterAll(() => service.close())

  const nextOf = (answer: Answer): string | undefined => /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]

  /** All pages, following Link. */
  const pages = async (sender: Sender, first: string): Promise<Answer[]> => {
    const got: Answer[] = []
    for (let path: string | undefined = first; path !== undefined; ) {
      const page: Answer = await sender.get(path)
      got.push(page)
      path = nextOf(page)
    }
    return got
  }

  it('pages follow each other by Link without loss or doubling, newest first, keeping the filters', async () => {
    const all = await pages(zhao, `/customers?after=${position}&limit=5&ownerId=zhao`)
    expect(all.map((page) => itemsOf(page).length)).toEqual([5, 5, 5, 5, 3])
    const seen = all.flatMap(idsOf)
    expect([...seen].sort()).toEqual([...ids].sort())
    expect(seen).toEqual(idsOf(await zhao.get('/customers?limit=500')))
    expect(all.slice(0, -1).map(nextOf).every((link) => link?.includes('ownerId=zhao') && link.includes('limit=5'))).toBe(true)
  })

  it('customers entered while one pages neither push others onto the next page nor out of it', async () => {
    const first = await zhao.get(`/customers?limit=10`)
    const known = idsOf(await zhao.get('/customers?limit=500'))
    const between = await zhao.batch(Array.from({ length: 7 }, (_, index) => ({ command: 'create-customer', key: `between ${index}`, body: individual({ name: `后来者${index}` }) })))
    const rest = await pages(zhao, nextOf(first) ?? '')
    expect([...idsOf(first), ...rest.flatMap(idsOf)]).toEqual(known)
    // Those that follow see all of them.
    expect((await zhao.get(`/customers?after=${latest(between)}`)).status).toBe(200)
  })

  it('the audit lists page as well', async () => {
    const auditor = service.as('auditor')
    for (let index = 0; index < 7; index += 1) await service.as('analyst').send('create-customer', {})
    const all = await pages(auditor, '/audit/attempts?limit=3')
    const attempts = z.object({ items: z.array(z.looseObject({ attemptId: z.string() })) })
    const seen = all.flatMap((page) => attempts.parse(page.json).items.map((item) => item.attemptId))
    expect(all.length).toBeGreaterThanOrEqual(3)
    expect([seen.length, new Set(seen).size]).toEqual([7, 7])
    expect(seen).toEqual([...seen].sort().reverse())
  })

  it('CSV runs no formula in a spreadsheet, keeps Chinese as it is, and holds every page of what one sees', async () => {
    const answer = await zhao.get('/customers?limit=2', { accept: 'text/csv' })
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    const [header, ...rows] = parseCsv(answer.text)
    expect(header).toEqual(['customerId', 'full', 'name', 'category', 'ownerId', 'ownerSince', 'lastOwnerId', 'departmentId', 'stage', 'tier', 'enteredAt', 'revision'])
    const listed = itemsOf(await zhao.get('/customers?limit=500'))
    expect(rows.map((row) => row[0])).toEqual(listed.map((item) => item.customerId))
    const nameOf = new Map(rows.map((row) => [row[0], row[2] ?? '']))
    names.forEach((name, index) => expect(nameOf.get(ids[index] ?? '')).toBe(/^[=+\-@\t]/.test(name) ? `'${name.trim()}` : name))
    for (const row of rows) expect([row.length, /^[=+\-@\t\r]/.test(row[2] ?? '')]).toEqual([12, false])
    expect(rows.every((row) => row[1] === 'true' && row[4] === 'zhao')).toBe(true)
  })

  it('NDJSON holds a line for each customer, as the list shows it', async () => {
    const answer = await zhao.get('/customers?limit=2&q=客户', { accept: 'application/x-ndjson' })
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8')
    const lines: unknown[] = answer.text.trimEnd().split('\n').map((line) => JSON.parse(line))
    expect(lines).toEqual(itemsOf(await zhao.get('/customers?limit=500&q=客户')))
    expect(lines).toHaveLength(13)
  })

  it('an export that cannot begin is a problem, and the service goes on', async () => {
    const far = `${position.split('.')[0] ?? ''}.999999999`
    const answers = await Promise.all(['text/csv', 'application/x-ndjson', 'application/json'].map((accept) => zhao.get(`/customers?after=${far}`, { accept })))
    for (const answer of answers) {
      refused(answer, 503, 'not-caught-up')
      expect(answer.headers.get('retry-after')).toBe('1')
    }
    expect((await zhao.get('/customers')).status).toBe(200)
  })
})

/** The position of the last event of a batch: the lines are answered in their order, and taken in any. */
const latest = (answers: readonly BatchAnswer[]): string =>
  answers.map(({ answer }) => String(answer['position'])).sort((a, b) => Number(a.split('.')[1]) - Number(b.split('.')[1])).at(-1) ?? ''

/** RFC 4180. */
const parseCsv = (text: string): string[][] => {
  const rows: string[][] = [[]]
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\n"]*))(,|\n|$)/g)) {
    rows.at(-1)?.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'))
    if (end === '\n') rows.push([])
    if (end === '') break
  }
  return rows.filter((row) => row.length > 1)
}
