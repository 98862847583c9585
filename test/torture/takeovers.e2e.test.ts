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
  await standsBy(second)
}, 120_000)
afterAll(async () => {
  first?.child.kill('SIGKILL')
  second?.child.kill('SIGKILL')
  await place.close()
})

/** A process answers before it has found out that another leads. */
const standsBy = (process: ServiceProcess | undefined) => until(async () => Health.parse(await (await fetch(`${process?.url ?? ''}/health/ready`)).json()).models.every(({ state }) => state === 'standby'))

const goesOn = async (process: ServiceProcess | undefined) => {
  const { url } = process ?? { url: '' }
  const { customerId } = accepted(await place.as('clerk', 'clerk', url).send('create-customer', individual()))
  accepted(await place.as('system', 'shop', url).send('record-purchase', { customerId, purchaseId: 'order-1', at: '2026-01-03T10:00:00+08:00', amount: { amount: 100, currency: 'CNY' } }))
  await until(async () => (await place.as('auditor', 'auditor', url).get(`/customers/${customerId}`)).text.includes('"stage":"active"'))
}

const takenOver = async (from: string, upset: () => void): Promise<number> => {
  const takeovers = watchTakeovers(place.database.url, () => 0)
  const begin = await takeovers.from([from])
  upset()
  begin()
  await until(() => takeovers.measured().count === 1)
  return takeovers.measured().slowestMs
}

it('of two processes on one database, what one led that stands still the other leads within 5 s, and so back when that one is killed: read models and reactions go on', { timeout: 120_000 }, async () => {
  expect(await takenOver('first', () => first?.child.kill('SIGSTOP'))).toBeLessThan(5000)
  await goesOn(second)
  first?.child.kill('SIGCONT')
  await standsBy(first)
  await goesOn(second)

  expect(await takenOver('second', () => second?.child.kill('SIGKILL'))).toBeLessThan(5000)
  await goesOn(first)
})
