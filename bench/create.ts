import { randomUUID } from 'node:crypto'
import type { LoadResult } from './http-load.ts'
import { median, type BenchmarkOptions, type Figure } from './report.ts'
import { sendAll, sendBatches, startBareRoute, startService } from './service.ts'

const ROUNDS = 3
const CONNECTIONS = 128
const CREATES = CONNECTIONS * 24
const BARE = CONNECTIONS * 64
const BATCH_LINES = 6000

let entered = 0
/** A customer with one identifier, owned, the profile sealed. Near matches are not looked for: what that costs `duplicates` measures. */
const customer = () => {
  entered += 1
  const name = `${'赵钱孙李周吴郑王'.charAt(entered % 8)}${String.fromCodePoint(0x4e00 + (entered % 5000), 0x4e00 + ((entered * 7) % 5000))}`
  return { customerId: randomUUID(), category: 'individual-retail', name, identifiers: [{ kind: 'mobile', value: `139${String(entered).padStart(8, '0')}` }], fields: { source: 'referral' }, contacts: [], nearMatchCheck: false }
}
const claimLine = (customerId: string) => ({ command: 'claim-ownership', key: randomUUID(), body: { customerId, reason: '老客户回访' }, onBehalfOf: 'manager' })
const createLine = () => ({ command: 'create-customer', key: randomUUID(), body: customer(), onBehalfOf: 'manager' })
const unowned = () => ({ command: 'create-customer', key: randomUUID(), body: { ...customer(), identifiers: [], claim: false } })

/** Customers entered over HTTP, 128 connections, beside a bare Fastify route with one INSERT. */
export const benchmarkCreate = async ({ say }: BenchmarkOptions): Promise<Figure[]> => {
  const service = await startService()
  const bare = await startBareRoute(service.databaseUrl)
  try {
    const headers = { authorization: `Bearer ${await service.token('system')}`, 'on-behalf-of': 'manager' }
    const create = (count: number) => sendAll({ url: service.url, connections: CONNECTIONS, headers, requests: Array.from({ length: count }, () => ({ path: '/commands/create-customer', body: customer() })) })
    const plain = (count: number) => sendAll({ url: bare.url, connections: CONNECTIONS, headers: {}, requests: Array.from({ length: count }, () => ({ path: '/bare', body: { customerId: randomUUID(), reason: '老客户回访' } })) })
    await plain(2000)
    await create(CONNECTIONS * 4)
    const rounds: Record<'bare' | 'kehu', LoadResult>[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const one = { bare: await plain(BARE), kehu: await create(CREATES) }
      if (one.kehu.refused > 0) throw new Error(`${one.kehu.refused} customers were refused`)
      rounds.push(one)
      say(`round ${round + 1}: bare ${Math.round(one.bare.perSecond)}/s, create ${Math.round(one.kehu.perSecond)}/s`)
    }
    const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick))
    return [
      { name: 'create', value: of(({ kehu }) => kehu.perSecond), unit: 'customers/s', ratios: { 'insert-route': of((round) => round.kehu.perSecond / round.bare.perSecond) } },
      { name: 'create p99', value: of(({ kehu }) => kehu.p99), unit: 'ms', ratios: { 'insert-route': of((round) => round.kehu.p99 / round.bare.p99) } },
    ]
  } finally {
    await bare.stop()
    await service.stop()
  }
}

/** NDJSON batches of 1,000, one after the other, beside a bare bulk route with multi-row INSERTs that is sent the same bytes. */
export const benchmarkBatch = async ({ say }: BenchmarkOptions): Promise<Figure[]> => {
  const service = await startService()
  const bare = await startBareRoute(service.databaseUrl)
  try {
    const token = await service.token('system')
    const send = async (lines: readonly object[]): Promise<number> => {
      const { perSecond, refused } = await sendBatches(service.url, token, lines)
      if (refused.length > 0) throw new Error(`${refused.length} lines were refused: ${refused[0]}`)
      return perSecond
    }
    const bulk = async (lines: readonly object[]): Promise<number> => {
      const started = performance.now()
      for (let from = 0; from < lines.length; from += 1000) {
        const response = await fetch(`${bare.url}/bulk`, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: lines.slice(from, from + 1000).map((line) => `${JSON.stringify(line)}\n`).join('') })
        if (!response.ok) throw new Error(`the bulk route answered ${response.status}`)
      }
      return (lines.length / (performance.now() - started)) * 1000
    }
    const many = <Line>(make: () => Line) => Array.from({ length: BATCH_LINES }, make)
    await send(many(unowned).slice(0, 1000))
    await bulk(many(createLine))
    const rounds: Record<'bulk' | 'creates' | 'claims', number>[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const pool = many(unowned)
      await send(pool)
      const one = { bulk: await bulk(many(createLine)), creates: await send(many(createLine)), claims: await send(pool.map(({ body }) => claimLine(body.customerId))) }
      rounds.push(one)
      say(`round ${round + 1}: bulk route ${Math.round(one.bulk)}/s, creates ${Math.round(one.creates)}/s, claims ${Math.round(one.claims)}/s`)
    }
    const figure = (name: string, what: 'creates' | 'claims'): Figure => ({ name, value: median(rounds.map((round) => round[what])), unit: 'lines/s', ratios: { 'bulk-route': median(rounds.map((round) => round[what] / round.bulk)) } })
    return [figure('batch claims', 'claims'), figure('batch creates', 'creates')]
  } finally {
    await bare.stop()
    await service.stop()
  }
}
