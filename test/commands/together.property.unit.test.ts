import fc from 'fast-check'
import { expect, test } from 'vitest'
import { create, expectWholeLog, line, mobile, nameOf, setUp, shape, stateOf, type Line } from './together.world.ts'

// Whatever comes: as if each had come by itself.
const anyName = fc.constantFrom('甲', '乙', '丙', '丁', '戊')
const anyMobile = fc.integer({ min: 1, max: 3 }).map(mobile)
const anyCommand = fc.oneof(
  { weight: 5, arbitrary: anyName.map((name) => ['change-profile', { name }] as const) },
  { weight: 2, arbitrary: fc.constantFrom('prospect', 'target', 'dormant', 'lost', '?').map((to) => ['change-stage', { to, reason: '转' }] as const) },
  anyMobile.map((identifier) => ['add-identifier', { identifier }] as const),
  anyMobile.map((identifier) => ['release-identifier', { identifier, reason: '停' }] as const),
  fc.tuple(anyMobile, anyMobile).map(([from, to]) => ['change-identifier', { from, to, reason: '换' }] as const),
  fc.constantFrom('claim-ownership', 'release-ownership').map((command) => [command, { reason: '试' }] as const),
  fc.constantFrom('manager', 'nobody').map((to) => ['transfer-ownership', { to, reason: '交' }] as const),
  fc.constantFrom('share-customer', 'revoke-share').map((command) => [command, { employeeId: 'manager', ...(command === 'share-customer' ? { access: 'read' } : {}) }] as const),
  anyName.map((name) => ['add-contact', { name }] as const),
  fc.boolean().map((holds) => ['create-customer', { category: 'individual-retail', name: '新', identifiers: holds ? [mobile(3)] : [] }] as const),
)
const mostly = <Usual, Rare>(usual: Usual, rare: fc.Arbitrary<Rare>) => fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: rare })
const anyLines = fc.array(fc.record({ command: anyCommand, key: mostly(null, fc.integer({ min: 0, max: 2 })), ifMatch: mostly(undefined, fc.integer({ min: 1, max: 12 })) }), { minLength: 1, maxLength: 24, size: 'max' })
  .map((lines) => lines.map(({ command: [command, body], key, ifMatch }, index): Line => ({ command, key: key === null ? `own ${index}` : `shared ${key}`, body: { customerId: 'c', ...body }, ...(ifMatch === undefined ? {} : { ifMatch }) })))

test('any commands in one batch have the answers, and leave the log, of the same commands one after the other', async () => {
  let joined = 0
  await fc.assert(fc.asyncProperty(anyLines, mostly(true, fc.constant(false)), async (lines, exists) => {
    const together = setUp()
    const alone = setUp()
    const before = [create('other', { identifiers: [mobile(2)] }), ...(exists ? [create()] : [])]
    await together.batch(before)
    await alone.oneByOne(before)
    const answers = await together.batch(lines)
    expect(shape(answers)).toEqual(shape(await alone.oneByOne(lines)))
    expect(await stateOf(together.store)).toEqual(await stateOf(alone.store))
    await expectWholeLog(together.store)
    expect(together.told).toHaveLength(before.length + lines.length)
    joined += together.appended.filter((count) => count > 1).length
    // A refusal that leaves no receipt may fall another way the second time; all that has one stands.
    const kept = lines.flatMap((one, index) => ([200, 201].includes(answers[index]?.status ?? 0) ? [one] : []))
    expect(shape(await together.batch(kept)).map(({ answer }) => answer)).toEqual(shape(answers).flatMap(({ status, answer }) => ([200, 201].includes(status) ? [answer] : [])))
  }), { numRuns: 150 })
  expect(joined).toBeGreaterThan(100)
})

test('with rivals on the same customer every accepted line is in the log once, those of a batch in the order of its lines', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 2, max: 12 }), { minLength: 2, maxLength: 4 }), fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 5, maxLength: 20 }), async (sizes, waits) => {
    let turn = 0
    const moment = async () => {
      for (let left = waits[(turn += 1) % waits.length] ?? 0; left > 0; left -= 1) await new Promise(setImmediate)
    }
    const { batch, store } = setUp((seen) => ({
      append: async (request) => moment().then(() => seen.append(request)),
      appendTogether: async (requests) => moment().then(() => seen.appendTogether(requests)),
    }))
    await batch([create()])
    const batches = sizes.map((size, number) => Array.from({ length: size }, (_, index) => line('add-contact', { name: `人${number}-${index}` })))
    const answers = await Promise.all(batches.map((lines) => batch(lines)))
    const events = await Array.fromAsync(store.readStream('customer-c'))
    await expectWholeLog(store)
    let accepted = 0
    for (const own of answers) {
      const ids = own.flatMap(({ status, answer }) => (status === 200 && 'commandId' in answer ? [answer.commandId] : []))
      expect(own.every((one) => one.status === 200 || nameOf(one) === 'contention')).toBe(true)
      expect(events.map(({ metadata }) => metadata.commandId).filter((id) => ids.includes(id))).toEqual(ids)
      accepted += ids.length
    }
    expect(events).toHaveLength(2 + accepted)
  }), { numRuns: 30 })
})
