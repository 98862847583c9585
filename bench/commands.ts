import { randomUUID } from 'node:crypto'
import type { LoadResult } from './http-load.ts'
import { median, type BenchmarkOptions, type Figure } from './report.ts'
import { sendAll, sendBatches, startBareRoute, startService } from './service.ts'

const ROUNDS = 3
const CONNECTIONS = 128
/** Customers whose streams are in memory, and customers nobody has touched since the service started. */
const WARM = CONNECTIONS * 16
const COLD = CONNECTIONS * 32
const BARE = CONNECTIONS * 64

type Request = { path: string; body: Record<string, unknown> }

const claim = (customerId: string): Request => ({ path: '/commands/claim-ownership', body: { customerId, reason: '老客户回访' } })
const release = (customerId: string): Request => ({ path: '/commands/release-ownership', body: { customerId, reason: '调岗' } })
const upgrade = (customerId: string, to: string): Request => ({ path: '/commands/upgrade-tier', body: { customerId, to, basis: 'approval', evidence: { approvedBy: '王经理' } } })
const downgrade = (customerId: string, to: string): Request => ({ path: '/commands/downgrade-tier', body: { customerId, to, basis: 'correction', evidence: { note: '复核' } } })

const customer = (customerId: string, claimed: boolean) => ({ command: 'create-customer', key: customerId, body: { customerId, category: 'individual-retail', name: `王小明${customerId.slice(0, 4)}`, identifiers: [], fields: { source: 'referral' }, contacts: [], claim: claimed } })

/** One of each command for each customer, in an order in which all are accepted; ends as it began. */
const passes = (customers: readonly string[]): Request[] =>
  [...customers.map(claim), ...customers.map((id) => upgrade(id, 'preferred')), ...customers.map((id) => downgrade(id, 'standard')), ...customers.map(release)]

/** Each connection is given requests in order: those of one customer must come one after the other, on one connection. */
const dealt = (requests: readonly Request[], customers: number): Request[] => {
  const share = customers / CONNECTIONS
  return Array.from({ length: CONNECTIONS }, (_, connection) => requests.filter((_request, index) => Math.floor((index % customers) / share) === connection)).flat()
}

/**
 * Claims, upgrades, downgrades and releases of existing customers over HTTP, 128 connections, tokens verified before,
 * beside a bare Fastify route with one INSERT on the same PostgreSQL.
 */
export const benchmarkCommands = async ({ say }: BenchmarkOptions): Promise<Figure[]> => {
  let service = await startService()
  const bare = await startBareRoute(service.databaseUrl)
  try {
    const token = await service.token('manager')
    const headers = { authorization: `Bearer ${token}` }
    const warm = Array.from({ length: WARM }, () => randomUUID())
    const cold = Array.from({ length: ROUNDS * COLD }, () => randomUUID())
    say(`entering ${warm.length + cold.length} customers`)
    const { refused } = await sendBatches(service.url, token, [...warm.map((id) => customer(id, false)), ...cold.map((id, index) => customer(id, index % 2 === 0))])
    if (refused.length > 0) throw new Error(`customers were refused: ${refused[0]}`)

    say('starting it over: nothing is in memory')
    service = await service.restart()
    await bare.stop()
    const again = await startBareRoute(service.databaseUrl)
    try {
      const kehu = async (requests: readonly Request[]) => {
        const result = await sendAll({ url: service.url, connections: CONNECTIONS, headers, requests: [...requests] })
        if (result.refused > requests.length / 200) throw new Error(`${result.refused} of ${requests.length} commands were refused`)
        return result
      }
      const plain = (count: number) => sendAll({ url: again.url, connections: CONNECTIONS, headers: {}, requests: Array.from({ length: count }, () => ({ path: '/bare', body: claim(randomUUID()).body })) })
      await plain(2000)
      const rounds: Record<'bare' | 'warm' | 'cold', LoadResult>[] = []
      // Who touches a customer first reads its stream: that is the cold part, on customers of its own in each round.
      await kehu(dealt(passes(warm), warm.length))
      for (let round = 0; round < ROUNDS; round += 1) {
        const own = cold.slice(round * COLD, (round + 1) * COLD)
        const bareRate = await plain(BARE)
        const warmRate = await kehu(dealt(passes(warm), warm.length))
        const coldRate = await kehu(own.map((id, index) => (index % 2 === 1 ? claim(id) : index % 4 === 0 ? release(id) : upgrade(id, 'preferred'))))
        rounds.push({ bare: bareRate, warm: warmRate, cold: coldRate })
        say(`round ${round + 1}: bare ${Math.round(bareRate.perSecond)}/s, warm ${Math.round(warmRate.perSecond)}/s, cold ${Math.round(coldRate.perSecond)}/s`)
      }
      const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick))
      return [
        { name: 'commands warm', value: of(({ warm: { perSecond } }) => perSecond), unit: 'commands/s', ratios: { 'insert-route': of((round) => round.warm.perSecond / round.bare.perSecond) } },
        { name: 'commands warm p99', value: of(({ warm: { p99 } }) => p99), unit: 'ms', ratios: { 'insert-route': of((round) => round.warm.p99 / round.bare.p99) } },
        { name: 'commands cold', value: of(({ cold: { perSecond } }) => perSecond), unit: 'commands/s', ratios: { 'insert-route': of((round) => round.cold.perSecond / round.bare.perSecond) } },
        { name: 'commands cold p99', value: of(({ cold: { p99 } }) => p99), unit: 'ms', ratios: { 'insert-route': of((round) => round.cold.p99 / round.bare.p99) } },
      ]
    } finally {
      await again.stop()
    }
  } finally {
    await service.stop()
  }
}
