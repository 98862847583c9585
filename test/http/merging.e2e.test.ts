import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accepted, startService, until, type Answer, type Sender, type TestService } from '../support/http.ts'
import { enter, idsOf, nextMobile, organise, periodsOf, read, refused } from './people.ts'

const Case = z.looseObject({ caseId: z.string(), status: z.string(), said: z.string().nullable(), customers: z.array(z.looseObject({ customerId: z.string(), full: z.boolean(), mergedInto: z.string().nullable() })) })
const Cases = z.object({ items: z.array(Case) })
const casesIn = (answer: Answer) => Cases.parse(answer.json).items
const Preview = z.looseObject({ merge: z.looseObject({ survivorId: z.string(), ownerId: z.string().nullable(), name: z.object({ value: z.string(), customerId: z.string() }), fields: z.record(z.string(), z.object({ value: z.unknown(), customerId: z.string() })), counts: z.record(z.string(), z.number()) }) })

describe('two customers that are one', () => {
  let service: TestService
  let zhao: Sender
  let li: Sender
  let chief: Sender
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, 'north-1': 'north', 'north-2': 'north', south: null }, { zhao: 'north-1', li: 'north-2', chief: 'north', rival: 'south' })
    zhao = service.as('clerk', 'zhao')
    li = service.as('clerk', 'li')
    chief = service.as('manager', 'chief')
  })
  afterAll(() => service.close())

  it('are found, judged, merged and given back, and nothing is lost or shown twice', async () => {
    const [firstMobile, secondMobile, thirdMobile] = [nextMobile(), nextMobile(), nextMobile()]
    const first = (await enter(zhao, { customerId: 'first', name: '深圳腾云', identifiers: [{ kind: 'mobile', value: firstMobile }] })).customerId
    const { customerId: second } = await enter(li, { customerId: 'second', name: '深圳市腾云贸易', identifiers: [{ kind: 'mobile', value: secondMobile }], fields: { source: 'referral', address: '深圳市南山区 1 号' }, contacts: [{ name: '韩梅梅', fields: { mobile: '13700137000' } }] })
    accepted(await li.send('lodge-complaint', { complaintId: 'theirs', customerId: second, class: 'service', severity: 'minor', channel: 'phone', description: '送货太晚' }))

    // A case, opened by a person, seen by those who see one of the two.
    const opened = accepted(await zhao.send('open-duplicate-case', { customerIds: [second, first], note: '电话里说是同一家' }))
    const [found] = casesIn(await zhao.get(`/duplicate-cases?status=open&customerId=${first}&after=${opened.position}`))
    expect(found).toMatchObject({ said: '电话里说是同一家', customers: [{ customerId: first, full: true }, { customerId: second, full: false }] })
    expect(casesIn(await service.as('clerk', 'rival').get(`/duplicate-cases?after=${opened.position}`))).toEqual([])
    const caseId = found?.caseId ?? ''
    accepted(await li.send('confirm-duplicate-case', { caseId }))

    // A manager over both merges: a dry run tells what it would make of them.
    const body = { customerIds: [second, first], take: { name: second, fields: {} }, reason: '同一家公司' }
    refused(await zhao.send('merge-customers', body), 403, 'role-not-permitted')
    const preview = Preview.parse((await chief.send('merge-customers', body, { dryRun: true })).json)
    expect(preview.merge).toMatchObject({ survivorId: first, ownerId: 'zhao', name: { value: '深圳市腾云贸易', customerId: second }, counts: { contacts: 1, identifiers: 2 } })
    expect(preview.merge.fields['address']).toEqual({ value: '深圳市南山区 1 号', customerId: second })
    const merged = accepted(await chief.send('merge-customers', body, { key: 'merge' }))
    expect(merged).toMatchObject({ customerId: first, absorbedId: second })
    expect(accepted(await chief.send('merge-customers', body, { key: 'merge' })).commandId).toBe(merged.commandId)
    expect(accepted(await chief.send('merge-customers', body)).events).toEqual([])

    // The absorbed id leads to the survivor, which shows what came with it.
    const moved = await zhao.get(`/customers/${second}?after=${merged.position}`)
    expect({ status: moved.status, location: moved.headers.get('location'), body: moved.json }).toEqual({ status: 308, location: `/customers/${first}?after=${merged.position}`, body: { customerId: second, mergedInto: first } })
    const whole = await read(zhao, first, merged.position)
    // What it answered is where the survivor stands: the next command may name it.
    expect(whole.revision).toBe(merged.revision)
    expect(whole).toMatchObject({ customerId: first, name: '深圳市腾云贸易', ownerId: 'zhao', absorbed: [second], fields: { address: '深圳市南山区 1 号' }, contacts: [{ name: '韩梅梅' }] })
    expect(whole.identifiers.map((one) => one.value).toSorted()).toEqual([firstMobile, secondMobile].toSorted())
    expect((await chief.get(`/customers/${second}?redirect=false`)).json).toMatchObject({ customerId: second, mergedInto: first, name: '深圳市腾云贸易' })
    expect(idsOf(await zhao.get('/customers?q=腾云贸易'))).toEqual([first])
    expect(idsOf(await zhao.get(`/customers?identifier=mobile:${encodeURIComponent(secondMobile)}`))).toEqual([first])
    expect(idsOf(await chief.get('/customers?q=腾云'))).toEqual([first])
    expect(JSON.stringify((await zhao.get(`/complaints?customerId=${first}`)).json)).toContain('theirs')
    expect(periodsOf(await zhao.get(`/customers/${first}/ownership`)).map(({ customerId, ownerId, basis }) => ({ customerId, ownerId, basis }))).toEqual(expect.arrayContaining([
      { customerId: first, ownerId: 'zhao', basis: 'first-entry' }, { customerId: second, ownerId: 'li', basis: 'first-entry' }, { customerId: second, ownerId: null, basis: 'merge' },
    ]))
    await until(async () => casesIn(await zhao.get(`/duplicate-cases?customerId=${second}`))[0]?.status === 'merged')

    // Commands addressed to the absorbed id are carried out on the survivor; a fact is changed where it lives.
    expect(accepted(await zhao.send('add-identifier', { customerId: second, identifier: { kind: 'mobile', value: thirdMobile } }))).toMatchObject({ customerId: first, redirectedFrom: second, streamId: 'customer-first' })
    const contactId = whole.contacts[0]?.contactId ?? ''
    expect(accepted(await zhao.send('change-contact', { customerId: first, contactId, name: '韩梅' }))).toMatchObject({ customerId: first, streamId: 'customer-second' })
    refused(await li.send('change-profile', { customerId: second, name: '改名' }), 403, 'not-permitted')
    expect(refused(await li.send('create-customer', { category: 'individual-retail', name: '又一个', identifiers: [{ kind: 'mobile', value: secondMobile }], fields: { source: 'referral' } }), 409, 'duplicate-customer')['holder'])
      .toMatchObject({ customerId: first, ownerId: 'zhao', absorbedId: second })
    const added = accepted(await zhao.send('add-contact', { customerId: first, name: '李雷', fields: { mobile: '13700137001' } }))
    const given = (await read(zhao, first, added.position)).contacts.find((contact) => contact.name === '李雷')?.contactId ?? ''

    // Given back: each has its own again, and what was given.
    const back = accepted(await chief.send('reverse-merge', { absorbedId: second, reason: '是两家公司', give: { contacts: [given], identifiers: [{ kind: 'mobile', value: thirdMobile }] } }, { key: 'back' }))
    const [one, other] = [await read(zhao, first, back.position), await read(li, second, back.position)]
    expect(one).toMatchObject({ customerId: first, name: '深圳腾云', absorbed: [], contacts: [], identifiers: [{ value: firstMobile }] })
    expect(other).toMatchObject({ customerId: second, name: '深圳市腾云贸易', ownerId: 'li', mergedInto: null })
    expect(other.contacts.map((contact) => contact.name).toSorted()).toEqual(['李雷', '韩梅'])
    expect(other.identifiers.map((identifier) => identifier.value).toSorted()).toEqual([secondMobile, thirdMobile].toSorted())
    expect(idsOf(await chief.get('/customers?q=腾云')).toSorted()).toEqual([first, second])
    expect(accepted(await chief.send('reverse-merge', { absorbedId: second, reason: '是两家公司' })).events).toEqual([])
    await until(async () => casesIn(await zhao.get(`/duplicate-cases?customerId=${second}`))[0]?.status === 'dismissed')
    // The pair is not raised again by detection.
    expect(accepted(await service.as('system').send('open-duplicate-case', { customerIds: [first, second], score: 20, weightsVersion: 1 })).events).toEqual([])
  })

  it('give back what was bought, said and complained of since to whom it is said to be of', async () => {
    const system = service.as('system')
    const { customerId: first } = await enter(zhao, { customerId: 'one' })
    const { customerId: second } = await enter(li, { customerId: 'other' })
    accepted(await chief.send('merge-customers', { customerIds: [first, second], reason: '同一客户' }))
    const at = new Date(Date.now() - 60_000).toISOString()
    accepted(await system.send('record-purchase', { customerId: first, purchaseId: 'SH-1', at, amount: { amount: 8800, currency: 'CNY' } }))
    accepted(await system.send('record-refund', { customerId: second, refundId: 'TK-1', purchaseId: 'SH-1', at, amount: { amount: 800, currency: 'CNY' }, reason: '少一件' }))
    accepted(await zhao.send('record-interaction', { customerId: first, interactionId: 'call-9', channel: 'phone', direction: 'inbound', purpose: 'courtesy', outcome: '谈妥续约' }))
    accepted(await zhao.send('lodge-complaint', { complaintId: 'late-9', customerId: first, class: 'service', severity: 'minor', channel: 'phone', description: '送货太晚' }))
    const give = { purchases: ['SH-1'], interactions: ['call-9'], complaints: ['late-9'] }
    expect(refused(await chief.send('reverse-merge', { absorbedId: second, reason: '误合并', give: { purchases: ['SH-2'] }, keep: { complaints: ['late-9'] } }), 422, 'unknown-reference')['errors']).toEqual([
      { path: 'give/purchases/0', message: 'is not a purchase of the survivor' }, { path: 'keep/complaints/0', message: 'is not a complaint of the absorbed customer' },
    ])
    const back = accepted(await chief.send('reverse-merge', { absorbedId: second, reason: '误合并', give }))
    expect(JSON.stringify((await li.get(`/complaints?customerId=${second}&after=${back.position}`)).json)).toContain('late-9')
    expect(JSON.stringify((await zhao.get(`/complaints?customerId=${first}`)).json)).not.toContain('late-9')
    const told = JSON.stringify((await li.get(`/customers/${second}/history?after=${back.position}`)).json)
    for (const part of ['Bought for 88.00 CNY (SH-1), of which 8.00 CNY (TK-1) was given back', 'Contact by phone, inbound, for courtesy']) expect(told).toContain(part)
    expect(refused(await system.send('record-refund', { customerId: first, refundId: 'TK-2', purchaseId: 'SH-1', at, amount: { amount: 1, currency: 'CNY' } }), 404, 'purchase-not-found')['customerId']).toBe(second)
    expect(refused(await system.send('record-refund', { customerId: second, refundId: 'TK-2', purchaseId: 'SH-1', at, amount: { amount: 8001, currency: 'CNY' } }), 409, 'refund-too-large')['refundable']).toEqual({ amount: 8000, currency: 'CNY' })
  })

  it('show the survivor all of both, and go back with what was entered for each; dry runs say so before', async () => {
    const system = service.as('system')
    const mobile = nextMobile()
    const { customerId: kept } = await enter(zhao, { customerId: 'kept', name: '甲方', identifiers: [{ kind: 'mobile', value: nextMobile() }] })
    const { customerId: gone } = await enter(li, { customerId: 'gone', name: '乙方' })
    const at = new Date(Date.now() - 60_000).toISOString()
    const bought = { purchaseId: 'SH-7', at, amount: { amount: 9_000_000, currency: 'CNY' } }
    accepted(await system.send('record-purchase', { customerId: gone, ...bought }))
    accepted(await li.send('record-interaction', { customerId: gone, interactionId: 'call-7', channel: 'phone', direction: 'inbound', purpose: 'courtesy' }))
    accepted(await li.send('lodge-complaint', { complaintId: 'late-7', customerId: gone, class: 'service', severity: 'minor', channel: 'phone', description: '送货太晚' }))
    const opened = accepted(await zhao.send('open-duplicate-case', { customerIds: [kept, gone], note: '同一家' }))
    expect(z.looseObject({ score: z.number() }).parse((await zhao.get(`/duplicate-cases/${String(opened['caseId'])}?after=${opened.position}`)).json).score).toBeLessThan(20)
    const merge = { customerIds: [kept, gone], reason: '同一客户' }
    expect(Preview.parse((await chief.send('merge-customers', merge, { dryRun: true })).json).merge.counts).toEqual({ contacts: 0, identifiers: 2, purchases: 1, interactions: 1, complaints: 1 })
    accepted(await chief.send('merge-customers', merge))
    refused(await chief.send('merge-customers', { ...merge, survivorId: gone }), 409, 'already-merged')

    // Bought and said once, whichever of the two it is sent for; and it counts for the survivor.
    expect(accepted(await system.send('record-purchase', { customerId: kept, ...bought }))).toMatchObject({ customerId: gone, redirectedFrom: kept, events: [] })
    expect(accepted(await zhao.send('record-interaction', { customerId: kept, interactionId: 'call-7', channel: 'phone', direction: 'inbound', purpose: 'courtesy' })).events).toEqual([])
    await until(async () => (await read(zhao, kept)).stage === 'active' && (await read(zhao, kept)).tier === 'preferred')
    const history = JSON.stringify((await zhao.get(`/customers/${kept}/history`)).json)
    for (const part of ['SH-7', 'Contact by phone', 'late-7']) expect(history).toContain(part)

    // Entered for the absorbed since, it goes back with that one, but for what is kept.
    const told = { title: '经理', role: 'influencer', mobile: '13700137009', email: 'a@example.com' }
    for (const name of ['随行', '留下']) accepted(await zhao.send('add-contact', { customerId: gone, name, fields: told }))
    const added = accepted(await zhao.send('add-identifier', { customerId: gone, identifier: { kind: 'mobile', value: mobile } }))
    const stays = (await read(zhao, kept, added.position)).contacts.find(({ name }) => name === '留下')?.contactId ?? ''
    const reverse = { absorbedId: gone, reason: '不是同一客户', keep: { contacts: [stays], purchases: ['SH-7'] } }
    expect((await chief.send('reverse-merge', reverse, { dryRun: true })).json).toMatchObject({ reversal: {
      survivor: { customerId: kept, ownerId: 'zhao', name: '甲方', counts: { contacts: 1, identifiers: 1, purchases: 1, interactions: 0, complaints: 0 } },
      absorbed: { customerId: gone, ownerId: 'li', name: '乙方', counts: { contacts: 1, identifiers: 2, purchases: 0, interactions: 1, complaints: 1 } },
    } })
    const back = accepted(await chief.send('reverse-merge', reverse))
    const [one, other] = [await read(zhao, kept, back.position), await read(li, gone, back.position)]
    expect(one.contacts.map(({ name }) => name)).toEqual(['留下'])
    expect({ contacts: other.contacts.map(({ name }) => name), mobiles: other.identifiers.length, revision: other.revision }).toEqual({ contacts: ['随行'], mobiles: 2, revision: back.revision })
    expect(other.identifiers.map(({ value }) => value)).toContain(mobile)
  })

  it('are refused to whoever is not over both, and told what is wrong', async () => {
    const { customerId: ours } = await enter(zhao)
    const { customerId: theirs } = await enter(service.as('clerk', 'rival'))
    refused(await chief.send('merge-customers', { customerIds: [ours, theirs], reason: '同一客户' }), 403, 'not-permitted')
    refused(await chief.send('merge-customers', { customerIds: [ours, 'nobody'], reason: '同一客户' }), 404, 'customer-not-found')
    refused(await chief.send('merge-customers', { customerIds: [ours, ours], reason: '同一客户' }), 422, 'invalid-body')
    refused(await service.as('system').send('merge-customers', { customerIds: [ours, theirs], survivorId: 'third', reason: '同一客户' }), 422, 'invalid-body')
    refused(await service.as('system').send('merge-customers', { customerIds: [ours, theirs], take: { fields: { address: 'third' } }, reason: '同一客户' }), 422, 'unknown-reference')
    refused(await service.as('system').send('reverse-merge', { absorbedId: ours, reason: '误合并' }), 409, 'not-merged')
    refused(await service.as('system').send('reverse-merge', { absorbedId: 'nobody', reason: '误合并' }), 404, 'customer-not-found')
  })
})
