import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { BenchmarkOptions, Figure } from './report.ts'
import { openWorld, percentile } from './world.ts'

const A_SECOND = 500
const SECONDS = 20
const WARM_SECONDS = 5
/** One command in so many is looked for in a query. */
const LOOKED_FOR = 10
const CUSTOMERS = 1000
const TICK_MS = 10
/** More than this at once means that the machine does not reach the rate: the rate reached is told with the figure. */
const MOST_UNDER_WAY = 256

const Accepted = z.object({ customerId: z.string(), revision: z.number() })
const Seen = z.object({ revision: z.number() })

/** The service in a process of its own, and how to speak to it. */
const startService = async (url: string, dataDir: string) => {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, '../src/cli/kehu.ts'), 'serve'], { env: { ...process.env, DATABASE_URL: url, KEHU_DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'warn' }, stdio: ['ignore', 'pipe', 'inherit'] })
  const address = await new Promise<string>((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const [, found] = /answers at (\S+)/.exec(output) ?? []
      if (found !== undefined) resolve(found)
    })
    child.on('exit', () => reject(new Error(`the service did not start: ${output}`)))
  })
  const clerk = { authorization: `Bearer ${(await readFile(join(dataDir, 'tokens', 'clerk'), 'utf8')).trim()}` }
  return {
    send: async (command: string, body: object) => {
      const response = await fetch(`${address}/commands/${command}`, { method: 'POST', headers: { ...clerk, 'content-type': 'application/json' }, body: JSON.stringify(body) })
      if (response.status >= 300) throw new Error(`${command}: ${response.status} ${await response.text()}`)
      return Accepted.parse(await response.json())
    },
    /** Whether a query, not told to wait, shows this revision. */
    shows: async (customerId: string, revision: number) => {
      const response = await fetch(`${address}/customers/${customerId}`, { headers: clerk })
      const body: unknown = await response.json()
      return response.status === 200 && Seen.parse(body).revision >= revision
    },
    stop: async () => {
      child.kill('SIGTERM')
      await new Promise((resolve) => child.on('close', resolve))
    },
  }
}

/** From the answer to a command until a query shows what it did, while commands keep coming. */
export const benchmarkLag = async ({ say }: BenchmarkOptions): Promise<Figure[]> => {
  const world = await openWorld()
  const service = await startService(world.url, join(world.folder, 'kehu'))
  try {
    let entered = 0
    const create = () => {
      entered += 1
      return service.send('create-customer', { category: 'individual-retail', name: '王小明', identifiers: [{ kind: 'mobile', value: `139${String(entered).padStart(8, '0')}` }], fields: { source: 'referral' }, contacts: [] })
    }
    const customers: string[] = []
    while (customers.length < CUSTOMERS) customers.push(...(await Promise.all(Array.from({ length: 20 }, create))).map((one) => one.customerId))
    say(`${A_SECOND} commands a second over HTTP for ${SECONDS} s, after ${WARM_SECONDS} s to warm up: one in five enters a customer with an identifier, the others change profiles; one in ${LOOKED_FOR} is looked for with GET, again and again without a pause, until it is there`)

    const lags: number[] = []
    const underWay = new Set<Promise<void>>()
    let done = 0
    let failure: unknown
    const command = async (n: number): Promise<void> => {
      const { customerId, revision } = n % 5 === 0 ? await create() : await service.send('change-profile', { customerId: customers[n % CUSTOMERS], fields: { notes: `${n}` } })
      const answered = performance.now()
      done += 1
      if (Math.floor(n / 5) % LOOKED_FOR !== 0) return
      while (!(await service.shows(customerId, revision)));
      if (n >= WARM_SECONDS * A_SECOND) lags.push(performance.now() - answered)
    }
    const started = performance.now()
    for (let n = 0; n < (WARM_SECONDS + SECONDS) * A_SECOND; ) {
      for (const due = ((performance.now() - started) / 1000) * A_SECOND; n < due; n += 1) {
        const one: Promise<void> = command(n).catch((error: unknown) => {
          failure ??= error
        }).finally(() => underWay.delete(one))
        underWay.add(one)
        if (underWay.size >= MOST_UNDER_WAY) await Promise.race(underWay)
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    }
    await Promise.all(underWay)
    if (failure) throw failure instanceof Error ? failure : new Error('a request failed')
    const rate = done / ((performance.now() - started) / 1000)
    say(`${Math.round(rate)} commands a second were answered; ${lags.length} were looked for`)
    return [
      { name: 'lag', value: percentile(lags, 0.99), unit: 'ms (p99)', ratios: {} },
      { name: 'lag p50', value: percentile(lags, 0.5), unit: 'ms', ratios: {} },
      { name: 'lag commands', value: rate, unit: 'commands/s', ratios: {} },
    ]
  } finally {
    await service.stop()
    await world.close()
  }
}
