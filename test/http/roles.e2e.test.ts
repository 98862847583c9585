import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registry } from '../../src/commands/registry.ts'
import { accepted, problemOf, roles, startService, type RoleName, type Sender, type TestService } from '../support/http.ts'
import { operationsOf, type Operation } from '../support/openapi.ts'
import { commands, later, queries, type At } from './commands.ts'
import { enter, organise, read } from './people.ts'

const subjects: Record<RoleName, string> = { clerk: 'zhao', manager: 'boss', system: 'shop', admin: 'admin', auditor: 'auditor', analyst: 'analyst' }
const mayWork = ['clerk', 'manager', 'system'] as const

describe('roles', () => {
  let service: TestService
  let operations: Operation[]
  const senders = new Map<RoleName, Sender>()
  const customers = new Map<string, At>()
  const as = (role: RoleName): Sender => senders.get(role) ?? service.as(role)
  /** A system acts for an employee. */
  const behalf = (role: RoleName) => (role === 'system' ? { onBehalfOf: 'zhao' } : {})
  const atFor = (role: RoleName, command: string): At => customers.get(`${role}-${command}`) ?? customers.get(`clerk-${command}`) ?? { customerId: 'nobody', contactId: 'nobody', email: 'nobody@example.com' }

  beforeAll(async () => {
    service = await startService()
    await organise(service, { hq: null, north: 'hq', 'north-1': 'north', movable: 'north' }, { zhao: 'north-1', boss: 'north', sun: 'north-1', mover: 'north', leaver: 'north' })
    for (const role of roles) senders.set(role, service.as(role, subjects[role]))
    operations = operationsOf((await service.with(undefined).get('/openapi.json')).json)
    // For each role that works with customers, one of its own for each command; in the pool where the command takes it from there.
    const needed = Object.entries(commands).filter(([, row]) => !row.roles.includes('admin')).map(([command]) => command)
    const made = await Promise.all(mayWork.flatMap((role) => needed.map(async (command) => {
      const name = `${role}-${command}`
      const email = `${name}@example.com`
      const { customerId, position } = await enter(as(role), { customerId: name, identifiers: [{ kind: 'email', value: email }], contacts: [{ name: '联系人' }] }, behalf(role).onBehalfOf)
      if (command === 'downgrade-tier') accepted(await as(role).send('upgrade-tier', { customerId, to: 'preferred', basis: 'approval', evidence: '批' }))
      if (commands[command]?.pool) accepted(await as(role).send('release-ownership', { customerId, reason: '试' }))
      const { contacts: [contact] } = await read(as(role), customerId, position)
      return [name, { customerId, contactId: contact?.contactId ?? '', email }] as const
    })))
    for (const [name, at] of made) customers.set(name, at)
  })
  afterAll(() => service.close())

  it('every command has a row in the table, and a route', () => {
    expect(registry.map((command) => command.name).filter((name) => !(name in commands) && !(name in later))).toEqual([])
    expect(registry.map((command) => `/commands/${command.name}`).filter((path) => !operations.some((operation) => operation.path === path))).toEqual([])
  })

  it.each(roles)('%s: no command of others’ is accepted, and each refusal is on record', async (role) => {
    const head = await service.head()
    const refusedBefore = await attempts()
    const others = registry.filter(({ name }) => !(commands[name]?.roles ?? later[name] ?? '').split(' ').includes(role))
    for (const { name } of others) {
      const answer = await as(role).send(name, commands[name]?.body(atFor(role, name)) ?? {}, { key: `${name} refused`, ...behalf(role) })
      expect([name, answer.status, problemOf(answer).name]).toEqual([name, 403, 'role-not-permitted'])
      // Whatever it says: a body that fits nothing is refused the same.
      expect([name, (await as(role).send(name, {})).status]).toEqual([name, 403])
    }
    expect(await service.head()).toBe(head)
    expect((await attempts()) - refusedBefore).toBe(2 * others.length)
  })

  it.each(roles)('%s: every command of theirs is accepted', async (role) => {
    const own = registry.filter((command) => commands[command.name]?.roles.split(' ').includes(role))
    for (const { name } of own) {
      const answer = await as(role).send(name, commands[name]?.body(atFor(role, name)) ?? {}, behalf(role))
      expect([name, answer.status, answer.status < 300 || answer.text]).toEqual([name, expect.toBeOneOf([200, 201]), true])
    }
    expect(own.length).toBe({ clerk: 15, manager: 21, system: 21, admin: 10, auditor: 0, analyst: 0 }[role])
    for (const { name } of registry.filter((command) => later[command.name]?.split(' ').includes(role))) expect([name, (await as(role).send(name, {})).status]).toEqual([name, 422])
  })

  it('every query has a row in the table', () => {
    const asked = operations.filter((operation) => !operation.path.startsWith('/commands/') || operation.method === 'GET').map((operation) => operation.operationId)
    expect(asked.filter((id) => id !== 'post-commands' && !(id in queries))).toEqual([])
  })

  it.each([...roles, 'nobody'] as const)('%s: is answered what the role may read, and nothing else', async (role) => {
    const { commandId } = accepted(await as('admin').send('register-department', { name: '可查' }))
    const sender = role === 'nobody' ? service.with(undefined) : as(role)
    const values: Record<string, string> = { customerId: 'clerk-create-customer', categoryId: 'enterprise', policy: 'stages', commandId, name: 'not-found', employeeId: 'zhao', departmentId: 'north' }
    for (const { operationId, method, path } of operations.filter((operation) => operation.operationId in queries)) {
      const url = path.replace(/\{([^}]+)\}/g, (_, name: string) => values[name] ?? name) + (operationId === 'get-identifier-history' ? '?identifier=mobile:13800138000' : '')
      const answer = method === 'GET' ? await sender.get(url) : await sender.post(url, { identifiers: [{ kind: 'mobile', value: '13800138000' }] })
      const may = queries[operationId] ?? ''
      const shown = /\{(complaint|case|duplicateCase|report|handover)Id\}/.test(path) ? 404 : 200
      const expected = may === 'anyone' || may.split(' ').includes(role) ? shown : role === 'nobody' ? 401 : 403
      expect([operationId, answer.status, answer.status === 403 ? problemOf(answer).name : '']).toEqual([operationId, expected, expected === 403 ? 'read-not-permitted' : ''])
    }
  })

  const attempts = async () => Number((await service.database.pool.query<{ n: string }>(`select count(*) as n from kehu.refused_attempt where problem = 'role-not-permitted'`)).rows[0]?.n)
})
