import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { setTimeout } from 'node:timers/promises'
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
  /** Requests a second, evenly, over as many connections as it takes; absent: as fast as they are answered. */
  rate: z.int().min(1).optional(),
})
export type LoadPlan = z.infer<typeof LoadPlan>

export const LoadResult = z.object({ perSecond: z.number(), p50: z.number(), p99: z.number(), accepted: z.number(), refused: z.number(), seconds: z.number() })
export type LoadResult = z.infer<typeof LoadResult>

const resultOf = (latencies: number[], { accepted, refused, seconds }: Pick<LoadResult, 'accepted' | 'refused' | 'seconds'>): LoadResult => {
  latencies.sort((one, other) => one - other)
  const at = (part: number) => latencies[Math.floor(latencies.length * part)] ?? 0
  return { perSecond: (accepted + refused) / seconds, p50: at(0.5), p99: at(0.99), accepted, refused, seconds }
}

/** Each connection its share, one request after the other, as fast as they are answered. */
const asFastAsAnswered = async ({ url, connections, headers, requests }: LoadPlan): Promise<LoadResult> => {
  const share = Math.floor(requests.length / connections)
  let next = 0
  const latencies: number[] = []
  const started = performance.now()
  // autocannon ends at a full second: the last answer came when it came.
  let ended = started
  const result = await autocannon({
    url, connections, amount: share * connections, pipelining: 1, timeout: 60, method: 'POST',
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
  return resultOf(latencies, { accepted: result['2xx'], refused: result.non2xx + result.errors + result.timeouts, seconds: (ended - started) / 1000 })
}

/**
 * One request after the other at its time, evenly, whether those before are answered or not; how long it takes counts from
 * that time. autocannon, told a rate, sends all of a second's requests at its beginning.
 */
const evenly = async ({ url, connections, headers, requests }: LoadPlan, rate: number): Promise<LoadResult> => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const latencies: number[] = []
  let accepted = 0
  const send = ({ path, body }: LoadPlan['requests'][number], due: number) => new Promise<void>((resolve) => {
    const text = JSON.stringify(body)
    const sent = request(new URL(path, url), { method: 'POST', agent, headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } }, (response) => {
      response.resume().on('close', () => {
        latencies.push(performance.now() - due)
        if ((response.statusCode ?? 500) < 300) accepted += 1
        resolve()
      })
    })
    sent.on('error', () => resolve()).end(text)
  })
  const started = performance.now()
  const answers: Promise<void>[] = []
  for (const [n, one] of requests.entries()) {
    const due = started + (n * 1000) / rate
    const early = due - performance.now()
    if (early > 0) await setTimeout(early)
    answers.push(send(one, due))
  }
  await Promise.all(answers)
  agent.destroy()
  return resultOf(latencies, { accepted, refused: requests.length - accepted, seconds: (performance.now() - started) / 1000 })
}

const run = (plan: LoadPlan): Promise<LoadResult> => (plan.rate === undefined ? asFastAsAnswered(plan) : evenly(plan, plan.rate))

const [, , file] = process.argv
if (import.meta.main && file !== undefined) process.stdout.write(`${JSON.stringify(await run(LoadPlan.parse(JSON.parse(await readFile(file, 'utf8')))))}\n`)
