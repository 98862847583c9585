import { readFile, readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, inject } from 'vitest'
import { accepted, makePlace, startProcess, until, type Answer, type Place, type Sender, type ServiceProcess } from '../support/http.ts'
import { organise, read } from './people.ts'

const secret = {
  name: '司马相如', mobile: '13977778888', email: 'sima.xiangru@example.org', residentId: '11010519491231002X', number: 'ZX-998877', address: '临邛县文君井巷八号', birthday: '1949-12-31', hobbies: '抚琴击剑',
  contact: '卓文君', contactMobile: '13655554444', contactEmail: 'wenjun@example.org', title: '当垆掌柜', newName: '司马长卿', newMobile: '18688889999',
  reason: '琴挑夜奔之故', evidence: '当垆卖酒凭证', employee: '枚乘先生', departure: '病归淮阴', search: '文君井巷', nobody: '15277776666',
}
/** Everything by which one of them could be known, in each form it might be written down. */
const needles = new Map<string, string>()
const hide = (value: string) => {
  for (const [name, bytes] of [['UTF-8', Buffer.from(value)], ['UTF-16', Buffer.from(value, 'utf16le')]] as const) {
    needles.set(bytes.toString('hex'), `${value} in hex of ${name}`)
    for (const offset of [0, 1, 2]) {
      // The letters of base64 that depend on this value alone, wherever in a text it begins.
      const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64').replace(/=+$/, '')
      const inner = text.slice(Math.ceil((offset * 4) / 3), (offset + bytes.length) % 3 === 0 ? undefined : -1)
      for (const one of [inner, inner.replaceAll('+', '-').replaceAll('/', '_')]) needles.set(one, `${value} in base64 of ${name}`)
    }
  }
  needles.set(encodeURIComponent(value), `${value} as in a URL`)
  needles.set(JSON.stringify(value).slice(1, -1).replace(/[^ -~]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`), `${value} as JSON may escape it`)
  needles.set(value, value)
}
Object.values(secret).forEach(hide)
for (const written of ['+8613977778888', '139 7777 8888', '139-7777-8888', '77778888', '+8613655554444', '55554444', '+8618688889999', '88889999', '77776666', 'simaxiangru', 'sima xiangru', 'simachangqing', 'zhuowenjun', 'meicheng', '11010519491231002x', 'Sima.Xiangru', '相如', '文君']) hide(written)

const foundIn = (text: string): string[] => [...needles].filter(([needle]) => text.includes(needle)).map(([, name]) => name)

describe('no personal value is in plain text', () => {
  let place: Place
  let service: ServiceProcess
  /** What was answered to commands, accepted or refused, and to whoever was not let in. */
  const answered: string[] = []
  beforeAll(async () => {
    place = await makePlace({ LOG_LEVEL: 'trace' }, () => service?.url ?? '')
    service = await startProcess(place)
    await organise(place, { north: null, south: null }, { zhao: 'north', li: 'south', leaver: 'north' })
    await live()
  })
  afterAll(async () => {
    await service.stop()
    await place.close()
  })

  const keep = (answer: Answer) => {
    answered.push(answer.text, JSON.stringify([...answer.headers]))
    return answer
  }

  /** Every kind of command and search, accepted and refused, with these values in all the places they can be. */
  const live = async () => {
    const [zhao, li, admin, auditor, analyst, system] = [place.as('clerk', 'zhao'), place.as('clerk', 'li'), place.as('admin'), place.as('auditor'), place.as('analyst'), place.as('system')]
    const send = async (sender: Sender, command: string, body: object, options = {}) => keep(await sender.send(command, body, options))
    const mobile = { kind: 'mobile', value: '139 7777 8888' }
    const person = {
      category: 'individual-retail', name: secret.name, identifiers: [mobile, { kind: 'email', value: 'Sima.Xiangru@example.org' }, { kind: 'resident-id', value: secret.residentId }, { kind: 'other', issuer: '成都府', value: secret.number }],
      fields: { source: 'referral', address: secret.address, birthday: secret.birthday, hobbies: secret.hobbies }, contacts: [{ name: secret.contact, fields: { mobile: secret.contactMobile, email: secret.contactEmail, title: secret.title, role: 'insider' } }],
    }
    const { customerId, position } = accepted(await send(zhao, 'create-customer', person, { key: secret.mobile }))
    await send(zhao, 'create-customer', person, { key: secret.mobile })
    await send(li, 'create-customer', person)
    await send(li, 'create-customer', person, { dryRun: true })
    await send(analyst, 'create-customer', person)
    await send(zhao, 'create-customer', { ...person, nationality: secret.name, claim: secret.name })
    // The name of a field is told to who sent it, and to nobody else.
    await zhao.send('create-customer', { ...person, [secret.search]: 1 })
    await send(zhao, 'create-customer', { ...person, customerId: `c-${secret.mobile}` })
    await send(zhao, 'create-customer', { ...person, identifiers: [{ kind: 'mobile', value: `${secret.mobile}0` }, { kind: 'email', value: `${secret.email}@` }, { kind: 'resident-id', value: secret.residentId.replace('X', '1') }], fields: { address: secret.address, source: secret.hobbies, birthday: `${secret.birthday}x` } })
    keep(await zhao.request('POST', '/commands/create-customer', { headers: { 'content-type': 'application/json' }, body: JSON.stringify(person).slice(0, -20) }))
    const { contacts: [contact] } = await read(zhao, customerId, position)
    const contactId = contact?.contactId
    const [reason, evidence] = [secret.reason, secret.evidence]
    const sends: [string, object][] = [
      ['change-profile', { customerId, name: secret.newName, fields: { notes: secret.search, occupation: secret.title } }], ['add-contact', { customerId, name: secret.contact, fields: { notes: secret.search } }],
      ['change-contact', { customerId, contactId, name: secret.contact, fields: { documentNumber: secret.residentId } }], ['add-identifier', { customerId, identifier: { kind: 'mobile', value: secret.newMobile } }],
      ['change-identifier', { customerId, from: mobile, to: { kind: 'mobile', value: secret.nobody }, reason }], ['release-identifier', { customerId, identifier: { kind: 'email', value: secret.email }, reason }],
      ['change-stage', { customerId, to: 'prospect', reason }], ['change-stage', { customerId, to: 'dormant', reason }], ['upgrade-tier', { customerId, to: 'premier', basis: 'spend', evidence: { note: evidence, amount: 5 } }], ['upgrade-tier', { customerId, to: 'standard', basis: 'spend', evidence }],
      ['share-customer', { customerId, employeeId: 'leaver', access: 'work', reason }], ['revoke-share', { customerId, employeeId: 'leaver', reason }], ['remove-contact', { customerId, contactId, reason }],
    ]
    for (const [command, body] of sends) {
      // Refused of li, refused of the analyst, accepted or refused by the state of things of zhao.
      for (const sender of [li, analyst, zhao]) await send(sender, command, body)
    }
    await send(zhao, 'transfer-ownership', { customerId, to: 'nobody', reason })
    await send(zhao, 'transfer-ownership', { customerId, to: 'leaver', reason })
    await send(place.as('clerk', 'leaver'), 'release-ownership', { customerId, reason })
    await send(system, 'claim-ownership', { customerId, reason }, { onBehalfOf: 'li' })
    await send(zhao, 'claim-ownership', { customerId, reason })
    await send(system, 'recategorise-customer', { customerId, category: 'partner', reason })
    await send(system, 'downgrade-tier', { customerId, to: 'standard', basis: 'correction', evidence })
    await send(system, 'release-ownership', { customerId, reason })
    await send(system, 'assign-ownership', { customerId, to: 'zhao', reason })
    const { json } = await send(admin, 'register-employee', { name: secret.employee, departmentId: 'north' })
    const employeeId = json instanceof Object && 'employeeId' in json ? json.employeeId : ''
    await send(admin, 'depart-employee', { employeeId, reason: secret.departure })
    const batch = await zhao.batch([{ command: 'create-customer', key: secret.email, body: person }, `{"command":"${secret.name}`, { command: secret.name, key: secret.mobile, body: {} }, { command: 'create-customer', key: secret.name, body: person }, { command: 'change-profile', key: 'batch', body: { customerId, name: secret.newName, nickname: secret.name } }])
    answered.push(JSON.stringify(batch.map((answer) => ({ ...answer, key: null }))))

    const terms = [secret.name, '相如', 'simaxiangru', secret.mobile, '77778888', secret.contact, 'zhuowenjun', secret.search].map(encodeURIComponent)
    for (const sender of [zhao, li, auditor, system]) {
      for (const term of terms) await sender.get(`/customers?q=${term}`)
      for (const identifier of [`mobile:${secret.mobile}`, `mobile:${secret.nobody}`, `email:${secret.email}`, `resident-id:${secret.residentId}`, `other:成都府:${secret.number}`]) await sender.get(`/customers?identifier=${encodeURIComponent(identifier)}`, { accept: 'text/csv' })
      await sender.post('/duplicates/check', person)
    }
    const name = encodeURIComponent(secret.name)
    for (const path of [`/customers?identifier=mobile:${secret.mobile}0`, `/customers?stage=${name}`, `/customers?q=${terms[0]}&q=${terms[3]}`, `/customers?cursor=${name}`, `/customers?after=${name}`, `/customers/${customerId}/ownership?asOf=${name}`, `/customers/${customerId}/ownership?knownAt=${name}`, `/customers/${name}`, `/${name}/${secret.mobile}`, `/customers/%ZZ${secret.mobile}`, `/customers/${terms.join('')}`, `/analytics/lifecycle/transitions?from=${name}`]) {
      for (const sender of [zhao, auditor, analyst, place.with(undefined), place.with(secret.mobile)]) keep(await sender.get(path))
    }
    keep(await analyst.get(`/customers?q=${name}`))
    keep(await zhao.request('DELETE', `/customers?q=${name}`))
    for (const [header, value] of [['if-match', secret.mobile], ['on-behalf-of', `${secret.mobile} x`], ['traceparent', secret.mobile]] as const) keep(await zhao.send('change-profile', { customerId, name: secret.newName }, { headers: { [header]: value } }))
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1').on('error', () => undefined)
    socket.resume().write(`GET /customers?q=${secret.name} ${secret.mobile} HTTP/1.1\r\n\r\n`)
    await once(socket, 'close')
    // Every read model has seen all of it.
    const last = accepted(await send(zhao, 'claim-ownership', { customerId }))
    for (const path of ['', '/ownership', '/lifecycle']) await zhao.get(`/customers/${customerId}${path}?after=${last.position}`)
  }

  const rowsOf = async (schema: string, table: string) => (await place.database.pool.query<{ row: string }>(`select t::text as row from "${schema}"."${table}" t`)).rows.map((one) => one.row).join('\n')
  const tablesOf = async (schemas: string) => (await place.database.pool.query<{ schema: string; name: string }>(`select table_schema as schema, table_name as name from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema') and table_schema ${schemas} order by 1, 2`)).rows

  it('the values are there, sealed in the log and open in the read models: the search below finds what there is to find', async () => {
    const models: string[] = []
    for (const { schema, name } of await tablesOf(`not in ('kehu', 'kehu_migration', 'analytics', 'public')`)) models.push(await rowsOf(schema, name))
    const found = foundIn(models.join('\n'))
    for (const value of [secret.newName, secret.contact, secret.newMobile, secret.residentId, secret.reason, 'simachangqing']) expect(found).toContain(value)
    expect(foundIn(`x${Buffer.from(`ab${secret.name}c`).toString('base64')}`)).toEqual([`${secret.name} in base64 of UTF-8`, '相如 in base64 of UTF-8'])
    expect((await place.log.events()).filter((event) => JSON.stringify(event.data).includes('"sealed":1')).length).toBeGreaterThan(20)
  })

  it('not in the log, its stream names, the receipts, the refused attempts, the record of reads, the keyring, the checkpoints', async () => {
    const tables = await tablesOf(`in ('kehu', 'kehu_migration')`)
    expect(tables.map((table) => table.name)).toEqual(expect.arrayContaining(['event', 'receipt', 'refused_attempt', 'read_audit', 'keyring', 'checkpoint']))
    const kept = inject('eventStore').kind === 'postgres' ? ['event', 'receipt', 'refused_attempt', 'read_audit'] : ['receipt', 'refused_attempt', 'read_audit']
    for (const { schema, name } of tables) {
      const text = await rowsOf(schema, name)
      if (kept.includes(name)) expect([name, text.length > 2000]).toEqual([name, true])
      expect([name, foundIn(text)]).toEqual([name, []])
    }
    const log = JSON.stringify(await place.log.events(), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
    expect(log.length).toBeGreaterThan(20_000)
    expect(foundIn(log)).toEqual([])
  })

  it('not in the answers to commands, in warnings and problems', () => {
    expect(answered.length).toBeGreaterThan(200)
    expect(foundIn(answered.join('\n'))).toEqual([])
  })

  it('not in what the service writes to its log, even at level trace; and no secret or token either', async () => {
    await until(() => service.output().split('\n').length > 200)
    const output = service.output()
    expect(output).toContain('"route":"/customers/:customerId"')
    expect(foundIn(output)).toEqual([])
    const dataDir = place.environment['KEHU_DATA_DIR'] ?? ''
    const files = (await readdir(dataDir, { withFileTypes: true, recursive: true })).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    expect(files.length).toBeGreaterThanOrEqual(9)
    for (const file of files) for (const line of (await readFile(file, 'utf8')).split('\n')) if (line.length > 20 && !line.startsWith('---')) expect([file, output.includes(line)]).toEqual([file, false])
    expect(output).not.toMatch(/eyJ[\w-]+\./)
  })

  it('not in what analysts see; and they see nothing but their views', async () => {
    const client = await place.database.pool.connect()
    try {
      const views = await tablesOf(`= 'analytics'`)
      expect(views.length).toBeGreaterThanOrEqual(9)
      const hidden = await tablesOf(`<> 'analytics'`)
      await client.query('set role kehu_analyst')
      for (const { name } of views) {
        const { rows } = await client.query<{ row: string }>(`select t::text as row from analytics."${name}" t`)
        expect([name, foundIn(rows.map((one) => one.row).join('\n'))]).toEqual([name, []])
        for (const write of [`delete from analytics."${name}"`, `insert into analytics."${name}" select * from analytics."${name}"`]) await expect(client.query(write), write).rejects.toMatchObject({ code: '42501' })
      }
      expect((await client.query('select 1 from analytics.customer')).rows.length).toBeGreaterThan(0)
      expect(hidden.length).toBeGreaterThan(12)
      for (const { schema, name } of hidden) await expect(client.query(`select from "${schema}"."${name}"`), `${schema}.${name}`).rejects.toMatchObject({ code: '42501' })
      for (const statement of ['create table public.mine (x int)', 'create table analytics.mine (x int)', 'create schema mine', ...[20, 21].map((count) => `select kehu.append_events(${Array.from({ length: count }, () => `'{}'`).join()})`)]) {
        await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' })
      }
    } finally {
      await client.query('reset role')
      client.release()
    }
  })
})
