import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accepted, startService, type TestService } from '../support/http.ts'
import { enter, idsOf, individual, itemsOf, organise, read, refused } from './people.ts'

describe('customers, over HTTP', () => {
  let service: TestService
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, 'north-1': 'north' }, { zhao: 'north-1', qian: 'north-1' })
  })
  afterAll(() => service.close())

  it('the administrator registers departments and employees, who then are there', async () => {
    const admin = service.as('admin')
    const department = accepted(await admin.send('register-department', { name: '华南分行', parentId: 'head-office' }))
    const employee = accepted(await admin.send('register-employee', { name: '孙丽', departmentId: String(department['departmentId']), authorityLimit: { amount: 50_000, currency: 'CNY' } }))
    const employeeId = String(employee['employeeId'])
    accepted(await service.as('clerk', employeeId).send('create-customer', individual()))
    const departments = await admin.get(`/departments?after=${employee.position}`)
    expect(departments.json).toMatchObject({ items: expect.arrayContaining([{ departmentId: department['departmentId'], name: '华南分行', parentId: 'head-office', revision: 0 }]) })
    const moved = accepted(await admin.send('move-employee', { employeeId, departmentId: 'north' }))
    const employees = await admin.get(`/employees?after=${moved.position}`)
    expect(employees.json).toMatchObject({ items: expect.arrayContaining([{ employeeId, name: '孙丽', departmentId: 'north', departed: false, revision: 1 }]) })
  })

  it('the body the documentation begins with is answered 201, and who enters owns', async () => {
    const answer = await service.as('clerk', 'zhao').send('create-customer', {
      category: 'individual-retail', name: '王小明', identifiers: [{ kind: 'mobile', value: '+86 138 0013 8000' }], fields: { source: 'referral' }, contacts: [],
    })
    expect(answer.status).toBe(201)
    const { customerId, streamId, position, commandId } = accepted(answer)
    expect(answer.json).toEqual({
      commandId, customerId, streamId: `customer-${customerId}`, revision: 1, position: expect.any(String), warnings: [],
      events: [{ id: expect.any(String), type: 'CustomerCreated', revision: 0 }, { id: expect.any(String), type: 'OwnershipClaimed', revision: 1 }],
    })
    expect(streamId).toBe(`customer-${customerId}`)
    expect(await read(service.as('clerk', 'zhao'), customerId, position)).toMatchObject({
      full: true, name: '王小明', category: 'individual-retail', ownerId: 'zhao', departmentId: 'north-1', enteredBy: 'zhao', stage: 'target', tier: 'standard',
      fields: { source: 'referral' }, identifiers: [{ kind: 'mobile', value: '+8613800138000' }], contacts: [], revision: 1,
    })
  })

  it('a later entry of the same mobile, however written, is told which customer holds it, who owns that one and since when', async () => {
    const qian = service.as('clerk', 'qian')
    const first = await enter(qian, { identifiers: [{ kind: 'mobile', value: '13911112222' }] })
    const problem = refused(await service.as('clerk', 'zhao').send('create-customer', individual({ identifiers: [{ kind: 'mobile', value: '0086-139-1111-2222' }] })), 409, 'duplicate-customer')
    const { ownerSince } = await read(qian, first.customerId, first.position)
    expect(problem['holder']).toEqual({ customerId: first.customerId, ownerId: 'qian', since: ownerSince, departmentId: 'north-1' })
  })

  it('a customer is found by identifier, name, part of it, pinyin, initials, phone fragment and contact', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId, position } = await enter(zhao, {
      name: '欧阳修远', identifiers: [{ kind: 'mobile', value: '18655501234' }, { kind: 'email', value: 'Ouyang@Example.COM' }],
      contacts: [{ name: '单雄信', fields: { mobile: '13700007777', role: 'insider' } }],
    })
    const found = async (query: string) => idsOf(await zhao.get(`/customers?after=${position}&${query}`))
    expect(await found('identifier=mobile:18655501234')).toEqual([customerId])
    expect(await found('identifier=mobile:%2B86-186-5550-1234')).toEqual([customerId])
    expect(await found('identifier=email:ouyang@example.com')).toEqual([customerId])
    for (const q of ['欧阳修远', '阳修', 'ouyangxiuyuan', 'OuYang', 'xiuyuan', 'oyxy', '5550123', '186-5550', '单雄信', 'shanxiongxin', 'dan xiong', '00007777']) {
      expect([q, await found(`q=${encodeURIComponent(q)}`)]).toEqual([q, [customerId]])
    }
    for (const q of ['欧阳修近', 'ouyangx%iuyuan', '5550_23', '%25']) expect([q, await found(`q=${encodeURIComponent(q)}`)]).toEqual([q, []])
    expect(await found('q=ouyang&stage=target&tier=standard&category=individual-retail&ownerId=zhao&departmentId=north-1')).toEqual([customerId])
    for (const other of ['stage=active', 'tier=premier', 'category=enterprise', 'ownerId=qian', 'ownerId=', 'departmentId=north']) expect([other, await found(`q=ouyang&${other}`)]).toEqual([other, []])
  })

  it('profile and contacts change, and what was there before is not found any more', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId } = await enter(zhao, { name: '旧名字' })
    accepted(await zhao.send('change-profile', { customerId, name: '诸葛孔明', fields: { occupation: '军师', source: null, importance: 'A' } }))
    const added = accepted(await zhao.send('add-contact', { customerId, name: '黄月英', fields: { title: '夫人', role: 'decision-maker', mobile: '13612340000', email: 'yy@example.com' } }))
    const { contacts: [contact] } = await read(zhao, customerId, added.position)
    accepted(await zhao.send('change-contact', { customerId, contactId: contact?.contactId, name: '黄硕', fields: { title: null } }))
    const second = accepted(await zhao.send('add-contact', { customerId, name: '诸葛瞻' }))
    const last = (await read(zhao, customerId, second.position)).contacts[1]
    const removed = accepted(await zhao.send('remove-contact', { customerId, contactId: last?.contactId, reason: '已离职' }))
    expect(await read(zhao, customerId, removed.position)).toMatchObject({
      name: '诸葛孔明', fields: { occupation: '军师', importance: 'A' },
      contacts: [{ contactId: contact?.contactId, name: '黄硕', fields: { role: 'decision-maker', mobile: '+8613612340000', email: 'yy@example.com' } }],
    })
    const found = async (q: string) => idsOf(await zhao.get(`/customers?after=${removed.position}&q=${encodeURIComponent(q)}`))
    expect([await found('旧名字'), await found('诸葛瞻'), await found('月英'), await found('孔明'), await found('huangshuo')]).toEqual([[], [], [], [customerId], [customerId]])
    expect(accepted(await zhao.send('remove-contact', { customerId, contactId: last?.contactId })).events).toEqual([])
  })

  it('an identifier is added, changed and released, and is free for others from then on', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId } = await enter(zhao, { identifiers: [] })
    const other = await enter(service.as('clerk', 'qian'), { identifiers: [{ kind: 'uscc', value: '91350100M000100Y43' }] })
    expect(refused(await zhao.send('add-identifier', { customerId, identifier: { kind: 'uscc', value: '91350100m000100y43' } }), 409, 'duplicate-customer')['holder']).toMatchObject({ customerId: other.customerId, ownerId: 'qian' })
    accepted(await zhao.send('add-identifier', { customerId, identifier: { kind: 'resident-id', value: '11010519491231002x' } }))
    accepted(await zhao.send('add-identifier', { customerId, identifier: { kind: 'other', issuer: '国家税务总局', value: 'a-77' } }))
    const changed = accepted(await zhao.send('change-identifier', { customerId, from: { kind: 'other', issuer: '国家税务总局', value: 'A-77' }, to: { kind: 'email', value: 'New@Example.com' } }))
    expect(changed.events.map((event) => event.type)).toEqual(['IdentifierAdded', 'IdentifierReleased'])
    const released = accepted(await zhao.send('release-identifier', { customerId, identifier: { kind: 'resident-id', value: '11010519491231002X' }, reason: '录入错误' }))
    expect((await read(zhao, customerId, released.position)).identifiers).toEqual([{ kind: 'email', value: 'new@example.com' }])
    const next = await enter(service.as('clerk', 'qian'), { identifiers: [{ kind: 'resident-id', value: '11010519491231002X' }] })
    expect(itemsOf(await zhao.get(`/customers?after=${next.position}&identifier=resident-id:11010519491231002X`))).toMatchObject([{ customerId: next.customerId }])
  })

  it('duplicates are found before entry, by whatever identifier', async () => {
    const zhao = service.as('clerk', 'zhao')
    const made = await enter(zhao, { name: '牛皋', identifiers: [{ kind: 'mobile', value: '15012341234' }, { kind: 'email', value: 'niu@example.com' }] })
    const { ownerSince } = await read(zhao, made.customerId, made.position)
    const answer = await zhao.post(`/duplicates/check?after=${made.position}`, { name: '牛 皋', identifiers: [{ kind: 'email', value: 'nobody@example.com' }, { kind: 'email', value: 'NIU@example.com' }, { kind: 'mobile', value: '+8615012341234' }] })
    expect(answer.json).toMatchObject({ candidates: [{ customerId: made.customerId, match: 'identifier', identifiers: [1, 2], ownerId: 'zhao', since: ownerSince, name: '牛皋', full: true }] })
    expect((await zhao.post('/duplicates/check', {})).status).toBe(422)
  })

  it('a manager moves a customer to another category, with a reason, and what the new template lacks is cleared in the open', async () => {
    const { customerId } = await enter(service.as('clerk', 'zhao'), { fields: { source: 'referral', occupation: '店主' } })
    await organise(service, {}, { boss: 'north' })
    const done = accepted(await service.as('manager', 'boss').send('recategorise-customer', { customerId, category: 'enterprise', reason: '已注册公司', fields: { numberOfShops: 3 } }))
    expect(await read(service.as('auditor'), customerId, done.position)).toMatchObject({ category: 'enterprise', fields: { source: 'referral', numberOfShops: 3 } })
    expect((await read(service.as('auditor'), customerId)).fields).not.toHaveProperty('occupation')
  })
})
