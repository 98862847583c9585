import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accepted, problemOf, startService, type TestService } from '../support/http.ts'
import { commands, directing, holding, working, type At } from './commands.ts'
import { enter, individual, organise, read, refused } from './people.ts'

const all = [...working, ...holding, ...directing]
const nothing: string[] = []

// By hand, not from the code: of whom a customer is, and what a clerk or a manager may then send.
const ofClerk = {
  own: [...working, ...holding],
  'shared for work': working,
  'shared for work with the department above': working,
  'shared for reading': nothing,
  'of another department': nothing,
  'of a colleague': nothing,
  'in the pool of the own department': nothing,
  'in the pool of another department': nothing,
}
const ofManager = {
  own: all,
  'of the department': all,
  'of a department below': all,
  'in the pool, of a department below': all,
  'shared for work': working,
  'of a department beside': nothing,
  'of the department above': nothing,
  'in the pool, of a department beside': nothing,
}
// Who owns it, and what is done to it then: `pool` releases it, a name shares it with them.
const customers: Record<string, { owner: string; pool?: true; share?: object }> = {
  'clerk own': { owner: 'zhao' },
  'clerk shared for work': { owner: 'li', share: { employeeId: 'zhao', access: 'work' } },
  'clerk shared for work with the department above': { owner: 'li', share: { departmentId: 'north', access: 'work' } },
  'clerk shared for reading': { owner: 'li', share: { employeeId: 'zhao', access: 'read' } },
  'clerk of another department': { owner: 'li' },
  'clerk of a colleague': { owner: 'qian' },
  'clerk in the pool of the own department': { owner: 'qian', pool: true },
  'clerk in the pool of another department': { owner: 'li', pool: true },
  'manager own': { owner: 'boss' },
  'manager of the department': { owner: 'sun' },
  'manager of a department below': { owner: 'zhao' },
  'manager in the pool, of a department below': { owner: 'zhao', pool: true },
  'manager shared for work': { owner: 'li', share: { employeeId: 'boss', access: 'work' } },
  'manager of a department beside': { owner: 'li' },
  'manager of the department above': { owner: 'chief' },
  'manager in the pool, of a department beside': { owner: 'li', pool: true },
}

describe('whose customer it is', () => {
  let service: TestService
  const places = new Map<string, At>()
  beforeAll(async () => {
    service = await startService()
    await organise(service, { hq: null, north: 'hq', south: 'hq', 'north-1': 'north' }, { zhao: 'north-1', qian: 'north-1', sun: 'north', boss: 'north', li: 'south', chief: 'hq' })
    await Promise.all(Object.entries(customers).map(async ([relation, { owner, pool, share }], index) => {
      const sender = service.as('clerk', owner)
      const email = `relation${index}@example.com`
      const { customerId } = await enter(sender, { identifiers: [{ kind: 'email', value: email }], contacts: [{ name: '联系人' }] })
      let last = accepted(await service.as('system').send('upgrade-tier', { customerId, to: 'preferred', basis: 'approval', evidence: '批' }))
      if (share) last = accepted(await sender.send('share-customer', { customerId, ...share }))
      if (pool) last = accepted(await sender.send('release-ownership', { customerId, reason: '试' }))
      const { contacts: [contact] } = await read(service.as('auditor'), customerId, last.position)
      places.set(relation, { customerId, contactId: contact?.contactId ?? '', email })
    }))
  })
  afterAll(() => service.close())

  /** Which commands somebody may send, tried on a customer; nothing changes by it. */
  const tried = async (role: 'clerk' | 'manager', employee: string, relation: string) => {
    const at = places.get(`${role} ${relation}`) ?? { customerId: '', contactId: '', email: '' }
    const answers = await Promise.all(all.map(async (command) => ({ command, answer: await service.as(role, employee).send(command, commands[command]?.body(at), { dryRun: true }) })))
    for (const { command, answer } of answers) expect([relation, command, answer.status, answer.text]).toEqual([relation, command, expect.toBeOneOf([200, 403, 409]), expect.any(String)])
    const claim = await service.as(role, employee).send('claim-ownership', { customerId: at.customerId }, { dryRun: true })
    return { may: answers.filter(({ answer }) => answer.status !== 403).map(({ command }) => command), claim: claim.status }
  }

  it.each(Object.entries(ofClerk))('a clerk on a customer %s', async (relation, expected) => {
    const { may, claim } = await tried('clerk', 'zhao', relation)
    expect(may.sort()).toEqual([...expected].sort())
    // From the pool anyone claims; what one owns already is no claim, and what others own is refused.
    expect(claim).toBe(relation === 'own' || relation.startsWith('in the pool') ? 200 : 409)
  })

  it.each(Object.entries(ofManager))('a manager on a customer %s', async (relation, expected) => {
    const { may, claim } = await tried('manager', 'boss', relation)
    expect(may.sort()).toEqual([...expected].sort())
    expect(claim).toBe(relation === 'own' || relation.startsWith('in the pool') ? 200 : 409)
  })

  it('a refusal names the owner, and the attempt is on record', async () => {
    const { customerId } = places.get('clerk of another department') ?? { customerId: '' }
    expect(refused(await service.as('clerk', 'zhao').send('change-profile', { customerId, name: '偷改' }), 403, 'not-permitted')['ownerId']).toBe('li')
    const Attempts = z.object({ items: z.array(z.looseObject({ actor: z.string(), command: z.string(), problem: z.string(), stream: z.string().nullable() })) })
    const [last] = Attempts.parse((await service.as('auditor').get('/audit/attempts?limit=1')).json).items
    expect(last).toMatchObject({ actor: 'zhao', role: 'clerk', command: 'change-profile', problem: 'not-permitted', stream: `customer-${customerId}`, ranInto: { ownerId: 'li' } })
  })

  it('a system needs to say for whom where an employee is meant, and both are on record', async () => {
    const shop = service.as('system', 'shop')
    refused(await shop.send('create-customer', individual()), 422, 'on-behalf-of-required')
    const pooled = accepted(await shop.send('create-customer', individual({ claim: false })))
    refused(await shop.send('claim-ownership', { customerId: pooled.customerId }), 422, 'on-behalf-of-required')
    accepted(await shop.send('claim-ownership', { customerId: pooled.customerId }, { onBehalfOf: 'qian' }))
    const made = accepted(await shop.send('create-customer', individual(), { onBehalfOf: 'zhao' }))
    expect(await read(service.as('auditor'), made.customerId, made.position)).toMatchObject({ ownerId: 'zhao', enteredBy: 'zhao' })
    for (const [customerId, onBehalfOf] of [[made.customerId, 'zhao'], [pooled.customerId, 'qian']]) {
      const events = (await service.as('auditor').get(`/customers/${customerId}/events`)).json
      expect(events).toMatchObject({ items: [{}, { type: 'OwnershipClaimed', data: { ownerId: onBehalfOf }, metadata: { actor: 'shop', onBehalfOf } }] })
    }
    // Where nobody is meant, it acts by itself, everywhere.
    const { customerId } = places.get('clerk of another department') ?? { customerId: '' }
    expect(accepted(await shop.send('change-profile', { customerId, name: '系统改名' })).events).toHaveLength(1)
    expect(refused(await shop.send('create-customer', individual(), { onBehalfOf: 'nobody' }), 422, 'unknown-reference').errors).toMatchObject([{ path: 'On-Behalf-Of' }])
  })

  it('On-Behalf-Of from anyone else is refused with 403, and on record', async () => {
    for (const [role, employee] of [['clerk', 'zhao'], ['manager', 'boss']] as const) {
      const answer = await service.as(role, employee).send('create-customer', individual(), { onBehalfOf: 'qian' })
      expect([answer.status, problemOf(answer).name]).toEqual([403, 'role-not-permitted'])
      expect((await service.as('auditor').get('/audit/attempts?limit=1')).json).toMatchObject({ items: [{ actor: employee, onBehalfOf: 'qian', problem: 'role-not-permitted', command: 'create-customer' }] })
    }
    expect((await service.as('admin').send('register-department', { name: '代办' }, { onBehalfOf: 'qian' })).status).toBe(403)
  })

  it('a system whose name is an employee’s id is nobody: their keys would mix', async () => {
    refused(await service.as('system', 'zhao').send('create-customer', individual({ claim: false })), 401, 'unauthenticated')
  })

  it('who moves to another department works with that one’s customers from then on', async () => {
    await organise(service, {}, { mover: 'south' })
    const at = places.get('manager of the department') ?? { customerId: '', contactId: '', email: '' }
    const change = (name: string) => service.as('manager', 'mover').send('change-profile', { customerId: at.customerId, name })
    refused(await change('调动前'), 403, 'not-permitted')
    accepted(await service.as('admin').send('move-employee', { employeeId: 'mover', departmentId: 'north' }))
    accepted(await change('调动后'))
  })
})
