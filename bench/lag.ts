import { median, type BenchmarkOptions, type Figure } from './report.ts'
import { sendAll, startService } from './service.ts'
import { percentile } from './world.ts'
import { z } from 'zod'

const A_SECOND = 500
const SECONDS = 20
const WARM_SECONDS = 10
/** Commands a second whose effect is looked for in a query; the others are sent by autocannon. */
const LOOKED_FOR = 25
const CUSTOMERS = 1000
const CONNECTIONS = 50

const Accepted = z.object({ customerId: z.string(), revision: z.number(), position: z.string() })
const Seen = z.object({ revision: z.number() })

/** From the answer to a command until a query shows what it did, while commands keep coming. */
export const benchmarkLag = async ({ say }: BenchmarkOptions): Promise<Figure[]> => {
  const service = await startService()
  try {
    const headers = { authorization: `Bearer ${await service.token('clerk')}` }
    const send = async (command: string, body: object) => {
      const response = await fetch(`${service.url}/commands/${command}`, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) })
      if (response.status >= 300) throw new Error(`${command}: ${response.status} ${await response.text()}`)
      return Accepted.parse(await response.json())
    }
    /** A query that waits for what a command did: asking again and again would be a load of its own. */
    const see = async ({ customerId, revision, position }: z.infer<typeof Accepted>) => {
      const response = await fetch(`${service.url}/customers/${customerId}?after=${position}`, { headers })
      const body: unknown = await response.json()
      if (response.status !== 200 || Seen.parse(body).revision < revision) throw new Error(`${customerId} is not there: ${response.status}`)
    }
    let entered = 0
    const newCustomer = () => {
      entered += 1
      const name = `${'赵钱孙李周吴郑王'.charAt(entered % 8)}${String.fromCodePoint(0x4e00 + (entered % 5000), 0x4e00 + ((entered * 7) % 5000))}`
      return { category: 'individual-retail', name, identifiers: [{ kind: 'mobile', value: `139${String((entered * 7_654_321) % 100_000_000).padStart(8, '0')}` }], fields: { source: 'referral' }, contacts: [] }
    }
    const customers: string[] = []
    while (customers.length < CUSTOMERS) customers.push(...(await Promise.all(Array.from({ length: 20 }, () => send('create-customer', newCustomer())))).map((one) => one.customerId))
    const command = (n: number) => (n % 8 === 0 ? { name: 'create-customer', body: newCustomer() } : { name: 'change-profile', body: { customerId: customers[n % CUSTOMERS], fields: { notes: `${n}` } } })
    say(`${A_SECOND} commands a second over HTTP for ${SECONDS} s, after ${WARM_SECONDS} s to warm up: one in eight enters a customer with an identifier, the others change profiles; ${LOOKED_FOR} of them a second are looked for at once with GET, which waits until they are there`)

    const rate = A_SECOND - LOOKED_FOR
    const requests = Array.from({ length: rate * (WARM_SECONDS + SECONDS) }, (_, n) => command(n)).map(({ name, body }) => ({ path: `/commands/${name}`, body }))
    const load = sendAll({ url: service.url, connections: CONNECTIONS, headers, requests, rate })
    const lags: number[] = []
    const look = async (n: number): Promise<void> => {
      const { name, body } = command(n)
      const accepted = await send(name, body)
      const answered = performance.now()
      await see(accepted)
      if (n >= WARM_SECONDS * LOOKED_FOR) lags.push(performance.now() - answered)
    }
    const looks: Promise<void>[] = []
    const started = performance.now()
    for (let n = 0; n < (WARM_SECONDS + SECONDS) * LOOKED_FOR; n += 1) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, started + (n * 1000) / LOOKED_FOR - performance.now())))
      looks.push(look(n))
    }
    const [sent] = await Promise.all([load, Promise.all(looks)])
    if (sent.refused > requests.length / 200) throw new Error(`${sent.refused} of ${requests.length} commands were refused`)
    return [
      { name: 'lag', value: percentile(lags, 0.99), unit: 'ms (p99)', ratios: {} },
      { name: 'lag p50', value: median(lags), unit: 'ms', ratios: {} },
      { name: 'lag commands', value: sent.perSecond + LOOKED_FOR, unit: 'commands/s', ratios: {} },
      { name: 'lag commands p99', value: sent.p99, unit: 'ms', ratios: {} },
    ]
  } finally {
    await service.stop()
  }
}
