import { beforeAll, describe, expect, it } from 'vitest'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import { load } from '../../src/commands/load.ts'
import { settleReversal } from '../../src/commands/merging.ts'
import { handleNamed } from '../../src/commands/send.ts'
import { complainingCustomer, complaint } from '../../src/domain/complaint/complaint.ts'
import { customer } from '../../src/domain/customer/customer.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { engagement, ownInteractions } from '../../src/domain/engagement/engagement.ts'
import { netSpend, ownPurchases, purchases } from '../../src/domain/purchases/purchases.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import type { EventStore } from '../../src/event-store/port.ts'
import { makeMemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'

/*
 * What lies beside two customers that are given back: purchases, interactions and complaints go where the user says,
 * else they are where they came from; wherever a reversal stopped, and however many take it on at once.
 */

const importer: Caller = { actor: 'importer', role: 'system', employeeId: null, onBehalfOf: null }
const base = makeMemoryStore()
const runtime = makeRuntime(base)

const sendTo = async (store: EventStore, command: string, body: object, key?: string) => {
  const answer = await handleNamed({ ...runtime, store }, command, body, { caller: importer, key })
  if (answer.status >= 300) expect.fail(`${command}: ${JSON.stringify(answer.body)}`)
  return answer
}
const at = '2026-02-01T08:00:00.000Z'
const yuan = (amount: number) => ({ amount: amount * 100, currency: 'CNY' })
const buy = (customerId: string, purchaseId: string, amount: number) => ({ customerId, purchaseId, at, amount: yuan(amount) })
const called = (customerId: string, interactionId: string) => ({ customerId, interactionId, at, channel: 'phone', direction: 'inbound', purpose: 'courtesy', outcome: `谈 ${interactionId}` })
const complained = (customerId: string, complaintId: string, contactId?: string) => ({ customerId, complaintId, ...(contactId === undefined ? {} : { contactId }), class: 'service', severity: 'minor', channel: 'phone', description: '送货太晚' })

const asked = {
  absorbedId: 'second', reason: '不是同一客户',
  give: { contacts: new Array<string>(), purchases: ['p1', 'p2'], interactions: ['i1'], complaints: ['c1', 'c2'] },
  keep: { purchases: ['late'], interactions: ['i3'], complaints: ['c3'] },
}

let mergeId = ''
beforeAll(async () => {
  await bootstrapLog(runtime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })
  const create = (customerId: string) => sendTo(base, 'create-customer', { customerId, category: 'individual-retail', name: `客户${customerId}`, fields: { source: 'referral' }, claim: false })
  await create('first')
  await create('second')
  await sendTo(base, 'record-purchase', buy('second', 'theirs', 10))
  mergeId = String((await sendTo(base, 'merge-customers', { customerIds: ['first', 'second'], reason: '同一客户' })).body['mergeId'])
  for (const [purchaseId, amount] of [['p1', 100], ['p2', 200], ['p3', 300]] as const) await sendTo(base, 'record-purchase', buy('first', purchaseId, amount))
  await sendTo(base, 'record-refund', { customerId: 'first', refundId: 'r1', purchaseId: 'p1', at, amount: yuan(30), reason: '破损' })
  await sendTo(base, 'record-purchase', buy('second', 'late', 50))
  for (const [customerId, interactionId] of [['first', 'i1'], ['first', 'i2'], ['second', 'i3']] as const) await sendTo(base, 'record-interaction', called(customerId, interactionId))
  await sendTo(base, 'add-contact', { customerId: 'first', name: '韩梅梅' })
  await sendTo(base, 'add-contact', { customerId: 'first', name: '李雷' })
  const [han, li] = (await load(runtime, customer, 'customer-first')).state.contacts.keys()
  asked.give.contacts.push(han ?? '')
  await sendTo(base, 'lodge-complaint', complained('first', 'c1', han))
  await sendTo(base, 'lodge-complaint', complained('first', 'c2', li))
  await sendTo(base, 'lodge-complaint', complained('second', 'c3'))
})

/** Whose everything is, by the streams. */
const whose = async (store: EventStore) => {
  const to = { ...runtime, store }
  const of = async (customerId: string) => {
    const bought = (await load(to, purchases, `purchases-${customerId}`)).state
    return { purchases: [...ownPurchases(bought).keys()].toSorted(), spend: netSpend(bought).get('CNY') ?? 0, interactions: [...ownInteractions((await load(to, engagement, `engagement-${customerId}`)).state)].toSorted() }
  }
  const complaints = await Promise.all(['c1', 'c2', 'c3'].map(async (complaintId) => {
    const { state } = await load(to, complaint, `complaint-${complaintId}`)
    return state.status === 'none' ? null : { of: complainingCustomer(state), kind: state.complainant.kind }
  }))
  return { first: await of('first'), second: await of('second'), complaints }
}
const asSaid = {
  first: { purchases: ['late', 'p3'], spend: 35_000, interactions: ['i2', 'i3'] },
  second: { purchases: ['p1', 'p2', 'theirs'], spend: 28_000, interactions: ['i1'] },
  // Who complained is named still where the contact went along.
  complaints: [{ of: 'second', kind: 'contact' }, { of: 'second', kind: 'customer' }, { of: 'first', kind: 'customer' }],
}

describe('a reversal that moves what lies beside the two', () => {
  it('leaves each where it came from unless the user says otherwise', async () => {
    const store = base.fork()
    await sendTo(store, 'reverse-merge', { absorbedId: 'second', reason: '不是同一客户' })
    expect(await whose(store)).toEqual({
      first: { purchases: ['p1', 'p2', 'p3'], spend: 57_000, interactions: ['i1', 'i2'] },
      second: { purchases: ['late', 'theirs'], spend: 6000, interactions: ['i3'] },
      complaints: [{ of: 'first', kind: 'contact' }, { of: 'first', kind: 'contact' }, { of: 'second', kind: 'customer' }],
    })
  })

  it('moves each once, with its refunds, under the time it was, and again changes nothing', async () => {
    const store = base.fork()
    await sendTo(store, 'reverse-merge', asked, 'back')
    expect(await whose(store)).toEqual(asSaid)
    const before = store.since(0n).length
    await sendTo(store, 'reverse-merge', asked, 'back')
    await settleReversal({ ...runtime, store }, 'second', mergeId)
    expect(store.since(0n).length).toBe(before)
    expect(store.since(0n).filter((event) => event.type.endsWith('TakenOver')).map(({ metadata }) => metadata.effectiveAt)).toEqual([at, at, at, at, at])
  })

  it('comes to the same wherever it stopped, before or after what it appended', async () => {
    let stops = 0
    for (const after of [false, true]) {
      for (let left = 0; ; left += 1) {
        const store = base.fork()
        let appends = 0
        let stopped = false
        const dying: EventStore = { ...store, append: async (append) => {
          if (appends === left && !after) throw new Error('killed')
          appends += 1
          const result = await store.append(append)
          if (appends === left + 1 && after) throw new Error('killed')
          return result
        } }
        try {
          await sendTo(dying, 'reverse-merge', asked, 'back')
        } catch (error) {
          expect(String(error)).toContain('killed')
          stopped = true
        }
        if (stopped) {
          stops += 1
          await sendTo(store, 'reverse-merge', asked, 'back')
          await settleReversal({ ...runtime, store }, 'second', mergeId)
        }
        expect(await whose(store), `stopped ${after ? 'after' : 'before'} append ${left}`).toEqual(asSaid)
        if (!stopped) break
      }
    }
    // The reversal itself, the survivor's end of it, the contact, two gifts and five takings of each direction, and three complaints.
    expect(stops).toBeGreaterThan(25)
  })

  it('moves nothing twice, whoever takes it on at the same moment', async () => {
    const store = base.fork()
    const ended = await Promise.allSettled([sendTo(store, 'reverse-merge', asked, 'back'), ...[1, 2, 3].map(async () => { await new Promise((resolve) => { setTimeout(resolve, 1) }); return settleReversal({ ...runtime, store }, 'second', mergeId) })])
    expect(ended.map(({ status }) => status)).toEqual(ended.map(() => 'fulfilled'))
    expect(await whose(store)).toEqual(asSaid)
    const told = store.since(0n).filter((event) => /GivenAway|TakenOver|ComplainantCorrected/.test(event.type)).map(({ type, stream, data }) => `${type} ${stream} ${String(data['purchaseId'] ?? data['interactionId'] ?? '')}`)
    expect(new Set(told).size).toBe(told.length)
  })

  it('gives a thing to one alone, also when two reversals ask for it at the same moment', async () => {
    const store = base.fork()
    await sendTo(store, 'create-customer', { customerId: 'third', category: 'individual-retail', name: '客户third', fields: { source: 'referral' }, claim: false })
    await sendTo(store, 'merge-customers', { customerIds: ['first', 'third'], survivorId: 'first', reason: '同一客户' })
    const give = { purchases: ['p1'], interactions: ['i1'], complaints: ['c1'] }
    await Promise.all(['second', 'third'].map((absorbedId) => sendTo(store, 'reverse-merge', { absorbedId, reason: '不是同一客户', give })))
    const to = { ...runtime, store }
    const holders = (await Promise.all(['first', 'second', 'third'].map(async (id) => [id, (await load(to, purchases, `purchases-${id}`)).state, (await load(to, engagement, `engagement-${id}`)).state] as const)))
    expect(holders.filter(([, bought]) => ownPurchases(bought).has('p1')).map(([id]) => id)).toHaveLength(1)
    expect(holders.filter(([, , met]) => ownInteractions(met).has('i1')).map(([id]) => id)).toHaveLength(1)
    expect(holders.reduce((sum, [, bought]) => sum + (netSpend(bought).get('CNY') ?? 0), 0)).toBe(63_000)
  })

  it('can be undone by the next one, and what an earlier one moved is not moved again when it is seen again', async () => {
    const store = base.fork()
    await sendTo(store, 'reverse-merge', asked)
    await sendTo(store, 'merge-customers', { customerIds: ['first', 'second'], reason: '还是同一客户' })
    // As one they are bought for, and given back for, by either id.
    await sendTo(store, 'record-refund', { customerId: 'first', refundId: 'r2', purchaseId: 'p2', at, amount: yuan(20) })
    expect((await sendTo(store, 'record-purchase', buy('first', 'p2', 200))).body['events']).toEqual([])
    await sendTo(store, 'reverse-merge', { absorbedId: 'second', reason: '确实不是', give: { purchases: ['late'], interactions: ['i3'], complaints: ['c3'] }, keep: { purchases: ['p1', 'p2'], interactions: ['i1'], complaints: ['c1', 'c2'] } })
    const ends = await whose(store)
    expect(ends).toMatchObject({ first: { purchases: ['p1', 'p2', 'p3'], spend: 55_000, interactions: ['i1', 'i2'] }, second: { purchases: ['late', 'theirs'], spend: 6000, interactions: ['i3'] }, complaints: [{ of: 'first' }, { of: 'first' }, { of: 'second' }] })
    await settleReversal({ ...runtime, store }, 'second', mergeId)
    expect(await whose(store)).toEqual(ends)
  })

  it('says to whom a purchase went, when its refund is sent for whoever had it', async () => {
    const store = base.fork()
    await sendTo(store, 'reverse-merge', asked)
    const answer = await handleNamed({ ...runtime, store }, 'record-refund', { customerId: 'first', refundId: 'r9', purchaseId: 'p1', at, amount: yuan(1) }, { caller: importer, key: undefined })
    expect(answer).toMatchObject({ status: 404, body: { type: '/docs/problems/purchase-not-found', customerId: 'second' } })
    await sendTo(store, 'record-refund', { customerId: 'second', refundId: 'r9', purchaseId: 'p1', at, amount: yuan(70) })
    const more = await handleNamed({ ...runtime, store }, 'record-refund', { customerId: 'second', refundId: 'r10', purchaseId: 'p1', at, amount: yuan(1) }, { caller: importer, key: undefined })
    expect(more).toMatchObject({ status: 409, body: { refundable: { amount: 0 } } })
  })
})
