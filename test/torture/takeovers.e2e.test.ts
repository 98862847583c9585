import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { individual } from '../http/people.ts'
import { accepted, makePlace, startProcess, until, type Place, type ServiceProcess } from '../support/http.ts'
import { watchTakeovers } from './takeovers.ts'

const Health = z.looseObject({ models: z.array(z.looseObject({ state: z.string() })) })

let place: Place
let first: ServiceProcess | undefined
let second: ServiceProcess | undefined
/** Whom the tests ask. */
let asked: ServiceProcess | undefined
const standsBy = async (process: ServiceProcess | undefined) =>
  Health.parse(await (await fetch(`${process?.url ?? ''}/health/ready`)).json()).models.every(({ state }) => state === 'standby')

beforeAll(async () => {
  place = await makePlace({}, () => asked?.url ?? '')
  const named = (name: string) => ({ DATABASE_URL: `${place.database.url}?application_name=${name}` })
  first = await startProcess(place, named('first'))
  second = await startProcess(place, named('second'))
  // It answers before it has found out that another leads.
  await until(() => standsBy(second))
})
afterAll(async () => {
  second?.child.kill('SIGKILL')
  await first?.stop()
  await place.close()
})

/** How long, in ms, what a process led is led by nobody after this is done to it. */
const replacedAfter = async (life: string, upset: () => unknown): Promise<number> => {
  const takeovers = watchTakeovers(place.database.url, () => 0)
  const begin = await takeovers.from([life])
  upset()
  begin()
  await until(() => takeovers.measured().count === 1)
  return takeovers.measured().slowestMs
}
/** A reaction, and a read model that shows it: both need somebody who leads. */
const sees = async (customerId: string) => until(async () => (await place.as('auditor').get(`/customers/${customerId}`)).text.includes('"stage":"active"'))
const buy = async (customerId: string, purchaseId: string) =>
  accepted(await place.as('system', 'shop').send('record-purchase', { customerId, purchaseId, at: '2026-01-03T10:00:00+08:00', amount: { amount: 100, currency: 'CNY' } }))
const enterAndBuy = async (purchaseId: string): Promise<string> => {
  const { customerId } = accepted(await place.as('clerk').send('create-customer', individual()))
  await buy(customerId, purchaseId)
  await sees(customerId)
  return customerId
}

it('of two processes on one database, what one leads that stands still the other leads within 5 s; when it goes on, it stands by, answers and writes', async () => {
  expect(await replacedAfter('first', () => first?.child.kill('SIGSTOP'))).toBeLessThan(5000)
  asked = second
  const customerId = await enterAndBuy('order-1')

  first?.child.kill('SIGCONT')
  asked = first
  await until(() => standsBy(first))
  await sees(customerId)
  await buy(customerId, 'order-1b')
  const { text } = await place.as('auditor').get(`/customers/${customerId}/history`)
  expect(text.match(/"type":"StageChanged"/g)).toHaveLength(1)
})

it('of two processes on one database, what the killed one led the other leads within 5 s: read models and reactions go on', async () => {
  expect(await replacedAfter('second', () => second?.child.kill('SIGKILL'))).toBeLessThan(5000)
  asked = first
  await enterAndBuy('order-2')
})
