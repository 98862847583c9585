import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../src/config.ts'
import { openCore } from '../src/main.ts'
import { customerLookup } from '../src/projections/customer-lookup/project.ts'
import type { Projection } from '../src/projections/projection.ts'
import { compareWithReplay } from '../src/projections/rebuild.ts'
import { accepted, makePlace, startProcess, until, type Place, type ServiceProcess } from './support/http.ts'
import { runTypeScript } from './support/node.ts'

const COMMANDS_A_SECOND = 200
const MOST_UNDER_WAY = 32

describe('a new version of a read model, brought in by a second process under load', () => {
  let place: Place
  let first: ServiceProcess
  beforeAll(async () => {
    place = await makePlace({}, () => first.url)
    first = await startProcess(place)
  })
  afterAll(async () => {
    await first.stop()
    await place.close()
  })

  /** Sends commands at a rate, and reads what each has written, wherever requests are sent to at the time. */
  const load = (target: () => string) => {
    const entered: string[] = []
    const failed: string[] = []
    const underWay = new Map<Promise<void>, string>()
    let going = true
    const request = async (n: number, url: string): Promise<void> => {
      const answer = await place.as('clerk', 'clerk', url).send('create-customer', { category: 'individual-retail', name: '王小明', identifiers: [{ kind: 'mobile', value: `139${String(n).padStart(8, '0')}` }], fields: { source: 'referral' }, contacts: [] })
      if (answer.status !== 201) return void failed.push(`${answer.status} ${answer.text}`)
      const { customerId, position } = accepted(answer)
      entered.push(customerId)
      const seen = await place.as('clerk', 'clerk', url).get(`/customers/${customerId}?after=${position}`)
      if (seen.status !== 200) failed.push(`${seen.status} ${seen.text}`)
    }
    const sending = (async () => {
      for (let n = 0; going; n += 1) {
        const url = target()
        const one: Promise<void> = request(n, url).catch((error: unknown) => void failed.push(String(error))).finally(() => underWay.delete(one))
        underWay.set(one, url)
        if (underWay.size >= MOST_UNDER_WAY) await Promise.race(underWay.keys())
        await new Promise((resolve) => setTimeout(resolve, 1000 / COMMANDS_A_SECOND))
      }
      await Promise.all(underWay.keys())
    })()
    return {
      entered, failed,
      /** Nothing that was sent there is still under way. */
      left: async (url: string) => {
        await Promise.all([...underWay].flatMap(([one, sentTo]) => (sentTo === url ? [one] : [])))
      },
      stop: async () => {
        going = false
        await sending
      },
    }
  }

  it('takes over without a failed request: the first answers until the second is ready; nothing is missed or doubled', async () => {
    let target = first.url
    const traffic = load(() => target)
    await until(() => traffic.entered.length > 100)

    const go = join(place.environment['KEHU_DATA_DIR'] ?? '', 'build')
    const second = spawn(process.execPath, [...runTypeScript, '--import', './test/support/next-version.ts', 'src/cli/kehu.ts', 'serve'], { env: { ...process.env, ...place.environment, KEHU_TEST_BUILD_WHEN: go }, stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    second.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await until(() => /answers at http:\S+/.test(output))
    const url = /answers at (http:\S+)/.exec(output)?.[1] ?? ''
    const health = async () => {
      const response = await fetch(`${url}/health/ready`)
      return { status: response.status, body: await response.json() as unknown }
    }
    // A balancer sends nothing there yet; commands would be accepted, and queries of this model say how far it is.
    expect(await health()).toMatchObject({ status: 503, body: { status: 'starting' } })
    const building = await fetch(`${url}/customers`, { headers: { authorization: `Bearer ${await place.token('manager', 'manager')}` } })
    expect(building.status).toBe(503)
    expect(building.headers.get('retry-after')).not.toBeNull()
    expect(await building.json()).toMatchObject({ model: 'customer-lookup', position: '0', end: expect.stringMatching(/^[1-9]\d*$/) })
    const before = traffic.entered.length
    await until(() => traffic.entered.length > before + 100)

    await writeFile(go, '')
    await until(async () => (await health()).status === 200)
    target = url
    await traffic.left(first.url)
    expect(await first.stop()).toBe(0)
    const switched = traffic.entered.length
    await until(() => traffic.entered.length > switched + 100)
    await traffic.stop()
    expect(traffic.failed).toEqual([])

    const core = await openCore(readConfig(place.environment), place.database.url, () => undefined)
    const raised: Projection = { ...customerLookup, version: customerLookup.version + 1 }
    const { rows } = await place.database.pool.query<{ customer_id: string }>(`select customer_id from customer_lookup_v${raised.version}.customer`)
    expect(rows.map((row) => row.customer_id).toSorted()).toEqual(traffic.entered.toSorted())
    expect((await place.log.events()).filter((event) => event.type === 'CustomerCreated')).toHaveLength(traffic.entered.length)
    expect(await compareWithReplay({ db: core.db, store: core.runtime.store, codec: core.runtime.codec, placeId: core.placeId, analystRole: null }, raised)).toEqual([])
    await core.close()
    second.kill('SIGTERM')
    await once(second, 'exit')
  })
})
