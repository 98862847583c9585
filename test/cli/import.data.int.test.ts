import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rehearse } from '../../src/cli/import/rehearsal.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { makeCodec } from '../../src/event-store/codec.ts'
import { makeKeyring } from '../../src/event-store/keyring.ts'
import { makeService } from '../support/runtime.ts'
import { clear, defineCategory, importOf, logOf, makeFolder, none } from './import.world.ts'

/*
 * The example maps on the files they are for, on Postgres, with the figures published with the data.
 */
const data = process.env['KEHU_SHARED_DATA'] ?? join(import.meta.dirname, '../../../shared/data')
const there = existsSync(data)
const say = (text: string) => process.stderr.write(`\n${text}\n`)
if (!there) say(`The reference data is not at ${data}: the example maps are NOT tested on it. Set KEHU_SHARED_DATA to where it is.`)

const LONG = 240_000

describe.skipIf(!there)('the example maps on the reference data', () => {
  let service: Awaited<ReturnType<typeof makeService>>
  let runtime: Runtime
  beforeAll(async () => {
    service = await makeService()
    runtime = { ...service.runtime, codec: makeCodec(makeKeyring(service.database.pool, [Buffer.alloc(32, 9)])) }
  })
  afterAll(() => service.close())

  const imported = async (file: string, map: string) => {
    const started = performance.now()
    const cpu = process.cpuUsage()
    const ran = await importOf(runtime, join(data, file), `examples/import/${map}`)
    const { user, system } = process.cpuUsage(cpu)
    say(`${file}: ${ran.summary.rows} rows in ${((performance.now() - started) / 1000).toFixed(1)} s, of which this process worked ${((user + system) / 1e6).toFixed(1)} s`)
    return ran
  }

  it('febrl3: 5,000 records, duplicates and all, are 5,000 customers', async () => {
    await defineCategory(runtime, JSON.parse(await readFile('examples/import/febrl-category.json', 'utf8')))
    const { counts, refusals } = await imported('matching/febrl3.csv', 'febrl3.yaml')
    expect(refusals).toEqual([])
    expect(counts).toEqual({ 'create-customer': { ...none, created: 5000 } })
    const { customers, types } = await logOf(runtime)
    const persons = [...customers].filter(([, { category }]) => category === 'febrl-person')
    expect(persons).toHaveLength(5000)
    expect(types.get('OwnershipClaimed')).toBe(undefined)
    const known = customers.get('febrl3-rec-1496-org')
    expect(clear(known?.name)).toBe('mitchell green')
    expect(Object.fromEntries(Object.entries(known?.fields ?? {}).map(([key, value]) => [key, clear(value)]))).toEqual({
      givenName: 'mitchell', surname: 'green', streetNumber: '7', address1: 'wallaby place', address2: 'delmar', suburb: 'cleveland', postcode: '2119', state: 'sa', dateOfBirth: '19560409', socialSecurityId: '1804974',
    })
    // The truth of the set: records of one person by the number in their id, those with at least one duplicate.
    const byPerson = Map.groupBy(persons, ([id]) => id.split('-')[2])
    expect([...byPerson.values()].reduce((pairs, { length }) => pairs + (length * (length - 1)) / 2, 0)).toBe(6538)
  }, LONG)

  it('cdnow: 6,919 purchases by 2,357 customers for 244,091.94, with the cohort of January 1997', async () => {
    const { counts } = await imported('purchases/cdnow-sample.txt', 'cdnow.yaml')
    expect(counts).toEqual({ 'create-customer': { ...none, created: 2357 }, 'record-purchase': { ...none, created: 6919 } })
    const log = await logOf(runtime)
    const purchases = log.purchases.filter(({ customerId }) => customerId.startsWith('cdnow-'))
    expect(purchases).toHaveLength(6919)
    expect(new Set(purchases.map(({ customerId }) => customerId)).size).toBe(2357)
    expect([...log.customers.keys()].filter((id) => id.startsWith('cdnow-'))).toHaveLength(2357)
    expect(new Set(purchases.map(({ currency }) => currency))).toEqual(new Set(['USD']))
    expect(purchases.reduce((sum, { amount }) => sum + amount, 0)).toBe(24_409_194)

    const monthsOf = Map.groupBy(purchases, ({ customerId }) => customerId)
    const cohort = [...monthsOf.values()].map((bought) => new Set(bought.map(({ at }) => at.slice(0, 7)))).filter((months) => months.has('1997-01'))
    const active = ['1997-01', '1997-02', '1997-03', '1997-04', '1997-05', '1997-06', '1997-07', '1997-08', '1997-09'].map((month) => cohort.filter((months) => months.has(month)).length)
    expect(active).toEqual([781, 124, 95, 70, 65, 77, 65, 53, 52])

    const spend = [...monthsOf.values()].map((bought) => bought.reduce((sum, { amount }) => sum + amount, 0)).toSorted((a, b) => b - a)
    const top = spend.slice(0, Math.round(spend.length / 5)).reduce((sum, amount) => sum + amount, 0)
    expect(((top / 24_409_194) * 100).toFixed(2)).toBe('67.40')
  }, LONG)

  it('rfm: 4,906 orders by 995 customers, whose ids tell nobody who they are', async () => {
    const { counts } = await imported('purchases/rfm-orders.csv', 'rfm-orders.yaml')
    expect(counts).toEqual({ 'create-customer': { ...none, created: 995 }, 'record-purchase': { ...none, created: 4906 } })
    const head = await runtime.store.head()
    expect((await imported('purchases/rfm-orders.csv', 'rfm-orders.yaml')).counts, 'the same again').toEqual({ 'create-customer': { ...none, already: 995 }, 'record-purchase': { ...none, already: 4906 } })
    expect(await runtime.store.head()).toBe(head)
    const log = await logOf(runtime)
    const orders = log.purchases.filter(({ customerId }) => customerId.startsWith('rfm-'))
    expect(orders).toHaveLength(4906)
    const customers = [...log.customers].filter(([id]) => id.startsWith('rfm-'))
    expect(customers).toHaveLength(995)
    expect(new Set(orders.map(({ customerId }) => customerId)).size).toBe(995)
    expect(orders.reduce((sum, { amount }) => sum + amount, 0)).toBe(46_415_800)
    expect(customers.every(([id, { identifiers }]) => /^rfm-[0-9a-f-]{36}$/.test(id) && identifiers.length === 1)).toBe(true)
    // Who leads by revenue is a champion of the set: name, orders and revenue fit the file.
    const lines = (await readFile(join(data, 'purchases/rfm-orders.csv'), 'utf8')).split('\n').filter((line) => line.includes('"Brion Stark"'))
    const [stark] = customers.filter(([, { name }]) => clear(name) === 'Brion Stark')
    const theirs = orders.filter(({ customerId }) => customerId === stark?.[0])
    expect(theirs).toHaveLength(lines.length)
    expect(theirs.reduce((sum, { amount }) => sum + amount, 0)).toBe(lines.reduce((sum, line) => sum + Number(line.split(',')[2]) * 100, 0))
  }, LONG)

  it('a dry run on Postgres writes neither events nor keys nor receipts', async () => {
    const written = async () => (await service.database.pool.query('select (select count(*) from kehu.event) as events, (select count(*) from kehu.keyring) as keys, (select count(*) from kehu.receipt) as receipts, (select count(*) from kehu.refused_attempt) as refused')).rows
    const folder = await makeFolder()
    const before = await written()
    const { counts } = await importOf(rehearse(runtime), join(data, 'matching/febrl1.csv'), 'examples/import/febrl3.yaml')
    // febrl1 has ids of febrl3: customers of those are there already.
    const { created = 0, duplicate = 0 } = counts['create-customer'] ?? {}
    expect(counts['create-customer']).toMatchObject({ already: 0, invalid: 0 })
    expect(created + duplicate).toBe(1000)
    expect(duplicate).toBeGreaterThan(0)
    expect(await written()).toEqual(before)
    await folder.remove()
  }, LONG)
})
