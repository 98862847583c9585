import { readFile } from 'node:fs/promises'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { rehearse } from '../../src/cli/import/rehearsal.ts'
import { allIn, runImport } from '../../src/cli/import/run.ts'

import { readMap } from '../../src/cli/import/map.ts'
import { ImportStopped } from '../../src/cli/import/send.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { EventStoreUnavailable } from '../../src/event-store/port.ts'
import { admin, clear, importOf, logOf, makeFolder, makeMemoryWorld, none } from './import.world.ts'

let folder: Awaited<ReturnType<typeof makeFolder>>
beforeAll(async () => {
  folder = await makeFolder()
})
afterAll(() => folder.remove())

let runtime: Runtime
let store: Awaited<ReturnType<typeof makeMemoryWorld>>['store']
beforeEach(async () => {
  const world = await makeMemoryWorld()
  store = world.store
  runtime = { ...world.runtime, sleep: (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms, 5))) }
})

const people = (count: number) => `name,mobile\n${Array.from({ length: count }, (_, index) => `客户${index},${13_800_000_000 + index}`).join('\n')}\n`
const peopleMap = `
name: people
commands:
  - command: create-customer
    body:
      category: individual-retail
      name: { column: name }
      identifiers: [{ kind: mobile, value: { column: mobile } }]
      claim: false`
const salesMap = `
name: sales
commands:
  - command: create-customer
    once: \${id}
    body: { customerId: 'shop-\${id}', category: individual-retail, name: 'Customer \${id}', claim: false }
  - command: record-purchase
    body:
      customerId: shop-\${id}
      purchaseId: shop-\${#row}
      at: { column: day, type: instant, format: yyyyMMdd }
      amount: { column: amount, type: money, currency: CNY }`

describe('running an import again', () => {
  it('appends nothing, and says so', async () => {
    const file = await folder.put('people.csv', people(50))
    const map = await folder.put('people.yaml', peopleMap)
    expect((await importOf(runtime, file, map)).counts).toEqual({ 'create-customer': { ...none, created: 50 } })
    const head = await store.head()
    expect((await importOf(runtime, file, map)).counts).toEqual({ 'create-customer': { ...none, already: 50 } })
    expect(await store.head()).toBe(head)
  })

  it('after an interruption goes on where it stopped, and does nothing twice', async () => {
    const file = await folder.put('people.csv', people(300))
    const map = await folder.put('people.yaml', peopleMap)
    const interrupted = new AbortController()
    const first = await importOf(runtime, file, map, { concurrency: 8, signal: interrupted.signal, onRow: (rows) => { if (rows === 100) interrupted.abort() } })
    const before = await logOf(runtime)
    expect(first.summary.finished).toBe(false)
    expect(allIn(first.summary)).toBe(false)
    expect(before.customers.size).toBeGreaterThanOrEqual(100)
    expect(before.customers.size).toBeLessThan(300)
    expect(first.counts).toEqual({ 'create-customer': { ...none, created: before.customers.size } })

    const second = await importOf(runtime, file, map)
    const after = await logOf(runtime)
    expect(second.counts).toEqual({ 'create-customer': { ...none, created: 300 - before.customers.size, already: before.customers.size } })
    expect(after.types.get('CustomerCreated')).toBe(300)
    expect(new Set([...after.customers.values()].map(({ name }) => clear(name))).size).toBe(300)
  })

  it('after the process was killed between two appends, does nothing twice', async () => {
    const file = await folder.put('people.csv', people(120))
    const map = await folder.put('people.yaml', peopleMap)
    let appends = 0
    // From the hundredth append on nothing ever comes back: every row under way stops where it is.
    const dying: Runtime = { ...runtime, store: { ...store, append: (request) => ((appends += 1) > 100 ? new Promise(() => undefined) : store.append(request)) } }
    void importOf(dying, file, map, { concurrency: 16 })
    while (appends <= 100) await new Promise(setImmediate)
    await new Promise((resolve) => setTimeout(resolve, 50))

    const second = await importOf(runtime, file, map)
    expect(allIn(second.summary)).toBe(true)
    const { types, customers } = await logOf(runtime)
    expect(types.get('CustomerCreated')).toBe(120)
    expect(new Set([...customers.values()].map(({ name }) => clear(name))).size).toBe(120)
  })

  it('an answer that was lost is asked for again, and counts as created', async () => {
    const file = await folder.put('people.csv', people(60))
    let appends = 0
    const lossy: Runtime = {
      ...runtime,
      store: {
        ...store,
        append: async (request) => {
          const result = await store.append(request)
          appends += 1
          if (appends % 7 === 0) throw new EventStoreUnavailable('the answer was lost')
          return result
        },
      },
    }
    expect((await importOf(lossy, file, await folder.put('people.yaml', peopleMap))).counts).toEqual({ 'create-customer': { ...none, created: 60 } })
    expect((await logOf(runtime)).types.get('CustomerCreated')).toBe(60)
  })

  it('by two at once does nothing twice', async () => {
    const file = await folder.put('people.csv', people(100))
    const map = await folder.put('people.yaml', peopleMap)
    const both = await Promise.all([importOf(runtime, file, map), importOf(runtime, file, map)])
    expect(both.map(({ summary }) => allIn(summary))).toEqual([true, true])
    expect((await logOf(runtime)).types.get('CustomerCreated')).toBe(100)
  })

  it('stops at the row where the log stays out of reach, and goes on from there', async () => {
    const file = await folder.put('people.csv', people(200))
    const map = await folder.put('people.yaml', peopleMap)
    let reachable = true
    const failing: Runtime = { ...runtime, store: { ...store, append: async (request) => (reachable ? store.append(request) : Promise.reject(new EventStoreUnavailable('gone'))) } }
    const stopped = importOf(failing, file, map, { concurrency: 4, onRow: (rows) => { if (rows === 50) reachable = false } })
    await expect(stopped).rejects.toThrow(ImportStopped)
    await expect(stopped).rejects.toThrow(/Stopped at row \d+: The log is out of reach\. What was imported stands; run the same again to go on/)
    expect((await logOf(runtime)).types.get('CustomerCreated')).toBeLessThan(200)
    await importOf(runtime, file, map)
    expect((await logOf(runtime)).types.get('CustomerCreated')).toBe(200)
  })

  it('with the same id and a corrected file takes only what was not in', async () => {
    const map = await folder.put('sales.yaml', salesMap)
    const wrong = await folder.put('sales.csv', 'id,day,amount\n1,20260101,10.00\n1,20260231,20.00\n2,20260102,30.00\n')
    const first = await importOf(runtime, wrong, map, { id: 'old-crm' })
    expect(first.counts).toEqual({ 'create-customer': { ...none, created: 2 }, 'record-purchase': { ...none, created: 2, invalid: 1 } })
    const right = await folder.put('sales.csv', 'id,day,amount\n1,20260101,10.00\n1,20260228,20.00\n2,20260102,30.00\n')
    expect((await importOf(runtime, right, map, { id: 'old-crm' })).counts).toEqual({ 'create-customer': { ...none, already: 2 }, 'record-purchase': { ...none, created: 1, already: 2 } })
  })

  it('under another id finds the customers there: they are duplicates, and their purchases are there already', async () => {
    const map = await folder.put('sales.yaml', salesMap)
    const file = await folder.put('sales.csv', 'id,day,amount\n1,20260101,10.00\n2,20260102,30.00\n')
    await importOf(runtime, file, map, { id: 'one' })
    const head = await store.head()
    const other = await importOf(runtime, file, map, { id: 'other' })
    expect(other.counts).toEqual({ 'create-customer': { ...none, duplicate: 2 }, 'record-purchase': { ...none, already: 2 } })
    expect(other.refusals[0]).toMatchObject({ row: 1, reasons: [{ problem: 'customer-exists' }] })
    expect(await store.head()).toBe(head)
  })

  it('with a map that reads an imported row otherwise does not import it twice, and says why', async () => {
    const file = await folder.put('people.csv', people(3))
    await importOf(runtime, file, await folder.put('people.yaml', peopleMap))
    const head = await store.head()
    const again = await importOf(runtime, file, await folder.put('people.yaml', peopleMap.replace('{ column: name }', '"Dear ${name}"')))
    expect(again.counts).toEqual({ 'create-customer': { ...none, invalid: 3 } })
    expect(again.refusals[0]?.reasons[0]).toMatchObject({ problem: 'idempotency-key-reused', reason: expect.stringContaining('was imported before and reads otherwise now') })
    expect(await store.head()).toBe(head)
  })
})

describe('in the order of the file', () => {
  it('identical lines are purchases of their own', async () => {
    const file = await folder.put('sales.csv', 'id,day,amount\n1,20260101,10.00\n1,20260101,10.00\n1,20260101,10.00\n2,20260101,10.00\n')
    expect((await importOf(runtime, file, await folder.put('sales.yaml', salesMap))).counts).toEqual({ 'create-customer': { ...none, created: 2 }, 'record-purchase': { ...none, created: 4 } })
    expect((await logOf(runtime)).purchases.map(({ customerId, purchaseId, at, amount }) => [customerId, purchaseId, at, amount]).sort()).toEqual([
      ['shop-1', 'shop-1', '2025-12-31T16:00:00.000Z', 1000], ['shop-1', 'shop-2', '2025-12-31T16:00:00.000Z', 1000], ['shop-1', 'shop-3', '2025-12-31T16:00:00.000Z', 1000], ['shop-2', 'shop-4', '2025-12-31T16:00:00.000Z', 1000],
    ])
  })

  it('of rows that share an identifier, however it is written, the first is in', async () => {
    const lines = Array.from({ length: 40 }, (_, index) => [`first ${index},${13_900_000_000 + index}`, `second ${index},+86 ${String(13_900_000_000 + index).replace(/(\d{3})(\d{4})/, '$1 $2 ')}`])
    const file = await folder.put('people.csv', `name,mobile\n${lines.map(([first]) => first).join('\n')}\n${lines.map(([, second]) => second).join('\n')}\n`)
    // The first reader of each stream is the last to go on: without an order of their own, second rows would be in.
    let reads = 0
    const slow: Runtime = {
      ...runtime,
      store: {
        ...store,
        readStream: async function* (stream, options) {
          reads += 1
          if (reads <= 40) await new Promise((resolve) => setTimeout(resolve, 30))
          yield* store.readStream(stream, options)
        },
      },
    }
    const ran = await importOf(slow, file, await folder.put('people.yaml', peopleMap))
    expect(ran.counts).toEqual({ 'create-customer': { ...none, created: 40, duplicate: 40 } })
    expect(ran.refusals.map(({ row }) => row)).toEqual(Array.from({ length: 40 }, (_, index) => 41 + index))
    expect([...(await logOf(runtime)).customers.values()].every(({ name }) => String(clear(name)).startsWith('first'))).toBe(true)
  })

  it('holds no more rows than a window, whatever the length of the file', async () => {
    const map = readMap(peopleMap, 'people.yaml')
    let taken = 0
    let settled = 0
    let widest = 0
    const rows = async function* () {
      for (let number = 1; number <= 500; number += 1) {
        taken += 1
        widest = Math.max(widest, taken - settled)
        yield { number, line: number, cells: new Map([['name', `客户${number}`], ['mobile', '']]) }
      }
    }
    const summary = await runImport({ runtime, map, rows: rows(), importId: 'x', actor: 'import', concurrency: 5, onRow: (count) => { settled = count } })
    expect(summary.commands.get('create-customer')).toMatchObject({ created: 500 })
    expect(widest).toBeLessThanOrEqual(20)
  })
})

describe('what is refused', () => {
  const secrets = ['王小明', '李雷', '13800138000', '138001380', '11010519491231002X', '深圳市南山区']
  const csv = `姓名,手机,证件,日期,分类,归属
王小明,13800138000,11010519491231002X,2020-01-01,individual-retail,clerk
李雷,13800138000,,2020-01-01,individual-retail,clerk
李雷,138001380,110105194912310021,2020-01-01,individual-retail,clerk
李雷,,,01/02/2020,individual-retail,clerk
,,,2020-01-01,individual-retail,clerk
李雷,,,2020-01-01,vip,clerk
李雷,,,2020-01-01,individual-retail,nobody
李雷,,,2020-01-01,individual-retail,
李雷,,,2999-01-01,individual-retail,clerk
李雷,深圳市南山区
`
  const map = `
name: crm
commands:
  - command: create-customer
    onBehalfOf: { column: 归属 }
    body:
      category: { column: 分类 }
      name: { column: 姓名 }
      identifiers:
        - { kind: mobile, value: { column: 手机 } }
        - { kind: resident-id, value: { column: 证件 } }
      enteredBy: { column: 归属 }
      enteredAt: { column: 日期, type: instant, format: yyyy-MM-dd }`

  it('is reported with row, field and reason, and without a personal value', async () => {
    const report = `${folder.path}/errors.csv`
    const ran = await importOf(runtime, await folder.put('crm.csv', csv), await folder.put('crm.yaml', map), { report })
    expect(ran.counts).toEqual({ 'create-customer': { created: 1, already: 0, duplicate: 1, invalid: 8 } })
    const text = await readFile(report, 'utf8')
    for (const secret of secrets) expect(text).not.toContain(secret)
    const { customers } = await logOf(runtime)
    const [holder = ''] = customers.keys()
    const rows: string[][] = parse(text)
    expect(rows.map(([row, line, , field, problem, reason]) => [row, line, field, problem, reason])).toEqual([
      ['row', 'line', 'field', 'problem', 'reason'],
      ['2', '3', 'identifiers', 'duplicate-customer', expect.stringContaining(`It is held by ${holder}.`)],
      ['3', '4', 'identifiers/0/value', 'invalid-fields', expect.stringContaining('mobile number')],
      ['3', '4', 'identifiers/1/value', 'invalid-fields', expect.stringContaining('check character')],
      ['4', '5', 'enteredAt', 'invalid-row', 'is not a time of the form yyyy-MM-dd (column 日期)'],
      ['5', '6', 'name', 'invalid-body', 'is required'],
      ['6', '7', 'category', 'unknown-reference', 'no category has this id'],
      ['7', '8', 'On-Behalf-Of', 'unknown-reference', 'no employee has this id'],
      ['8', '9', '', 'on-behalf-of-required', expect.any(String)],
      ['9', '10', 'enteredAt', 'invalid-effective-time', 'must not be in the future'],
      ['10', '11', '', 'invalid-row', 'the row has 2 columns, not 6'],
    ])
  })

  it('what is in keeps who entered it elsewhere and when, in the name of the system and for its owner', async () => {
    await importOf(runtime, await folder.put('crm.csv', csv), await folder.put('crm.yaml', map), { actor: 'old-crm' })
    const { customers, types } = await logOf(runtime)
    expect([...customers.values()]).toMatchObject([{ actor: 'old-crm', onBehalfOf: 'clerk', enteredBy: 'clerk', enteredAt: '2019-12-31T16:00:00.000Z' }])
    expect(types.get('OwnershipClaimed')).toBe(1)
  })

  it('stands as a duplicate until --retry-refused, and then what came of that stands', async () => {
    const file = await folder.put('two.csv', 'name,mobile\n王小明,13800138000\n李雷,13800138000\n')
    const map = await folder.put('people.yaml', peopleMap)
    const duplicate = { 'create-customer': { created: 1, already: 0, duplicate: 1, invalid: 0 } }
    const first = await importOf(runtime, file, map)
    expect(first.counts).toEqual(duplicate)
    const [holder = ''] = (await logOf(runtime)).customers.keys()
    const releasing = await handleNamed(runtime, 'release-identifier', { customerId: holder, identifier: { kind: 'mobile', value: '13800138000' }, reason: '销号' }, { caller: { actor: 'other', role: 'system', employeeId: null, onBehalfOf: null } })
    expect(releasing.status).toBe(200)

    const stands = { 'create-customer': { created: 0, already: 1, duplicate: 1, invalid: 0 } }
    expect((await importOf(runtime, file, map)).counts).toEqual(stands)
    expect((await importOf(runtime, file, map, { retryRefused: true })).counts).toEqual({ 'create-customer': { ...none, created: 1, already: 1 } })
    // Its first answer was a refusal; the one that counts is the last.
    expect((await importOf(runtime, file, map)).counts).toEqual({ 'create-customer': { ...none, already: 2 } })
    expect((await importOf(runtime, file, map, { retryRefused: true })).counts).toEqual({ 'create-customer': { ...none, already: 2 } })
    expect((await logOf(runtime)).types.get('CustomerCreated')).toBe(2)
  })

  it('tried again and refused again has a key for each try', async () => {
    const file = await folder.put('two.csv', 'name,mobile\n王小明,13800138000\n李雷,13800138000\n')
    const map = await folder.put('people.yaml', peopleMap)
    for (let run = 0; run < 3; run += 1) expect((await importOf(runtime, file, map, { retryRefused: true })).counts['create-customer']).toMatchObject({ duplicate: 1 })
    expect(store.refused().filter(({ problem }) => problem === 'duplicate-customer')).toHaveLength(3)
    expect((await importOf(runtime, file, map)).counts['create-customer']).toMatchObject({ duplicate: 1 })
    expect(store.refused()).toHaveLength(3)
  })

  it('for what can be put right outside the file is tried again by itself', async () => {
    const file = await folder.put('one.csv', 'name,mobile\n王小明,13800138000\n')
    const map = await folder.put('people.yaml', peopleMap.replace('individual-retail', 'vip'))
    expect((await importOf(runtime, file, map)).counts['create-customer']).toMatchObject({ invalid: 1 })
    const label = { en: 'VIP', zh: '贵宾' }
    await handleNamed(runtime, 'define-category', { categoryId: 'vip', labels: label, criterion: label, kind: 'individual', template: { fields: [], contactFields: [] } }, { caller: admin })
    expect((await importOf(runtime, file, map)).counts['create-customer']).toMatchObject({ created: 1 })
  })
})

describe('a dry run', () => {
  it('appends nothing, records nothing, and reports what the run then does', async () => {
    const file = await folder.put('sales.csv', 'id,day,amount\n1,20260101,10.00\n1,20260101,10.00\n2,20269999,30.00\n3,20260101,1.005\n')
    const map = await folder.put('sales.yaml', salesMap)
    const before = { head: await store.head(), refused: store.refused().length }
    const dry = await importOf(rehearse(runtime), file, map)
    expect({ head: await store.head(), refused: store.refused().length }).toEqual(before)
    const real = await importOf(runtime, file, map)
    expect(dry.counts).toEqual({ 'create-customer': { ...none, created: 3 }, 'record-purchase': { ...none, created: 2, invalid: 2 } })
    expect(real.counts).toEqual(dry.counts)
    expect(real.refusals).toEqual(dry.refusals)
    expect((await importOf(rehearse(runtime), file, map)).counts).toEqual({ 'create-customer': { ...none, already: 3 }, 'record-purchase': { ...none, already: 2, invalid: 2 } })
  })

  it('finds duplicates within the file, and those of the log', async () => {
    const file = await folder.put('two.csv', 'name,mobile\n王小明,13800138000\n李雷,13800138000\n韩梅梅,13900139000\n')
    const map = await folder.put('people.yaml', peopleMap)
    await importOf(runtime, await folder.put('one.csv', 'name,mobile\n某人,13900139000\n'), map)
    const head = await store.head()
    const dry = await importOf(rehearse(runtime), file, map)
    expect(dry.counts).toEqual({ 'create-customer': { ...none, created: 1, duplicate: 2 } })
    expect(dry.refusals.map(({ row }) => row)).toEqual([2, 3])
    expect(await store.head()).toBe(head)
    expect(store.refused()).toEqual([])
    expect((await importOf(runtime, file, map)).counts).toEqual(dry.counts)
  })
})
