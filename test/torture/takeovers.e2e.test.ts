import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { individual } from '../http/people.ts'
import { accepted, makePlace, startProcess, until, type Place, type ServiceProcess } from '../support/http.ts'
import { watchTakeovers } from './takeovers.ts'

const Health = z.looseObject({ models: z.array(z.looseObject({ state: z.string() })) })

let place: Place
let first: ServiceProcess | undefined
let second: ServiceProcess | undefined
beforeAll(async () => {
  place = await makePlace({}, () => second?.url ?? '')
  const named = (name: string) => ({ DATABASE_URL: `${place.database.url}?application_name=${name}` })
  first = await startProcess(place, named('first'))
  second = await startProcess(place, named('second'))
  // It answers before it has found out that another leads.
  await until(async () => Health.parse(await (await fetch(`${second?.url ?? ''}/health/ready`)).json()).models.every(({ state }) => state === 'standby'))
}, 120_000)
afterAll(async () => {
  first?.child.kill('SIGKILL')
  await second?.stop()
  await place.close()
})

it('of two processes on one database, what the killed one led the other leads within 5 s: read models and reactions go on', { timeout: 60_000 }, async () => {
  const takeovers = watchTakeovers(place.database.url, () => 0)
  const begin = await takeovers.from(['first'])
  first?.child.kill('SIGKILL')
  begin()
  await until(() => takeovers.measured().count === 1)
  expect(takeovers.measured().slowestMs).toBeLessThan(5000)

  const { customerId } = accepted(await place.as('clerk').send('create-customer', individual()))
  accepted(await place.as('system', 'shop').send('record-purchase', { customerId, purchaseId: 'order-1', at: '2026-01-03T10:00:00+08:00', amount: { amount: 100, currency: 'CNY' } }))
  await until(async () => (await place.as('auditor').get(`/customers/${customerId}`)).text.includes('"stage":"active"'))
})
