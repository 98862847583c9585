import { readFile } from 'node:fs/promises'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { rehearse } from '../../src/cli/import/rehearsal.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { admin, clear, importOf, logOf, makeFolder, makeMemoryWorld, none, peopleMap, salesMap } from './import.world.ts'

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
  runtime = world.runtime
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

it('the map in the README of the examples takes a row of an old CRM', async () => {
  const [, map = ''] = /```yaml\n(.*?)```/s.exec(await readFile('examples/import/README.md', 'utf8')) ?? []
  const header = '归属人工号;客户编号;客户名称;手机;统一社会信用代码;级别;注册资本;省;市;地址;联系人;职务;录入人工号;录入时间;最近联系'
  const file = await folder.put('crm.csv', `${header}\nclerk;0071;深圳市腾云贸易有限公司;;91440300708461136T;重点;"1,000,000.00";广东省;深圳市;南山区;韩梅梅;采购总监;manager;2019/5/6 9:30;2026/3/3\n;0072;广州南方五金厂;NULL;;;;;;;;;;;\n`)
  const ran = await importOf(runtime, file, await folder.put('crm.yaml', map.replace('encoding: gb18030', 'encoding: utf-8')))
  expect(ran.refusals.map(({ row, reasons }) => [row, reasons[0]?.problem])).toEqual([[2, 'on-behalf-of-required']])
  const { customers, types } = await logOf(runtime)
  const one = customers.get('crm-0071')
  expect(one).toMatchObject({ category: 'enterprise', onBehalfOf: 'clerk', enteredBy: 'manager', enteredAt: '2019-05-06T01:30:00.000Z', fields: { importance: 'A', registeredCapital: { amount: 100_000_000, currency: 'CNY' } }, identifiers: [{ kind: 'uscc' }] })
  expect(clear(one?.fields['address'])).toBe('广东省深圳市南山区')
  expect(one?.contacts).toHaveLength(1)
  expect(types.get('InteractionRecorded')).toBe(1)
})
