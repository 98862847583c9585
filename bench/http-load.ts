import { readFile } from 'node:fs/promises'
import autocannon from 'autocannon'
import { z } from 'zod'

/**
 * Sends the requests of a file over so many connections, each its own share in order, and prints what came of it as
 * one line of JSON. A process of its own, so that it shares no event loop with what is measured:
 * node --import tsx bench/http-load.ts <file>
 */
export const LoadPlan = z.object({
  url: z.string(),
  connections: z.int().min(1),
  headers: z.record(z.string(), z.string()),
  requests: z.array(z.object({ path: z.string(), body: z.unknown() })),
  /** Requests a second, over all connections; absent: as fast as they are answered. */
  rate: z.int().min(1).optional(),
})
export type LoadPlan = z.infer<typeof LoadPlan>

export const LoadResult = z.object({ perSecond: z.number(), p50: z.number(), p99: z.number(), accepted: z.number(), refused: z.number(), seconds: z.number() })
export type LoadResult = z.infer<typeof LoadResult>

const run = async ({ url, connections, headers, requests, rate }: LoadPlan): Promise<LoadResult> => {
  const share = Math.floor(requests.length / connections)
  let next = 0
  const latencies: number[] = []
  const started = performance.now()
  // autocannon ends at a full second: the last answer came when it came.
  let ended = started
  const result = await autocannon({
    url, connections, amount: share * connections, pipelining: 1, timeout: 60, method: 'POST', ...(rate === undefined ? {} : { overallRate: rate }),
    setupClient: (client) => {
      const own = requests.slice(next * share, (next + 1) * share)
      next += 1
      client.setRequests(own.map(({ path, body }) => ({ method: 'POST', path, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) })))
      client.on('response', (_status: number, _bytes: number, ms: number) => {
        latencies.push(ms)
        ended = performance.now()
      })
    },
  })
  const seconds = (ended - started) / 1000
  latencies.sort((one, other) => one - other)
  const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? 0
  return { perSecond: (result['2xx'] + result.non2xx) / seconds, p50: at(0.5), p99: at(0.99), accepted: result['2xx'], refused: result.non2xx + result.errors + result.timeouts, seconds }
}

const [, , file] = process.argv
if (import.meta.main && file !== undefined) process.stdout.write(`${JSON.stringify(await run(LoadPlan.parse(JSON.parse(await readFile(file, 'utf8')))))}\n`)
