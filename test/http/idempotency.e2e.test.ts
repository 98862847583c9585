import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accepted, problemOf, startService, type TestService } from '../support/http.ts'
import { enter, individual, organise, refused } from './people.ts'

describe('one key, one effect, one answer', () => {
  let service: TestService
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, south: null }, { zhao: 'north', qian: 'north', li: 'south' })
  })
  afterAll(() => service.close())

  /** Sends twice what the first time had an effect, or none: the log has the same length after the second. */
  const twice = async (employee: string, command: string, body: object, key: string) => {
    const sender = service.as('clerk', employee)
    const first = await sender.send(command, body, { key })
    const head = await service.head()
    const second = await sender.send(command, body, { key })
    expect(await service.head()).toBe(head)
    return { first, second }
  }

  it('an acceptance, a no-op and a refusal decided from state are answered again byte for byte', async () => {
    const body = individual({ contacts: [{ name: '甲', fields: { role: 'insider' } }] })
    const made = await twice('zhao', 'create-customer', body, 'made')
    const { customerId } = accepted(made.first)
    const noOp = await twice('zhao', 'claim-ownership', { customerId }, 'no-op')
    const duplicate = await twice('qian', 'create-customer', { ...individual(), identifiers: body.identifiers }, 'duplicate')
    const owned = await twice('li', 'claim-ownership', { customerId }, 'owned')
    expect([made, noOp, duplicate, owned].map(({ first }) => first.status)).toEqual([201, 200, 409, 409])
    for (const { first, second } of [made, noOp, duplicate, owned]) {
      expect([second.status, second.text, second.headers.get('content-type')]).toEqual([first.status, first.text, first.headers.get('content-type')])
      expect(await service.receipts(first.json instanceof Object && 'commandId' in first.json ? first.json.commandId : '')).toBe(1)
    }
    // The refusal stands under its key although what it ran into is gone; a new try takes a new key.
    accepted(await service.as('clerk', 'zhao').send('release-ownership', { customerId, reason: '放弃' }))
    expect((await service.as('clerk', 'li').send('claim-ownership', { customerId }, { key: 'owned' })).text).toBe(owned.first.text)
    expect(accepted(await service.as('clerk', 'li').send('claim-ownership', { customerId }, { key: 'owned once more' })).events).toHaveLength(1)
  })

  it('a refused attempt is on record once, however often its key is sent', async () => {
    const body = individual()
    await enter(service.as('clerk', 'zhao'), body)
    const { first } = await twice('qian', 'create-customer', { ...individual(), identifiers: body.identifiers }, 'once on record')
    const { rows } = await service.database.pool.query<{ n: string }>('select count(*) as n from kehu.refused_attempt where command_id = $1', [problemOf(first)['commandId']])
    expect(Number(rows[0]?.n)).toBe(1)
  })

  it('the same key with another body, another target or on behalf of another employee is 422, and does nothing', async () => {
    const zhao = service.as('clerk', 'zhao')
    const [one, two] = [await enter(zhao), await enter(zhao)]
    accepted(await zhao.send('change-profile', { customerId: one.customerId, name: '新名' }, { key: 'body' }))
    const head = await service.head()
    refused(await zhao.send('change-profile', { customerId: one.customerId, name: '别名' }, { key: 'body' }), 422, 'idempotency-key-reused')
    refused(await zhao.send('change-profile', { customerId: two.customerId, name: '新名' }, { key: 'body' }), 422, 'idempotency-key-reused')
    expect(await service.head()).toBe(head)
    const system = service.as('system')
    const body = individual()
    accepted(await system.send('create-customer', body, { key: 'behalf', onBehalfOf: 'zhao' }))
    refused(await system.send('create-customer', body, { key: 'behalf', onBehalfOf: 'qian' }), 422, 'idempotency-key-reused')
  })

  it('a key belongs to its caller and its command: others use the same one independently', async () => {
    const [zhao, qian] = [service.as('clerk', 'zhao'), service.as('clerk', 'qian')]
    const mine = accepted(await zhao.send('create-customer', individual(), { key: 'shared' }))
    const theirs = accepted(await qian.send('create-customer', individual(), { key: 'shared' }))
    expect(theirs.customerId).not.toBe(mine.customerId)
    expect(theirs.commandId).not.toBe(mine.commandId)
    expect(accepted(await zhao.send('change-stage', { customerId: mine.customerId, to: 'lost' }, { key: 'shared' })).events).toHaveLength(1)
  })

  it('a token issued anew is the same caller: the key counts on', async () => {
    const body = individual()
    const first = await service.as('clerk', 'zhao').send('create-customer', body, { key: 'reissued' })
    // A second later a token reads otherwise; here it is another role of the same employee that makes it another token.
    const again = await service.as('manager', 'zhao').send('create-customer', body, { key: 'reissued' })
    expect(again.text).toBe(first.text)
  })

  it('forty at once with one key: one effect, one answer', async () => {
    const sends = async (employee: string, command: string, body: object, key: string) => {
      const answers = await Promise.all(Array.from({ length: 40 }, () => service.as('clerk', employee).send(command, body, { key })))
      expect(new Set(answers.map((answer) => `${answer.status} ${answer.text}`)).size).toBe(1)
      return answers[0]
    }
    const before = await service.head()
    const body = individual()
    const made = await sends('zhao', 'create-customer', body, 'at once')
    expect(made?.status).toBe(201)
    // Both events and the reservation of the mobile.
    expect(await service.head()).toBe(before + 3)
    expect((await sends('qian', 'create-customer', { ...individual(), identifiers: body.identifiers }, 'refused at once'))?.status).toBe(409)
  })

  it('a 403, 404, 412, 422 or dry run leaves the key free', async () => {
    const [zhao, li] = [service.as('clerk', 'zhao'), service.as('clerk', 'li')]
    const { customerId } = await enter(zhao)
    const key = 'kept'
    const change = { customerId, name: '改后' }
    refused(await li.send('change-profile', change, { key }), 403, 'not-permitted')
    accepted(await zhao.send('share-customer', { customerId, employeeId: 'li', access: 'work' }))
    refused(await li.send('change-profile', { ...change, name: '' }, { key }), 422, 'invalid-body')
    refused(await li.send('change-profile', { ...change, fields: { nothing: 1 } }, { key }), 422, 'invalid-fields')
    refused(await li.send('change-profile', { ...change, customerId: 'nobody' }, { key }), 404, 'customer-not-found')
    refused(await li.send('change-profile', change, { key, ifMatch: '"0"' }), 412, 'precondition-failed')
    accepted(await li.send('change-profile', { ...change, name: '试' }, { key, dryRun: true }))
    expect(accepted(await li.send('change-profile', change, { key })).events).toHaveLength(1)
    refused(await li.send('downgrade-tier', { customerId, to: 'standard', basis: 'correction', evidence: '试' }, { key: 'role' }), 403, 'role-not-permitted')
    expect(accepted(await service.as('manager', 'li').send('release-ownership', { customerId: (await enter(li)).customerId, reason: '试' }, { key: 'role' })).events).toHaveLength(1)
  })

  it('a creation without an id of the caller’s is one creation for each key, and a new one without a key', async () => {
    const zhao = service.as('clerk', 'zhao')
    const body = { category: 'individual-retail', name: '无号' }
    const ids = [await zhao.send('create-customer', body, { key: 'a' }), await zhao.send('create-customer', body, { key: 'a' }), await zhao.send('create-customer', body), await zhao.send('create-customer', body)].map((answer) => accepted(answer).customerId)
    expect(ids[1]).toBe(ids[0])
    expect(new Set(ids).size).toBe(3)
  })
})
