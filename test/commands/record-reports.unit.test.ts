import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import type { Answer } from '../../src/commands/handle.ts'
import { reportUpheld } from '../../src/commands/processes/report-upheld.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { domainEvent } from '../../src/domain/events.ts'
import { reportIdOf } from '../../src/domain/record-report/record-report.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import { makeMemoryStore, type MemoryStore } from '../support/memory-store.ts'
import { identityKey, makeRuntime } from '../support/runtime.ts'

/*
 * Reports, judgements and what follows from them in the real code, on a log in memory: commands at random, some sent again, and
 * a process that dies anywhere, begins again from the start, and is run by two at once.
 */
const SEED = 20260303
const base = makeMemoryStore()
const clock = { now: new Date('2026-03-25T04:00:00.000Z') }
const makeView = (store: MemoryStore): Runtime => ({
  ...runtime, store,
  findAttempts: async (ids) => store.refused().filter(({ attemptId }) => ids.includes(attemptId)),
})
const runtime: Runtime = { ...makeRuntime(base, { reservationWaitMs: 20 }), now: () => clock.now }

const as = (employeeId: string, role: Caller['role'] = 'manager'): Caller => ({ actor: employeeId, role, employeeId, onBehalfOf: null })
const importer = (onBehalfOf: string | null): Caller => ({ actor: 'importer', role: 'system', employeeId: onBehalfOf, onBehalfOf })
const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }
const send = (to: Runtime, command: string, body: object, caller: Caller, key?: string): Promise<Answer> => handleNamed(to, command, body, { caller, key })
const accept = async (to: Runtime, command: string, body: object, caller: Caller) => {
  const answer = await send(to, command, body, caller)
  if (answer.status >= 300) expect.fail(`${command}: ${JSON.stringify(answer.body)}`)
  return answer
}
const problemOf = ({ body }: Answer) => String(body['type']).replace('/docs/problems/', '')

// north > north-1, and south beside north. First entered: 'first', by zhao of north-1; then 'second', by li of south.
beforeAll(async () => {
  await bootstrapLog(runtime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })
  for (const [departmentId, parentId] of [['north', null], ['north-1', 'north'], ['south', null]]) await accept(runtime, 'register-department', { departmentId, name: departmentId, parentId }, admin)
  for (const [employeeId, departmentId] of [['zhao', 'north-1'], ['qian', 'north-1'], ['boss', 'north'], ['li', 'south'], ['sun', 'south'], ['zhou', 'south']]) await accept(runtime, 'register-employee', { employeeId, name: employeeId, departmentId }, admin)
  const customer = (customerId: string, more: object = {}) => ({ customerId, category: 'individual-retail', name: '王小明', fields: { source: 'referral', address: '深圳市南山区科技路1号' }, ...more })
  await accept(runtime, 'create-customer', customer('first', { identifiers: [{ kind: 'mobile', value: '13800138000' }] }), as('zhao', 'clerk'))
  await accept(runtime, 'create-customer', customer('second', { identifiers: [{ kind: 'email', value: 'a@example.cn' }] }), as('li', 'clerk'))
  await accept(runtime, 'create-customer', customer('nobodys', { claim: false }), importer(null))
  await accept(runtime, 'create-customer', customer('taken-over', { enteredBy: 'qian', enteredAt: '2019-05-01T00:00:00+08:00' }), importer('zhou'))
})

const pair = reportIdOf({ customerId: 'first', kind: 'duplicate', duplicateOf: 'second' })
const duplicate = { customerId: 'first', kind: 'duplicate', duplicateOf: 'second', note: '同一个人' }

/** As the process would, from the start; dies before the nth of what it would send. */
const react = async (to: Runtime, store: MemoryStore, dies = Infinity): Promise<void> => {
  let sent = 0
  for (const stored of await to.codec.decode(store.since(0n))) {
    const event = stored.type === 'ReportUpheld' ? domainEvent(stored) : undefined
    for (const { command, key, body } of event ? await reportUpheld(to, event, stored) : []) {
      if ((sent += 1) > dies) return
      await handleNamed(to, command, body, { caller: { actor: 'report-judgements', role: 'system', employeeId: null, onBehalfOf: null }, key })
    }
  }
}

const Data = z.looseObject({ reportId: z.string().optional(), ownerId: z.string().optional(), basis: z.string().optional() })
const eventsOf = async (store: MemoryStore, stream: string) => (await runtime.codec.decode(await Array.fromAsync(store.readStream(stream)))).map((stored) => ({ type: stored.type, actor: stored.metadata.actor, data: Data.parse(stored.data) }))
const Told = z.looseObject({ reportId: z.string().optional(), warnings: z.array(z.looseObject({ warning: z.string() })).default([]) })

describe('reports of duplicates', () => {
  it('are one case whichever is named first, against who entered the later one, by the log or by when it was entered elsewhere', async () => {
    const store = base.fork()
    const to = makeView(store)
    expect(Told.parse((await accept(to, 'report-record', duplicate, as('boss'))).body).reportId).toBe(pair)
    expect((await accept(to, 'report-record', { ...duplicate, customerId: 'second', duplicateOf: 'first' }, as('sun'))).body).toMatchObject({ reportId: pair, events: [] })
    expect((await eventsOf(store, `recordReport-${pair}`)).map(({ data }) => data)).toMatchObject([{ customerId: 'second', duplicateOf: 'first', against: 'li', reporterId: 'boss' }])
    const other = Told.parse((await accept(to, 'report-record', { ...duplicate, duplicateOf: 'taken-over' }, as('boss'))).body)
    expect((await eventsOf(store, `recordReport-${other.reportId}`)).map(({ data }) => data)).toMatchObject([{ customerId: 'first', duplicateOf: 'taken-over', against: 'zhao' }])
  })

  it('cite attempts that ran into one of the two', async () => {
    const store = base.fork()
    const to = makeView(store)
    const again = await send(to, 'create-customer', { category: 'individual-retail', name: '小明', fields: { source: 'referral' }, identifiers: [{ kind: 'mobile', value: '13800138000' }] }, as('li', 'clerk'))
    expect(problemOf(again)).toBe('duplicate-customer')
    const attemptIds = [store.refused().at(-1)?.attemptId ?? '']
    const elsewhere = await send(to, 'report-record', { customerId: 'nobodys', kind: 'wrong-category', categoryId: 'enterprise', attemptIds: [...attemptIds, crypto.randomUUID()], note: 'x' }, as('boss'))
    expect([problemOf(elsewhere), elsewhere.body['errors']]).toEqual(['unknown-reference', [expect.objectContaining({ path: 'attemptIds/0' }), expect.objectContaining({ path: 'attemptIds/1' })]])
    await accept(to, 'report-record', { ...duplicate, attemptIds }, as('boss'))
    expect((await eventsOf(store, `recordReport-${pair}`))[0]?.data).toMatchObject({ attempts: [{ attemptId: attemptIds[0], actor: 'li', problem: 'duplicate-customer' }] })
  })

  it('are judged over the department of the later record by who is no party, and of a record of no department by any manager', async () => {
    const to = makeView(base.fork())
    await accept(to, 'report-record', duplicate, as('sun'))
    const uphold = async (caller: Caller, more: object = {}) => {
      const answer = await send(to, 'uphold-report', { reportId: pair, decision: '属实', ...more }, caller)
      return answer.status < 300 ? 'upheld' : problemOf(answer)
    }
    expect(await uphold(as('boss'))).toBe('not-permitted')
    expect(await uphold(as('li'))).toBe('judge-is-party')
    expect(await uphold(as('sun'))).toBe('judge-is-party')
    expect(await uphold(as('zhou', 'clerk'))).toBe('role-not-permitted')
    expect(await uphold(importer(null))).toBe('on-behalf-of-required')
    // Who would gain the customer or lose it does not rule on that.
    await accept(to, 'transfer-ownership', { customerId: 'first', to: 'zhou', reason: '调整' }, as('zhao', 'clerk'))
    expect(await uphold(as('zhou'), { moveOwnership: true })).toBe('judge-is-party')
    expect(await uphold(as('zhou'))).toBe('upheld')
    const { reportId } = Told.parse((await accept(to, 'report-record', { customerId: 'nobodys', kind: 'wrong-category', categoryId: 'enterprise', note: '是企业' }, as('sun'))).body)
    expect(await uphold(as('boss'), { reportId })).toBe('upheld')
  })

  it('of customers that were merged move nothing, and a wrong category is then reported of the survivor', async () => {
    const store = base.fork()
    const to = makeView(store)
    await accept(to, 'report-record', duplicate, as('sun'))
    await accept(to, 'merge-customers', { customerIds: ['first', 'second'], reason: '同一客户' }, importer(null))
    const ruled = await accept(to, 'uphold-report', { reportId: pair, decision: '属实', moveOwnership: true }, as('zhou'))
    expect(Told.parse(ruled.body).warnings).toMatchObject([{ warning: 'ownership-unmoved', because: 'merged-since' }])
    await react(to, store)
    expect((await eventsOf(store, 'customer-second')).some(({ data }) => data.basis === 'dispute')).toBe(false)
    const wrong = { kind: 'wrong-category', categoryId: 'enterprise', note: '是企业' }
    const reported = Told.parse((await accept(to, 'report-record', { ...wrong, customerId: 'second' }, as('zhou'))).body)
    expect(reported).toMatchObject({ reportId: reportIdOf({ customerId: 'first', kind: 'wrong-category' }), warnings: [{ warning: 'merged', customerId: 'first' }] })
    expect((await accept(to, 'report-record', { ...wrong, customerId: 'first' }, as('zhou'))).body).toMatchObject({ events: [] })
  })
})

describe('whatever is sent, in whatever order, and however often', () => {
  it('a fault is fined once and never after its dismissal, no judge is a party, and ownership moves once, to the owner of the earlier entry', async () => {
    const judge = fc.constantFrom('boss', 'li', 'sun', 'zhou')
    const step = fc.oneof(
      { arbitrary: fc.record({ command: fc.constant('report-record'), caller: judge, body: fc.record({ newEvidence: fc.constant('新证据') }, { requiredKeys: [] }).map((more) => ({ ...duplicate, ...more })) }), weight: 2 },
      { arbitrary: fc.record({ command: fc.constant('uphold-report'), caller: judge, body: fc.boolean().map((moveOwnership) => ({ reportId: pair, decision: '属实', moveOwnership })) }), weight: 2 },
      fc.record({ command: fc.constant('dismiss-report'), caller: judge, body: fc.constant({ reportId: pair, reason: '不属实' }) }),
      fc.record({ command: fc.constant('transfer-ownership'), caller: fc.constant('system'), body: fc.record({ customerId: fc.constantFrom('first', 'second'), to: fc.constantFrom('zhao', 'qian', 'sun'), reason: fc.constant('调整') }) }),
      fc.record({ command: fc.constant('open-duplicate-case'), caller: fc.constant('boss'), body: fc.constant({ customerIds: ['first', 'second'], note: '像一家' }) }),
      fc.record({ command: fc.constant('react'), caller: fc.constant(''), body: fc.nat(3).map((dies) => ({ dies })) }),
    )
    let moved = 0
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14, size: 'max' }), fc.array(fc.nat(), { maxLength: 5 }), async (steps, resent) => {
      const store = base.fork()
      const to = makeView(store)
      let ownerOfEarlier = 'zhao'
      let rightful: string | undefined
      const take = async ({ command, caller, body }: (typeof steps)[number], index: number) => {
        if (command === 'react') return react(to, store, 'dies' in body ? body.dies : 0)
        const answer = await send(to, command, body, caller === 'system' ? importer(null) : as(caller), `key ${index}`)
        const isNew = answer.status < 300 && Array.isArray(answer.body['events']) && answer.body['events'].length > 0
        if (isNew && command === 'transfer-ownership' && 'customerId' in body && body.customerId === 'first') ownerOfEarlier = body.to
        if (isNew && command === 'uphold-report' && 'moveOwnership' in body && body.moveOwnership) rightful ??= ownerOfEarlier
        return undefined
      }
      for (const [index, one] of steps.entries()) {
        await take(one, index)
        // A copy of an earlier command comes late: it was answered, and does nothing.
        const late = resent[index]
        const again = late === undefined ? undefined : steps[late % (index + 1)]
        if (again && again.command !== 'react') {
          const before = await store.head()
          await send(to, again.command, again.body, again.caller === 'system' ? importer(null) : as(again.caller), `key ${steps.indexOf(again)}`)
          const added = store.since(before).length
          // A refusal that left its key free may be tried again, and counts as the command itself then.
          if (added > 0) await take(again, steps.indexOf(again))
        }
      }
      await Promise.all([react(to, store), react(to, store)])
      const report = await eventsOf(store, `recordReport-${pair}`)
      const judged = report.filter(({ type }) => type === 'ReportUpheld' || type === 'ReportDismissed')
      expect(judged.filter(({ type }) => type === 'ReportUpheld').length).toBeLessThanOrEqual(1)
      report.forEach(({ type }, index) => expect(report[index - 1]?.type === 'RecordReported').toBe(type !== 'RecordReported'))
      if (judged.some(({ type }) => type === 'ReportUpheld')) expect(report.at(-1)?.type).toBe('ReportUpheld')
      for (const [index, { actor, type }] of report.entries()) {
        if (type === 'RecordReported') continue
        expect(['li', report[index - 1]?.data['reporterId']]).not.toContain(actor)
        expect(actor).not.toBe('')
      }
      const settled = (await eventsOf(store, 'customer-second')).filter(({ data }) => data.basis === 'dispute')
      expect(settled.length).toBeLessThanOrEqual(1)
      if (rightful !== undefined && settled.length > 0) expect(settled).toMatchObject([{ data: { ownerId: rightful, reportId: pair } }])
      if (rightful === undefined) expect(settled).toEqual([])
      moved += settled.length
    }), { numRuns: 60, seed: SEED })
    expect(moved).toBeGreaterThan(5)
  })
})
