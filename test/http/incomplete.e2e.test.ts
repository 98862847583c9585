import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accepted, startService, until, type Answer, type Sender, type TestService } from '../support/http.ts'
import { enter, idsOf, organise, refused } from './people.ts'

const Listed = z.object({ items: z.array(z.looseObject({ customerId: z.string(), missing: z.array(z.object({ path: z.string(), message: z.string() })) })) })
const missingIn = (answer: Answer) => new Map(Listed.parse(answer.json).items.map((item) => [item.customerId, item.missing.map(({ path, message }) => `${path} ${message}`)]))
const complete = { address: '深圳市福田区 1 号', importance: 'A', source: 'referral' }

describe('incomplete customers', () => {
  let service: TestService
  let zhao: Sender
  let li: Sender
  const list = async (sender: Sender, query = '') => sender.get(`/customers?incomplete=true${query}`)
  const buy = async (customerId: string) => accepted(await zhao.send('record-purchase', { customerId, purchaseId: customerId, at: '2026-03-03T01:00:00Z', amount: { amount: 100, currency: 'CNY' } }))
  const becomesActive = async (customerId: string) => until(async () => idsOf(await zhao.get('/customers?stage=active')).includes(customerId))

  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, south: null }, { zhao: 'north', li: 'south' })
    zhao = service.as('clerk', 'zhao')
    li = service.as('clerk', 'li')
  })
  afterAll(() => service.close())

  it('a purchase is never refused for missing fields: the customer is listed for its owner, until it is complete', async () => {
    const { customerId } = await enter(zhao, { fields: { address: '暂无' }, contacts: [{ name: '韩梅梅', fields: { title: '采购', role: 'insider' } }] })
    expect(idsOf(await list(zhao))).toEqual([])
    await buy(customerId)
    await becomesActive(customerId)
    const [contactId] = z.object({ contacts: z.array(z.object({ contactId: z.string() })) }).parse((await zhao.get(`/customers/${customerId}`)).json).contacts.map((contact) => contact.contactId)
    const contact = `contacts/${contactId}/fields`
    expect(missingIn(await list(zhao)).get(customerId)).toEqual([
      'fields/address is required, and a placeholder is not a value', 'fields/importance is required', 'fields/source is required',
      `${contact}/mobile is required`, `${contact}/email is required`, `${contact} cannot be reached: has none of officePhone, mobile, email`,
    ])
    // Who does not see it in full is not told, not even by its identifier; who asks without the parameter is not told either.
    expect([idsOf(await list(li)), idsOf(await list(service.as('auditor'))), idsOf(await list(zhao, '&ownerId=li'))]).toEqual([[], [customerId], []])
    expect(JSON.stringify((await zhao.get('/customers')).json)).not.toContain('missing')
    accepted(await zhao.send('change-contact', { customerId, contactId, fields: { mobile: '13700137000', email: 'meimei@example.cn' } }))
    const { position } = accepted(await zhao.send('change-profile', { customerId, fields: complete }))
    expect(idsOf(await list(zhao, `&after=${position}`))).toEqual([])
  })

  it('a template that asks for more lists those who were complete, page by page', async () => {
    const ids: string[] = []
    for (let n = 0; n < 7; n += 1) {
      const { customerId } = await enter(zhao, { category: 'competitor', fields: { industry: '零售' } })
      accepted(await zhao.send('change-stage', { customerId, to: n % 3 === 2 ? 'lost' : 'prospect' }))
      if (n % 3 !== 2) ids.unshift(customerId)
    }
    const labels = { en: 'Rival product', zh: '竞品' }
    const fields = ['rivalProduct', 'industry'].map((key) => ({ key, labels, type: 'text', requiredFrom: 'prospect', listed: true, personal: false }))
    const revised = accepted(await service.as('admin').send('revise-category', { categoryId: 'competitor', labels, criterion: labels, kind: 'organisation', template: { fields, contactFields: [] }, reason: '竞品分析' }))
    const seen: string[] = []
    for (let path: string | undefined = `/customers?incomplete=true&category=competitor&limit=2&after=${revised.position}`; path !== undefined; ) {
      const page: Answer = await zhao.get(path)
      for (const [customerId, missing] of missingIn(page)) expect([customerId, missing]).toEqual([customerId, ['fields/rivalProduct is required']])
      seen.push(...idsOf(page))
      path = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1]
    }
    expect(seen).toEqual(ids)

    const csv = (await zhao.get('/customers?incomplete=true&category=competitor', { accept: 'text/csv' })).text.trimEnd().split('\n')
    expect(csv[0]).toBe('customerId,full,name,category,ownerId,ownerSince,lastOwnerId,departmentId,stage,tier,enteredAt,revision,missing')
    expect(csv.slice(1).map((line) => [line.split(',')[0], line.split(',').at(-1)])).toEqual(ids.map((id) => [id, 'fields/rivalProduct is required']))
    const lines: unknown[] = (await zhao.get('/customers?incomplete=true&category=competitor', { accept: 'application/x-ndjson' })).text.trimEnd().split('\n').map((line) => JSON.parse(line))
    expect(lines).toEqual(Listed.parse((await list(zhao, '&category=competitor')).json).items)
  })

  it('by an identifier only what one sees in full is told', async () => {
    const { customerId } = await enter(zhao, { identifiers: [{ kind: 'email', value: 'half@example.com' }] })
    await buy(customerId)
    await becomesActive(customerId)
    expect(idsOf(await list(zhao, '&identifier=email:half@example.com'))).toEqual([customerId])
    expect(idsOf(await list(li, '&identifier=email:half@example.com'))).toEqual([])
  })

  it('only true can be asked', async () => {
    for (const value of ['false', '1', '']) expect(refused(await zhao.get(`/customers?incomplete=${value}`), 400, 'invalid-parameters').errors.map((error) => error.path)).toEqual(['incomplete'])
  })
})
