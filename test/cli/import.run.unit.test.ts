import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readMap } from '../../src/cli/import/map.ts'
import { allIn, runImport } from '../../src/cli/import/run.ts'
import { ImportStopped } from '../../src/cli/import/send.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { EventStoreUnavailable } from '../../src/event-store/port.ts'
import { clear, importOf, logOf, makeFolder, makeMemoryWorld, none, people, peopleMap, salesMap } from './import.world.ts'

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

  it('stops when the report cannot be written, once what is under way has ended', async () => {
    const read = readMap(peopleMap, 'people.yaml')
    let under = 0
    const slow: Runtime = {
      ...runtime,
      store: {
        ...store,
        append: async (request) => {
          under += 1
          await new Promise((resolve) => setTimeout(resolve, 5))
          return store.append(request).finally(() => { under -= 1 })
        },
      },
    }
    const rows = async function* () {
      for (let number = 1; number <= 100; number += 1) yield { number, line: number, cells: new Map([['name', number === 1 ? '' : `客户${number}`], ['mobile', '']]) }
    }
    const full = runImport({ runtime: slow, map: read, rows: rows(), importId: 'x', actor: 'import', concurrency: 4, onRefusal: () => Promise.reject(new Error('the disk is full')) })
    await expect(full).rejects.toThrow('the disk is full')
    expect(under).toBe(0)
    expect((await logOf(runtime)).types.get('CustomerCreated')).toBeLessThan(100)
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
