import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { readImport } from '../../src/cli/import/import.ts'
import { openReport } from '../../src/cli/import/report.ts'
import { runImport, type Counts, type ImportOptions, type Refusal, type Summary } from '../../src/cli/import/run.ts'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { recordedEvent } from '../../src/domain/events.ts'
import { customer } from '../../src/domain/customer/customer.ts'
import { purchases } from '../../src/domain/purchases/purchases.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import { makeMemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'

export const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }

/** A command side in memory, with the defaults of a new organisation. */
export const makeMemoryWorld = async () => {
  const store = makeMemoryStore()
  const runtime = makeRuntime(store, { reservationWaitMs: 20 })
  await bootstrapLog(runtime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })
  return { store, runtime }
}

/** A folder of its own for the files of a test. */
export const makeFolder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'kehu-import-'))
  const put = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(path, name), content)
    return join(path, name)
  }
  return { path, put, remove: () => rm(path, { recursive: true, force: true }) }
}

export type Ran = { summary: Summary; refusals: Refusal[]; counts: Record<string, Counts>; importId: string }
export type How = Partial<Pick<ImportOptions, 'actor' | 'concurrency' | 'signal' | 'retryRefused' | 'onRow'>> & { id?: string; report?: string }

/** Imports a file by a map, and gathers what was refused. */
export const importOf = async (runtime: Runtime, file: string, map: string, { id, report, ...more }: How = {}): Promise<Ran> => {
  const read = await readImport(file, { map, as: 'import', ...(id === undefined ? {} : { id }) })
  const refusals: Refusal[] = []
  const written = report === undefined ? undefined : await openReport(report)
  const summary = await runImport({
    runtime, map: read.map, rows: read.source.read(), importId: read.importId, actor: 'import', ...more,
    onRefusal: async (refusal) => {
      refusals.push(refusal)
      await written?.add(refusal)
    },
  })
  await written?.close()
  return { summary, refusals, counts: Object.fromEntries(summary.commands), importId: read.importId }
}

/** What is in the log, opened: customers by id, and purchases. */
export const logOf = async ({ store, codec }: Runtime) => {
  const customers = new Map<string, Extract<ReturnType<typeof customer.parse>, { type: 'CustomerCreated' }>['data'] & { actor: string; onBehalfOf: string | undefined }>()
  const bought: { customerId: string; purchaseId: string; at: string; amount: number; currency: string }[] = []
  const types = new Map<string, number>()
  for await (const batch of store.readAll({ after: 0n })) {
    for (const stored of await codec.decode(batch.events)) {
      types.set(stored.type, (types.get(stored.type) ?? 0) + 1)
      const id = stored.stream.slice(stored.stream.indexOf('-') + 1)
      const made = stored.type === 'CustomerCreated' ? recordedEvent(customer.parse, stored) : undefined
      if (made?.type === 'CustomerCreated') customers.set(id, { ...made.data, actor: stored.metadata.actor, onBehalfOf: stored.metadata.onBehalfOf })
      const sale = stored.type === 'PurchaseRecorded' ? recordedEvent(purchases.parse, stored) : undefined
      if (sale?.type === 'PurchaseRecorded') bought.push({ customerId: id, purchaseId: sale.data.purchaseId, at: sale.data.at, amount: sale.data.amount.amount, currency: sale.data.amount.currency })
    }
  }
  return { customers, purchases: bought, types }
}

/** A value about a person, in clear. */
export const clear = (value: unknown): unknown => (typeof value === 'object' && value !== null && 'value' in value ? value.value : value)

export const defineCategory = async (runtime: Runtime, body: unknown): Promise<void> => {
  const answer = await handleNamed(runtime, 'define-category', body, { caller: admin })
  if (answer.status !== 201) expect.fail(JSON.stringify(answer.body))
}

export const none = { created: 0, already: 0, duplicate: 0, invalid: 0 }

/** A file of so many customers, each with a mobile number. */
export const people = (count: number) => `name,mobile\n${Array.from({ length: count }, (_, index) => `客户${index},${13_800_000_000 + index}`).join('\n')}\n`
export const peopleMap = `
name: people
commands:
  - command: create-customer
    body:
      category: individual-retail
      name: { column: name }
      identifiers: [{ kind: mobile, value: { column: mobile } }]
      claim: false`
/** Customers at their first row, and a purchase from each row. */
export const salesMap = `
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
