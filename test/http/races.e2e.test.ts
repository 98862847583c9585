import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accepted, makePlace, problemOf, startProcess, until, type Answer, type Place, type ServiceProcess } from '../support/http.ts'
import { enter, individual, itemsOf, nextMobile, organise, read, refused } from './people.ts'

const HUNDRED = Array.from({ length: 100 }, (_, index) => index)

describe('two service processes on one database', () => {
  let place: Place
  let processes: ServiceProcess[]
  beforeAll(async () => {
    place = await makePlace({ KEHU_RESERVATION_WAIT_MS: '2000' }, () => processes[0]?.url ?? '')
    processes = await Promise.all([startProcess(place), startProcess(place)])
    await organise(place, { north: null }, { zhao: 'north', qian: 'north', leaver: 'north', ...Object.fromEntries(HUNDRED.map((index) => [`rival-${index}`, 'north'])) })
  })
  afterAll(async () => {
    for (const one of processes) expect(await one.stop()).toBe(0)
    await place.close()
  })

  /** Half go to one process, half to the other. */
  const clerk = (employee: string, index: number) => place.as('clerk', employee, processes[index % 2]?.url)
  const countOf = (answers: readonly Answer[], status: number) => answers.filter((answer) => answer.status === status).length
  const eventsOf = async (type: string) => (await place.log.events()).filter((event) => event.type === type).length

  /** One of them entered it; all others are told which one, and who owns it since when. */
  const expectOne = async (answers: readonly Answer[], entered: number) => {
    expect([countOf(answers, 201), countOf(answers, 409)]).toEqual([1, 99])
    const [winner] = answers.filter((answer) => answer.status === 201).map(accepted)
    const { ownerSince } = await read(place.as('auditor'), winner?.customerId ?? '', winner?.position)
    for (const answer of answers.filter((one) => one.status === 409)) {
      expect(refused(answer, 409, 'duplicate-customer')['holder']).toEqual({ customerId: winner?.customerId, ownerId: expect.any(String), since: ownerSince, departmentId: expect.any(String) })
    }
    expect(await eventsOf('CustomerCreated')).toBe(entered + 1)
    return winner
  }

  it('of a hundred simultaneous entries of one mobile exactly one succeeds, and the others are told which', async () => {
    const entered = await eventsOf('CustomerCreated')
    const mobile = nextMobile()
    const written = [mobile, mobile.slice(3), `0086${mobile.slice(3)}`, `+86 ${mobile.slice(3, 6)}-${mobile.slice(6)}`]
    const answers = await Promise.all(HUNDRED.map((index) => clerk(`rival-${index}`, index).send('create-customer', individual({ identifiers: [{ kind: 'mobile', value: written[index % 4] }] }), { key: 'entry' })))
    const winner = await expectOne(answers, entered)
    expect(itemsOf(await place.as('auditor').get(`/customers?identifier=mobile:${mobile.slice(3)}`))).toMatchObject([{ customerId: winner?.customerId }])
  })

  it('the same with two identifiers, sent in either order', async () => {
    const entered = await eventsOf('CustomerCreated')
    const both = [{ kind: 'mobile', value: nextMobile() }, { kind: 'email', value: 'either@example.com' }]
    const answers = await Promise.all(HUNDRED.map((index) => clerk(`rival-${index}`, index).send('create-customer', individual({ identifiers: index % 4 < 2 ? both : both.toReversed() }), { key: 'either order' })))
    await expectOne(answers, entered)
  })

  it('where each wants two of three identifiers, no two end with the same one', async () => {
    const identifiers = [{ kind: 'mobile', value: nextMobile() }, { kind: 'email', value: 'three@example.com' }, { kind: 'uscc', value: '91350100M000100Y43' }]
    const answers = await Promise.all(HUNDRED.slice(0, 30).map((index) => clerk(`rival-${index}`, index).send('create-customer', individual({ identifiers: [identifiers[index % 3], identifiers[(index + 1) % 3]] }), { key: 'three' })))
    expect([countOf(answers, 201), countOf(answers, 409)]).toEqual([1, 29])
    for (const answer of answers.filter((one) => one.status === 409)) expect(['duplicate-customer', 'contention']).toContain(problemOf(answer).name)
  })

  it('of a hundred simultaneous claims by a hundred employees exactly one wins, and the losers are told who did', async () => {
    const { customerId } = await enter(place.as('clerk', 'zhao'), { claim: false })
    const answers = await Promise.all(HUNDRED.map((index) => clerk(`rival-${index}`, index).send('claim-ownership', { customerId })))
    expect([countOf(answers, 200), countOf(answers, 409)]).toEqual([1, 99])
    const winner = `rival-${answers.findIndex((answer) => answer.status === 200)}`
    for (const answer of answers.filter((one) => one.status === 409)) expect(refused(answer, 409, 'already-owned')['owner']).toEqual({ ownerId: winner, since: expect.any(String) })
    const last = answers.find((answer) => answer.status === 200)
    expect(await read(place.as('auditor'), customerId, last && accepted(last).position)).toMatchObject({ ownerId: winner, revision: 1 })
  })

  it('one key sent to both at once has one effect and one answer', async () => {
    const entered = await eventsOf('CustomerCreated')
    const body = individual()
    const answers = await Promise.all(HUNDRED.slice(0, 40).map((index) => clerk('zhao', index).send('create-customer', body, { key: 'both' })))
    expect(new Set(answers.map((answer) => `${answer.status} ${answer.text}`)).size).toBe(1)
    expect(await eventsOf('CustomerCreated')).toBe(entered + 1)
  })

  it('what one process accepted, the other shows: its queries take the position', async () => {
    for (const index of [0, 1]) {
      const { customerId, position } = accepted(await clerk('zhao', index).send('create-customer', individual({ name: `两边${index}` })))
      expect(await read(clerk('zhao', index + 1), customerId, position)).toMatchObject({ name: `两边${index}` })
    }
  })

  it('a departure recorded by one process ends the token at the other within moments', async () => {
    expect((await clerk('leaver', 1).get('/customers')).status).toBe(200)
    accepted(await place.as('admin', 'admin', processes[0]?.url).send('depart-employee', { employeeId: 'leaver', reason: '离职' }))
    expect((await clerk('leaver', 0).get('/customers')).status).toBe(401)
    const departed = performance.now()
    await until(async () => (await clerk('leaver', 1).get('/customers')).status === 401)
    expect(performance.now() - departed).toBeLessThan(5000)
  })

  it('a process told to stop finishes what it accepted: every answer given is in the log, and the other goes on', async () => {
    const [stays, goes] = processes
    const sender = place.as('clerk', 'qian', goes?.url)
    const sent = HUNDRED.map((index) => sender.send('create-customer', individual({ customerId: `stopped-${index}` })).catch(() => undefined))
    await Promise.race(sent)
    const asked = performance.now()
    expect(await goes?.stop()).toBe(0)
    // Connections that are kept alive do not hold it up.
    expect(performance.now() - asked).toBeLessThan(10_000)
    const answers = (await Promise.all(sent)).filter((answer) => answer !== undefined)
    for (const answer of answers) expect([201, 503]).toContain(answer.status)
    const inLog = new Set((await place.log.events()).filter((event) => event.type === 'CustomerCreated').map((event) => event.stream))
    expect(answers.filter((answer) => answer.status === 201).map(accepted).filter((made) => !inLog.has(made.streamId))).toEqual([])
    expect((await place.as('clerk', 'qian', stays?.url).send('create-customer', individual())).status).toBe(201)
  })
})
