import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { readConfig } from '../../src/config.ts'
import { serve } from '../../src/main.ts'
import { pauseModel, resumeModel } from '../../src/projections/pauses.ts'
import { accepted, makePlace, startProcess, startService, until, type Answer, type Place, type Sender, type TestService } from '../support/http.ts'
import { individual, nextMobile, organise, refused } from './people.ts'

const Found = z.looseObject({ customerId: z.string(), score: z.number().nullable(), reasons: z.array(z.looseObject({ comparison: z.string(), level: z.string(), en: z.string(), zh: z.string() })) })
const Checked = z.looseObject({ candidates: z.array(Found.extend({ match: z.string(), name: z.string().nullable(), full: z.boolean(), ownerId: z.string().nullable(), departmentId: z.string().nullable(), identifiers: z.array(z.number()) })) })
const Models = z.looseObject({ models: z.array(z.looseObject({ model: z.string(), state: z.string() })) })
const Warned = z.object({ warnings: z.array(z.looseObject({ warning: z.string(), candidates: z.array(Found).default([]) })) })
const candidatesOf = (answer: Answer) => Checked.parse(answer.json).candidates
const warningsOf = (answer: Answer) => Warned.parse(answer.json).warnings

/** For each test somebody who is like nobody of the others. */
const people = {
  warned: { name: '诸葛明亮', birthday: '1981-07-23', address: '南阳市卧龙区卧龙路 1 号' },
  blocked: { name: '欧阳永叔', birthday: '1972-08-06', address: '吉安市青原区永叔路 22 号' },
  unlooked: { name: '司马君实', birthday: '1993-11-17', address: '运城市夏县水头街 5 号' },
  masked: { name: '上官婉约', birthday: '1964-04-04', address: '三门峡市陕州区高阳路 316 号' },
  merged: { name: '令狐若虚', birthday: '1944-04-14', address: '渭南市华阴市玉泉路 9 号' },
  hundred: { name: '夏侯元让', birthday: '1985-05-05', address: '亳州市谯城区魏武大道 78 号' },
  orphaned: { name: '东方曼倩', birthday: '1956-06-06', address: '德州市陵城区颜城街 9 号' },
}
const entry = (who: keyof typeof people, more: object = {}) => {
  const { name, birthday, address } = people[who]
  return individual({ name, fields: { source: 'referral', birthday, address }, ...more })
}
/** The same person, as somebody else wrote the name. */
const again = (who: keyof typeof people, more: object = {}) => entry(who, { name: people[who].name.replace(/(.)(.)$/, '$2$1'), ...more })
/** Enters a customer; a service that is too busy is asked again, with the same key. */
const evenIfBusy = async (sender: Sender, body: object, key: string): Promise<Answer> => {
  const answer = await sender.send('create-customer', body, { key })
  return answer.status === 503 ? evenIfBusy(sender, body, key) : answer
}
const casesOf = async (place: Place) => (await place.log.events()).filter((event) => event.type === 'DuplicateCaseOpened').map((event) => z.object({ customerIds: z.tuple([z.string(), z.string()]) }).parse(event.data).customerIds)

describe('near matches over HTTP', () => {
  let service: TestService
  beforeAll(async () => {
    service = await startService()
    await organise(service, { north: null, south: null }, { li: 'north', zhao: 'south', curious: 'south' })
  })
  afterAll(() => service.close())

  const li = () => service.as('clerk', 'li')
  const zhao = () => service.as('clerk', 'zhao')
  const ready = (position: string) => until(async () => (await service.as('auditor').post(`/duplicates/check?after=${position}`, { category: 'individual-retail', name: '某某' })).status === 200)
  const policy = async (value: object) => accepted(await service.as('admin').send('revise-policy', { policy: 'duplicates', value, reason: '试' }))
  const warn = { default: { nearMatch: 'warn', threshold: 0.5 } }

  it('an entry is told of whom the check told before, for the same reasons; the event keeps both', async () => {
    const first = accepted(await li().send('create-customer', entry('warned')))
    await ready(first.position)
    const second = again('warned')
    const checked = candidatesOf(await li().post('/duplicates/check', second))
    expect(checked).toMatchObject([{ customerId: first.customerId, match: 'near', full: true, name: people.warned.name, ownerId: 'li', departmentId: 'north', reasons: expect.arrayContaining([expect.objectContaining({ comparison: 'birth-date', level: 'same', zh: '出生日期相同' })]) }])
    const answer = await li().send('create-customer', second)
    const warned = warningsOf(answer)
    expect(warned).toMatchObject([{ warning: 'near-match', candidates: [{ customerId: first.customerId, score: checked[0]?.score, reasons: checked[0]?.reasons }] }])
    const created = (await service.log.events()).find((event) => event.stream === accepted(answer).streamId)
    expect(created?.data).toMatchObject({ nearMatches: { weightsVersion: 1, policyVersion: 1, decision: 'warned', candidates: [{ customerId: first.customerId, score: checked[0]?.score }] } })
    // It leads to a case, once.
    await until(async () => (await casesOf(service)).some((pair) => pair.includes(accepted(answer).customerId) && pair.includes(first.customerId)))
  })

  it('a blocked entry passes when every near match is acknowledged, with the same key; the attempt is on record', async () => {
    await policy({ ...warn, categories: { 'individual-retail': { nearMatch: 'block', threshold: 0.5 } } })
    const first = accepted(await li().send('create-customer', entry('blocked')))
    await ready(first.position)
    const second = again('blocked')
    const blocked = refused(await li().send('create-customer', second, { key: 'entry' }), 409, 'near-duplicate')
    expect(blocked['candidates']).toMatchObject([{ customerId: first.customerId, reasons: expect.anything(), ownerId: 'li', departmentId: 'north' }])
    refused(await li().send('create-customer', { ...second, acknowledgement: { candidates: ['somebody-else'], reason: '看过' } }, { key: 'entry' }), 409, 'near-duplicate')
    const passed = await li().send('create-customer', { ...second, acknowledgement: { candidates: [first.customerId], reason: '双胞胎兄弟，已核对' } }, { key: 'entry' })
    expect(accepted(passed).warnings).toEqual([])
    const created = (await service.log.events()).find((event) => event.stream === accepted(passed).streamId)
    expect(created?.data).toMatchObject({ nearMatches: { decision: 'acknowledged', reason: { sealed: 1 }, candidates: [{ customerId: first.customerId }] } })
    const { items } = z.object({ items: z.array(z.looseObject({ problem: z.string(), actor: z.string(), ranInto: z.looseObject({}) })) }).parse((await service.as('auditor').get('/audit/attempts?limit=2')).json)
    expect(items).toMatchObject([{ problem: 'near-duplicate', actor: 'li', ranInto: { candidates: [{ customerId: first.customerId }] } }, { problem: 'near-duplicate' }])
    await policy(warn)
  })

  it('who is like a record that was merged is like the customer that stands for it, at entry, in the check and in its case', async () => {
    await policy(warn)
    const survivor = accepted(await li().send('create-customer', individual({ name: '东方不败', fields: { source: 'referral' } })))
    const absorbed = accepted(await li().send('create-customer', entry('merged')))
    const merged = accepted(await service.as('system').send('merge-customers', { customerIds: [survivor.customerId, absorbed.customerId], survivorId: survivor.customerId, reason: '同一客户' }))
    await ready(merged.position)
    expect(candidatesOf(await li().post('/duplicates/check', again('merged')))).toMatchObject([{ customerId: survivor.customerId, match: 'near' }])
    const answer = await li().send('create-customer', again('merged'))
    expect(warningsOf(answer)).toMatchObject([{ candidates: [{ customerId: survivor.customerId }] }])
    await until(async () => (await casesOf(service)).some((pair) => pair.includes(accepted(answer).customerId)))
    expect((await casesOf(service)).filter((pair) => pair.includes(accepted(answer).customerId))).toEqual([[accepted(answer).customerId, survivor.customerId].toSorted()])
    // Given back, it stands for itself again.
    const back = accepted(await service.as('system').send('reverse-merge', { absorbedId: absorbed.customerId, reason: '误合并' }))
    await ready(back.position)
    expect(candidatesOf(await li().post('/duplicates/check', entry('merged'))).map(({ customerId }) => customerId)).toContain(absorbed.customerId)
  })

  it('a check that could not find anybody says so, and one of an identifier is as late as the log', async () => {
    const faults = async (body: object) => refused(await li().post('/duplicates/check', body), 422, 'invalid-body')['errors']
    expect(await faults({})).toMatchObject([{ path: 'identifiers' }])
    expect(await faults({ name: '王建国' })).toMatchObject([{ path: 'category' }])
    expect(await faults({ category: 'no-such', name: '王建国' })).toMatchObject([{ path: 'category', message: 'no category has this id' }])
    expect(await faults({ category: 'individual-retail', name: '王建国', fields: { birthday: 'x', nonsense: 1 } })).toMatchObject([{ path: 'fields/birthday' }, { path: 'fields/nonsense' }])
    expect(await faults({ category: 'individual-retail' })).toMatchObject([{ path: 'name' }])
    for (let round = 0; round < 5; round += 1) {
      const mobile = nextMobile()
      const { customerId } = accepted(await li().send('create-customer', individual({ name: `独孤${round}`, fields: { source: 'referral' }, identifiers: [{ kind: 'mobile', value: mobile }] })))
      const answer = await zhao().post('/duplicates/check', { identifiers: [{ kind: 'mobile', value: mobile }] })
      expect(answer.json).toMatchObject({ compared: false })
      expect(candidatesOf(answer)).toMatchObject([{ customerId, match: 'identifier', ownerId: 'li', departmentId: 'north', full: false }])
    }
  })

  it('whose a customer is that holds an identifier the log says, where the read models are behind', async () => {
    const mobile = nextMobile()
    const { customerId, position } = accepted(await li().send('create-customer', individual({ name: '公孙大娘', fields: { source: 'referral' }, identifiers: [{ kind: 'mobile', value: mobile }] })))
    const models = ['duplicates', 'customer-lookup']
    const states = async () => Models.parse(await (await fetch(`${service.url}/health/ready`)).json()).models.filter(({ model }) => models.includes(model))
    const check = () => zhao().post('/duplicates/check', { identifiers: [{ kind: 'mobile', value: mobile }] })
    await ready(position)
    await until(async () => candidatesOf(await check())[0]?.name === '公**')
    // In this order: what is asked of the second is as late as the first.
    for (const model of models) {
      await pauseModel(service.core.db, model)
      await until(async () => (await states()).some((one) => one.model === model && one.state === 'paused'))
    }
    accepted(await li().send('transfer-ownership', { customerId, to: 'curious', reason: '调岗' }))
    expect(candidatesOf(await check())).toMatchObject([{ customerId, match: 'identifier', ownerId: 'curious', departmentId: 'south', name: '公**', full: false }])
    for (const model of models) await resumeModel(service.core.db, model)
  })

  it('where the category’s policy is off nobody looks; a system may switch it off for one entry, a clerk may not', async () => {
    const first = accepted(await li().send('create-customer', entry('unlooked')))
    await ready(first.position)
    refused(await li().send('create-customer', entry('unlooked', { nearMatchCheck: false })), 403, 'not-permitted')
    const byImport = await service.as('system').send('create-customer', entry('unlooked', { nearMatchCheck: false, claim: false }))
    expect(warningsOf(byImport)).toEqual([])
    expect((await service.log.events()).find((event) => event.stream === accepted(byImport).streamId)?.data).toMatchObject({ nearMatches: { decision: 'switched-off' } })
    await policy({ ...warn, categories: { 'individual-retail': { nearMatch: 'off', threshold: 1 } } })
    expect(warningsOf(await li().send('create-customer', entry('unlooked')))).toEqual([])
    await policy(warn)
  })

  it('a colleague outside is told that it exists and whom to ask; neither names nor values, and not for trying name after name', async () => {
    const mobile = nextMobile()
    const first = accepted(await li().send('create-customer', entry('masked', { identifiers: [{ kind: 'mobile', value: mobile }] })))
    await ready(first.position)
    const answer = await zhao().post('/duplicates/check', again('masked'))
    expect(candidatesOf(answer)).toMatchObject([{ customerId: first.customerId, match: 'near', full: false, name: '上**', ownerId: 'li', departmentId: 'north' }])
    expect(answer.text).not.toMatch(/官婉约|1964|高阳|陕州/)
    // An identifier is certain: the holder is named once, not as a near match as well.
    expect(candidatesOf(await zhao().post('/duplicates/check', entry('masked', { identifiers: [{ kind: 'mobile', value: mobile }] })))).toMatchObject([{ customerId: first.customerId, match: 'identifier', identifiers: [0] }])
    const duplicate = refused(await zhao().send('create-customer', entry('masked', { identifiers: [{ kind: 'mobile', value: mobile }] })), 409, 'duplicate-customer')
    expect(duplicate['holder']).toEqual({ customerId: first.customerId, ownerId: 'li', since: expect.any(String), departmentId: 'north' })

    const curious = service.as('clerk', 'curious')
    const tries = await Promise.all(Array.from({ length: 31 }, (_, n) => (n % 2 === 0
      ? curious.post('/duplicates/check', { category: 'individual-retail', name: `上官${n}` })
      : curious.send('create-customer', entry('masked', { name: `上官${n}` }), { dryRun: true }))))
    expect(tries.filter((one) => one.status === 429)).toHaveLength(1)
  })

  it('a number that was released and taken up by another is told with both, and by whom', async () => {
    const identifier = { kind: 'mobile', value: nextMobile() }
    const [first, second] = (await Promise.all(['卓文君', '蔡文姬'].map((name, n) => li().send('create-customer', individual({ name, ...(n === 0 ? { identifiers: [identifier] } : {}) }))))).map(accepted)
    refused(await li().send('add-identifier', { customerId: second?.customerId, identifier }), 409, 'duplicate-customer')
    accepted(await li().send('release-identifier', { customerId: first?.customerId, identifier, reason: '销号' }))
    accepted(await service.as('system').send('add-identifier', { customerId: second?.customerId, identifier }))
    const history = await service.as('auditor').get(`/identifiers/history?identifier=mobile:${identifier.value.slice(3)}`)
    expect(history.json).toEqual({ items: [
      { customerId: first?.customerId, from: expect.any(String), actor: 'li', to: expect.any(String), releasedBy: 'li' },
      { customerId: second?.customerId, from: expect.any(String), actor: 'first-system', to: null, releasedBy: null },
    ] })
    refused(await li().get(`/identifiers/history?identifier=mobile:${identifier.value.slice(3)}`), 403, 'read-not-permitted')
  })

  it('a hundred entered in the same instant, much alike, may all pass: each is in a case, and no pair in two', async () => {
    const entering = Array.from({ length: 100 }, (_, n) => evenIfBusy(li(), entry('hundred', { name: n % 2 === 0 ? '夏侯元让' : '夏侯远让' }), `instant-${n}`))
    const ids = (await Promise.all(entering)).map((answer) => accepted(answer).customerId)
    // As long as it takes: five hundred cases may be opened.
    for (let tied = new Set<string>(); !ids.every((id) => tied.has(id)); ) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      tied = new Set((await casesOf(service)).flat())
    }
    const cases = (await casesOf(service)).map((pair) => pair.toSorted().join(' '))
    expect(new Set(cases).size).toBe(cases.length)
  })
})

describe('a process killed between an entry and its case', () => {
  it('leaves the case to the next: it is opened, once', async () => {
    let url = ''
    const place = await makePlace({}, () => url)
    const killed = await startProcess(place)
    url = killed.url
    const entering = [entry('orphaned'), again('orphaned')].map((body) => place.as('clerk', 'clerk', url).send('create-customer', body))
    const ids = (await Promise.all(entering)).map((answer) => accepted(answer).customerId)
    killed.child.kill('SIGKILL')
    const { core, stop } = await serve(readConfig(place.environment), () => undefined)
    await until(async () => (await core.processLog.position('duplicate-detection')) >= (await core.runtime.store.head()))
    expect((await casesOf(place)).map((pair) => pair.toSorted())).toEqual([ids.toSorted()])
    await stop()
    await place.close()
  })
})
