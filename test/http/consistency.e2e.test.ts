import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { streamName } from '../../src/domain/customer/events.ts'
import { customer } from '../../src/domain/customer/customer.ts'
import { load } from '../../src/commands/load.ts'
import { accepted, startService, type TestService } from '../support/http.ts'
import { enter, individual, itemsOf, organise, periodsOf, read, refused } from './people.ts'

describe('what a caller has written and read', () => {
  let service: TestService
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null }, { zhao: 'north' })
  })
  afterAll(() => service.close())


  it('every query asked with after= shows what the command wrote that answered this position', async () => {
    const zhao = service.as('clerk', 'zhao')
    const auditor = service.as('auditor')
    const admin = service.as('admin')
    const of = z.object({ asOf: z.object({ position: z.string() }) })
    const reached = (json: unknown) => Number(of.parse(json).asOf.position.split('.')[1])
    // No pause anywhere: each query comes on the heels of its command.
    for (let round = 0; round < 3; round += 1) {
      const made = await enter(zhao, { name: `读己之写${round}`, identifiers: [{ kind: 'email', value: `round${round}@example.com` }] })
      const { customerId } = made
      const after = async (path: string, position: string) => {
        const answer = await auditor.get(`${path}${path.includes('?') ? '&' : '?'}after=${position}`)
        expect(answer.status, answer.text).toBe(200)
        return answer
      }
      expect(itemsOf(await after(`/customers?q=读己之写${round}`, made.position))).toHaveLength(1)
      expect((await auditor.post(`/duplicates/check?after=${made.position}`, { identifiers: [{ kind: 'email', value: `ROUND${round}@example.com` }] })).json).toMatchObject({ candidates: [{ customerId }] })
      const moved = accepted(await zhao.send('change-stage', { customerId, to: 'lost' }))
      expect((await after(`/customers/${customerId}`, moved.position)).json).toMatchObject({ stage: 'lost', revision: moved.revision })
      expect((await after(`/customers/${customerId}/lifecycle`, moved.position)).json).toMatchObject({ transitions: [{}, {}, { to: 'lost' }] })
      const standing = await after('/analytics/lifecycle/standing', moved.position)
      expect(standing.json).toMatchObject({ items: [{ stage: 'lost', customers: round + 1 }] })
      expect((await after('/analytics/lifecycle/transitions', moved.position)).json).toMatchObject({ stages: expect.arrayContaining([{ from: 'target', to: 'lost', move: 'setback', backward: true, customers: round + 1, transitions: round + 1 }]) })
      const gone = accepted(await zhao.send('release-ownership', { customerId, reason: '完' }))
      const ownership = await after(`/customers/${customerId}/ownership`, gone.position)
      expect(periodsOf(ownership).at(-1)).toMatchObject({ ownerId: null })
      expect(reached(ownership.json)).toBeGreaterThanOrEqual(Number(gone.position.split('.')[1]))
      expect((await after(`/customers/${customerId}/events`, gone.position)).json).toMatchObject({ items: [{}, {}, {}, { type: 'OwnershipReleased' }] })
      const department = accepted(await admin.send('register-department', { departmentId: `d${round}`, name: '新' }))
      expect((await after('/departments', department.position)).json).toMatchObject({ items: expect.arrayContaining([expect.objectContaining({ departmentId: `d${round}` })]) })
      const employee = accepted(await admin.send('register-employee', { employeeId: `e${round}`, name: '新', departmentId: `d${round}` }))
      expect((await after('/employees', employee.position)).json).toMatchObject({ items: expect.arrayContaining([expect.objectContaining({ employeeId: `e${round}` })]) })
      const labels = { en: 'x', zh: '某' }
      const category = accepted(await admin.send('define-category', { categoryId: `c${round}`, labels, criterion: labels, kind: 'individual', template: { fields: [], contactFields: [] } }))
      for (const path of ['/categories', `/categories/c${round}`]) expect((await after(path, category.position)).text).toContain(`"c${round}"`)
      const policy = accepted(await admin.send('revise-policy', { policy: 'ownership', value: { backdatingDays: 1000 + round }, reason: '试' }))
      for (const path of ['/policies', '/policies/ownership']) expect((await after(path, policy.position)).text).toContain(`"backdatingDays":${1000 + round}`)
      refused(await zhao.send('create-customer', individual({ identifiers: [{ kind: 'email', value: `round${round}@example.com` }] })), 409, 'duplicate-customer')
      for (const path of ['/audit/attempts', '/audit/reads']) expect((await after(path, policy.position)).json).toMatchObject({ items: expect.arrayContaining([]) })
    }
  })

  it('If-Match is refused with 412 once the customer has changed, and the key stays free', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId, position } = await enter(zhao)
    const etag = (await zhao.get(`/customers/${customerId}?after=${position}`)).headers.get('etag') ?? ''
    expect(etag).toBe('"1"')
    const changed = accepted(await zhao.send('change-profile', { customerId, fields: { hobbies: '钓鱼' } }, { ifMatch: etag }))
    expect(changed.revision).toBe(2)
    const late = { customerId, fields: { hobbies: '下棋' } }
    expect(refused(await zhao.send('change-profile', late, { ifMatch: etag, key: 'late' }), 412, 'precondition-failed')['revision']).toBe(2)
    const fresh = (await zhao.get(`/customers/${customerId}?after=${changed.position}`)).headers.get('etag') ?? ''
    for (const written of [fresh, `W/${fresh}`, '2']) expect(accepted(await zhao.send('change-profile', late, { ifMatch: written, key: 'late' })).revision).toBe(3)
    refused(await zhao.send('change-profile', late, { ifMatch: '"2"', dryRun: true }), 412, 'precondition-failed')
    refused(await zhao.send('create-customer', individual({ customerId }), { ifMatch: '"0"' }), 412, 'precondition-failed')
  })

  it('fences of the reservation protocol change no ETag: no reader sees them', async () => {
    const zhao = service.as('clerk', 'zhao')
    const { customerId } = await enter(zhao)
    const { runtime } = service.core
    const loaded = await load(runtime, customer, streamName(customerId))
    const commandId = crypto.randomUUID()
    const metadata = { commandId, commandHash: '', actor: 'rival', $correlationId: commandId, $causationId: commandId }
    const fence = await runtime.codec.encode(loaded.stream, loaded.head, [{ type: 'EntryAbandoned', schemaVersion: 1, data: { by: 'rival' } }], metadata, runtime.now().toISOString())
    expect(await runtime.store.append({ stream: loaded.stream, expectedRevision: loaded.head.revision, events: fence })).toMatchObject({ outcome: 'appended' })
    const noOp = accepted(await zhao.send('claim-ownership', { customerId }, { ifMatch: '"1"' }))
    expect([noOp.events, noOp.revision]).toEqual([[], 1])
    expect((await zhao.get(`/customers/${customerId}?after=${noOp.position}`)).headers.get('etag')).toBe('"1"')
    const changed = accepted(await zhao.send('change-profile', { customerId, name: '改名' }, { ifMatch: '"1"' }))
    expect(changed.revision).toBe(3)
    expect((await zhao.get(`/customers/${customerId}?after=${changed.position}`)).headers.get('etag')).toBe('"3"')
  })

  it('categories and policies have ETags as well', async () => {
    const admin = service.as('admin')
    const etag = (await admin.get('/policies/visibility')).headers.get('etag') ?? ''
    const value = { nameCharacters: 1, identifierLookupsPerMinute: 31 }
    accepted(await admin.send('revise-policy', { policy: 'visibility', value, reason: '试' }, { ifMatch: etag }))
    refused(await admin.send('revise-policy', { policy: 'visibility', value: { ...value, nameCharacters: 2 }, reason: '试' }, { ifMatch: etag }), 412, 'precondition-failed')
    expect((await admin.get('/categories/enterprise')).headers.get('etag')).toBe('"0"')
  })

  it('a dry run decides, and appends nothing, reserves nothing, records nothing and leaves the key free', async () => {
    const zhao = service.as('clerk', 'zhao')
    const held = individual()
    const { customerId } = accepted(await zhao.send('create-customer', held))
    const fresh = individual()
    const before = { head: await service.head(), receipts: await service.receipts() }
    const dry = accepted(await zhao.send('create-customer', fresh, { dryRun: true, key: 'dry' }))
    expect(dry).toMatchObject({ dryRun: true, events: [{ type: 'CustomerCreated' }, { type: 'OwnershipClaimed' }] })
    refused(await zhao.send('create-customer', { ...individual(), identifiers: held.identifiers }, { dryRun: true, key: 'dry' }), 409, 'duplicate-customer')
    expect(accepted(await zhao.send('change-stage', { customerId, to: 'lost' }, { dryRun: true, key: 'dry' })).events).toEqual([{ type: 'StageChanged', revision: 2 }])
    refused(await zhao.send('change-stage', { customerId, to: 'dormant' }, { dryRun: true, key: 'dry' }), 409, 'move-not-allowed')
    refused(await service.as('analyst').send('create-customer', fresh, { dryRun: true }), 403, 'role-not-permitted')
    expect({ head: await service.head(), receipts: await service.receipts() }).toEqual(before)
    refused(await zhao.get(`/commands/${dry.commandId}`), 404, 'command-not-found')
    expect(accepted(await zhao.send('create-customer', fresh, { key: 'dry' })).events).toHaveLength(2)
  })

  it('GET /commands/{id} tells what became of a command: accepted, nothing to do, refused', async () => {
    const zhao = service.as('clerk', 'zhao')
    const body = individual()
    const made = accepted(await zhao.send('create-customer', body))
    const noOp = accepted(await zhao.send('claim-ownership', { customerId: made.customerId }))
    const refusal = refused(await zhao.send('create-customer', { ...individual(), identifiers: body.identifiers }), 409, 'duplicate-customer')
    const found = async (commandId: string) => (await zhao.get(`/commands/${commandId}`)).json
    expect(await found(made.commandId)).toMatchObject({ commandId: made.commandId, command: 'create-customer', status: 201, streams: [made.streamId], answer: { position: made.position, events: made.events } })
    expect(await found(noOp.commandId)).toMatchObject({ command: 'claim-ownership', status: 200, answer: { events: [], revision: 1 } })
    expect(await found(String(refusal['commandId']))).toMatchObject({ command: 'create-customer', status: 409, answer: { type: '/docs/problems/duplicate-customer', holder: { customerId: made.customerId, ownerId: 'zhao' } } })
    expect(await read(zhao, made.customerId, made.position)).toMatchObject({ ownerId: 'zhao' })
    refused(await zhao.get(`/commands/${crypto.randomUUID()}`), 404, 'command-not-found')
    refused(await zhao.get('/commands/not-an-id'), 400, 'invalid-parameters')
  })
})
