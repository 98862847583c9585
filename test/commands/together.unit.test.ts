import { describe, expect, it, test } from 'vitest'
import { EventStoreUnavailable } from '../../src/event-store/port.ts'
import { admin, create, expectWholeLog, line, mobile, nameOf, rename, renames, setUp, shape, stateOf, statuses, type Line } from './together.world.ts'

describe('commands to one stream that are at hand', () => {
  test('are appended together, in their order, each with its receipt and answer', async () => {
    const { batch, appended, types, store, told } = setUp()
    const lines = [create(), ...renames(20)]
    const answers = await batch(lines)
    expect(statuses(answers)).toEqual([201, ...renames(20).map(() => 200)])
    expect(await types()).toEqual(['CustomerCreated', 'OwnershipClaimed', ...renames(20).map(() => 'ProfileChanged')])
    expect(appended.length).toBeLessThanOrEqual(2)
    expect(appended.reduce((sum, count) => sum + count, 0)).toBe(21)
    expect(told).toHaveLength(21)
    const events = await Array.fromAsync(store.readStream('customer-c'))
    for (const [index, { answer }] of answers.entries()) {
      const own = events.filter(({ metadata }) => 'commandId' in answer && metadata.commandId === answer.commandId)
      expect(answer).toMatchObject({ revision: own.at(-1)?.revision, position: expect.stringMatching(`\\.${own.at(-1)?.position}$`), events: own.map(({ id, type, revision }) => ({ id, type, revision })) })
      expect((await store.receipts.find(own[0]?.metadata.commandId ?? ''))?.position).toBe(own.at(-1)?.position)
      expect(answers[index]?.key).toBe(lines[index]?.key)
    }
    await expectWholeLog(store)
    expect(await batch(lines)).toEqual(answers)
  })

  test('one alone goes straight through', async () => {
    let together = 0
    const { batch, appended } = setUp((seen) => ({
      appendTogether: async (requests) => {
        together += 1
        return seen.appendTogether(requests)
      },
    }))
    expect(statuses(await batch([create()]))).toEqual([201])
    expect(statuses(await batch([rename('甲')]))).toEqual([200])
    expect(appended).toEqual([1, 1])
    expect(together).toBe(0)
  })

  test('are appended in pieces: so many events, or so many bytes', async () => {
    const sizes: number[] = []
    const { batch, appended } = setUp((store) => ({
      appendTogether: (requests) => {
        sizes.push(requests.reduce((sum, { events }) => sum + Buffer.byteLength(JSON.stringify(events)), 0))
        return store.appendTogether(requests)
      },
    }))
    await batch([create()])
    expect(statuses(await batch(renames(250)))).toEqual(renames(250).map(() => 200))
    expect(Math.max(...appended)).toBeLessThanOrEqual(100)
    expect(appended.length).toBeLessThan(20)
    const long = Array.from({ length: 25 }, (_, index) => line('change-stage', { to: index % 2 === 0 ? 'prospect' : 'target', reason: `${index}${'由'.repeat(1990)}` }))
    expect(statuses(await batch(long))).toEqual(long.map(() => 200))
    expect(Math.max(...sizes)).toBeGreaterThan(100 * 1024)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(128 * 1024)
  })

  test('of the organisation are not: each is decided on the whole of it', async () => {
    const { batch, appended } = setUp(undefined, admin)
    const limits = [1, 2, 3, 4].map((amount): Line => ({ command: 'change-authority-limit', key: `limit ${amount}`, body: { employeeId: 'clerk', authorityLimit: { amount, currency: 'CNY' } } }))
    expect(statuses(await batch(limits))).toEqual([200, 200, 200, 200])
    expect(appended).toEqual([1, 1, 1, 1])
  })
})

describe('in the middle of a run', () => {
  const cases: [string, Line[], (number | string)[]][] = [
    ['a no-op', [rename('甲'), rename('甲'), rename('乙')], [200, 200, 200]],
    ['a refusal', [rename('甲'), line('change-stage', { to: 'dormant' }), rename('乙')], [200, 'move-not-allowed', 200]],
    ['a refusal of what does not fit', [rename('甲'), line('change-stage', { to: '?' }), rename('乙')], [200, 'invalid-body', 200]],
    ['a reservation', [rename('甲'), line('add-identifier', { identifier: mobile(1) }), rename('乙'), rename('丙')], [200, 200, 200, 200]],
    ['a release, and the same identifier again', [line('add-identifier', { identifier: mobile(2) }), line('release-identifier', { identifier: mobile(2), reason: '停用' }), line('add-identifier', { identifier: mobile(2) }), rename('乙')], [200, 200, 200, 200]],
    ['an identifier that another customer holds', [rename('甲'), line('add-identifier', { identifier: mobile(9) }), rename('乙')], [200, 'duplicate-customer', 200]],
    ['the same key again', [rename('甲', 'twice'), rename('甲', 'twice'), rename('乙')], [200, 200, 200]],
    ['the same key with another body', [rename('甲', 'reused'), rename('乙', 'reused'), rename('丙')], [200, 'idempotency-key-reused', 200]],
    ['a revision that is so by then', [rename('甲'), { ...rename('乙'), ifMatch: 2 }, { ...rename('丙'), ifMatch: 3 }], [200, 200, 200]],
    ['a revision that is no more', [rename('甲'), { ...rename('乙'), ifMatch: 1 }, rename('丙')], [200, 'precondition-failed', 200]],
    ['creating it a second time', [rename('甲'), create(), rename('乙')], [200, 'customer-exists', 200]],
  ]
  it.each(cases)('%s is answered as if each came by itself', async (_what, lines, expected) => {
    const together = setUp()
    const alone = setUp()
    const before = [create('other', { identifiers: [mobile(9)] }), create()]
    await together.batch(before)
    await alone.oneByOne(before)
    const answers = await together.batch(lines)
    expect(answers.map(nameOf)).toEqual(expected)
    expect(shape(answers)).toEqual(shape(await alone.oneByOne(lines)))
    expect(await stateOf(together.store)).toEqual(await stateOf(alone.store))
    await expectWholeLog(together.store)
  })

  test('a command that relies on a reservation made before is by itself', async () => {
    const add = () => line('add-identifier', { identifier: mobile(4) })
    const together: string[] = []
    let dying = true
    const { batch, types } = setUp((seen) => ({
      append: async (request) => (dying && request.receipt?.command === 'add-identifier' ? Promise.reject(new EventStoreUnavailable('gone')) : seen.append(request)),
      appendTogether: async (requests) => {
        together.push(...requests.map(({ receipt }) => receipt.command))
        return seen.appendTogether(requests)
      },
    }))
    await batch([create()])
    expect((await batch([add()])).map(nameOf)).toEqual(['log-unavailable'])
    dying = false
    expect(statuses(await batch([rename('甲'), rename('乙'), add(), rename('丙')]))).toEqual([200, 200, 200, 200])
    expect((await types()).slice(2)).toEqual(['ProfileChanged', 'ProfileChanged', 'IdentifierAdded', 'ProfileChanged'])
    expect(together).toEqual(['change-profile', 'change-profile'])
  })

  test('a rival who writes first: nothing of the run is in, and all decide again, in their order', async () => {
    let rivals = 2
    const { batch, types, store, appended } = setUp((seen, alone) => ({
      appendTogether: async (requests) => {
        rivals -= 1
        if (rivals >= 0) await alone(rename(`对手${rivals}`))
        return seen.appendTogether(requests)
      },
    }))
    await batch([create()])
    const lines = [...renames(5), line('change-stage', { to: 'prospect' }), line('change-stage', { to: 'target', reason: '退回' }), { ...rename('晚'), ifMatch: 8 }]
    const answers = await batch(lines)
    expect(answers.map(nameOf)).toEqual([200, 200, 200, 200, 200, 200, 200, 'precondition-failed'])
    const revisions = answers.slice(0, 7).map(({ answer }) => ('revision' in answer ? answer.revision : undefined))
    expect(revisions).toEqual(revisions.toSorted((a, b) => Number(a) - Number(b)))
    expect((await types()).filter((type) => type === 'StageChanged')).toHaveLength(2)
    expect(appended.some((count) => count > 1)).toBe(true)
    await expectWholeLog(store)
    expect(shape(await batch(lines.slice(0, 7)))).toEqual(shape(answers.slice(0, 7)))
  })

  test('a command that another process has done meanwhile is answered from its receipt, and the others are done once', async () => {
    const lines = renames(6)
    let meanwhile = true
    const { batch, types, store } = setUp((seen, alone) => ({
      appendTogether: async (requests) => {
        if (meanwhile) await alone(...lines.slice(3, 4))
        meanwhile = false
        return seen.appendTogether(requests)
      },
    }))
    await batch([create()])
    const answers = await batch(lines)
    expect(statuses(answers)).toEqual(lines.map(() => 200))
    expect(await types()).toEqual(['CustomerCreated', 'OwnershipClaimed', ...lines.map(() => 'ProfileChanged')])
    expect(await batch(lines)).toEqual(answers)
    await expectWholeLog(store)
  })
})

describe('when the log fails a run', () => {
  test('out of reach before: none is in, all are told so; sent again they are done', async () => {
    let away = true
    const { batch, types } = setUp((seen) => ({ appendTogether: async (requests) => (away ? Promise.reject(new EventStoreUnavailable('gone')) : seen.appendTogether(requests)) }))
    await batch([create()])
    const lines = renames(8)
    const answers = await batch(lines)
    expect(new Set(answers.map(nameOf))).toEqual(new Set(['log-unavailable']))
    expect(await types()).toEqual(['CustomerCreated', 'OwnershipClaimed'])
    away = false
    expect(statuses(await batch(lines))).toEqual(lines.map(() => 200))
    expect(await types()).toHaveLength(10)
  })

  test('no refusal and no no-op rests on what did not get in', async () => {
    for (const [lines, expected] of [[[create(), create(), create()], ['log-unavailable', 201, 'customer-exists']], [[rename('甲'), rename('甲')], ['log-unavailable', 200]]] as const) {
      let away = true
      const { batch, types } = setUp((seen) => ({
        append: async (request) => {
          if (!away || !request.receipt) return seen.append(request)
          away = false
          throw new EventStoreUnavailable('gone')
        },
      }))
      if (lines[0].command !== 'create-customer') {
        away = false
        await batch([create()])
        away = true
      }
      expect((await batch(lines)).map(nameOf)).toEqual(expected)
      expect(await types()).toEqual(['CustomerCreated', 'OwnershipClaimed', ...(lines[0].command === 'create-customer' ? [] : ['ProfileChanged'])])
    }
  })

  test('the answer lost after: all are in; sent again they are answered, and nothing is done twice', async () => {
    let lost = true
    const { batch, types } = setUp((seen) => ({
      appendTogether: async (requests) => {
        const results = await seen.appendTogether(requests)
        return lost ? Promise.reject(new EventStoreUnavailable('gone')) : results
      },
    }))
    await batch([create()])
    const lines = renames(8)
    expect(new Set((await batch(lines)).map(nameOf))).toEqual(new Set(['log-unavailable']))
    lost = false
    const answers = await batch(lines)
    expect(statuses(answers)).toEqual(lines.map(() => 200))
    expect(answers.map(({ answer }) => ('revision' in answer ? answer.revision : undefined))).toEqual(lines.map((_, index) => index + 2))
    expect(await types()).toHaveLength(10)
  })

  test('one of it cannot be stored: that one alone breaks', async () => {
    const checked = (requests: readonly { receipt?: { command: string } }[]) => {
      if (requests.some(({ receipt }) => receipt?.command === 'add-contact')) throw new Error('disk full')
    }
    const { batch, types, store, appended } = setUp((seen) => ({
      append: async (request) => {
        checked([request])
        return seen.append(request)
      },
      appendTogether: async (requests) => {
        checked(requests)
        return seen.appendTogether(requests)
      },
    }))
    await batch([create()])
    expect(statuses(await batch([...renames(3), line('add-contact', { name: '人' }), ...renames(3)]))).toEqual([200, 200, 200, 500, 200, 200, 200])
    expect(await types()).toHaveLength(8)
    expect(appended).toEqual(appended.map(() => 1))
    await expectWholeLog(store)
  })

  test('a process that dies with it leaves all of it or nothing, and no receipt without its events', async () => {
    for (const done of [false, true]) {
      const dying = setUp((seen) => ({
        appendTogether: async (requests) => {
          if (done) await seen.appendTogether(requests)
          return new Promise(() => undefined)
        },
      }))
      await dying.batch([create()])
      const lines = renames(8)
      void dying.batch(lines)
      await new Promise((resolve) => setTimeout(resolve, 60))
      const before = (await dying.types()).length
      // The first may have been by itself before the others were at hand.
      expect(done ? [10] : [2, 3]).toContain(before)
      expect(statuses(await dying.oneByOne(lines))).toEqual(lines.map(() => 200))
      expect(await dying.types()).toHaveLength(10)
    }
  })
})
