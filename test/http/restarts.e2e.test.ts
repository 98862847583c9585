import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { accepted, makePlace, startProcess, until, type Place, type ServiceProcess } from '../support/http.ts'
import { individual } from './people.ts'

const Health = z.looseObject({ reason: z.string().nullable() })

/** A port nobody uses now. */
const freePort = (): Promise<number> => new Promise((resolve, reject) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const address = server.address()
    server.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
  })
})

let url = ''
let place: Place
let running: ServiceProcess | undefined
beforeAll(async () => {
  url = `http://127.0.0.1:${await freePort()}`
  place = await makePlace({ PORT: new URL(url).port }, () => url)
  running = await startProcess(place)
})
afterAll(async () => {
  await running?.stop()
  await place.close()
})

it('killed and started over it is ready once queries show all that was acknowledged, and says until then why it is not', async () => {
  const entered = await Promise.all(Array.from({ length: 20 }, async () => accepted(await place.as('clerk').send('create-customer', individual()))))
  const ended = new Promise((resolve) => running?.child.once('exit', resolve))
  running?.child.kill('SIGKILL')
  await ended
  const starting = startProcess(place)
  const reasons = new Set<string | null>()
  let answering: number | undefined
  await until(async () => {
    const answer = await fetch(`${url}/health/ready`).catch(() => undefined)
    if (answer) answering ??= performance.now()
    if (answer?.status === 503) reasons.add(Health.parse(await answer.json()).reason)
    return answer?.status === 200
  })
  const waited = performance.now() - (answering ?? 0)
  const found = await Promise.all(entered.map(async ({ customerId }) => (await place.as('auditor').get(`/customers/${customerId ?? ''}`)).status))
  // It waits eight seconds and no longer: a machine that is as busy as that shows what is missing later.
  if (waited < 7000) expect(found).toEqual(entered.map(() => 200))
  expect(reasons).not.toContain(null)
  running = await starting
})
