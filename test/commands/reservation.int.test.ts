import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Answer } from '../../src/commands/handle.ts'
import { handleNamed } from '../../src/commands/send.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { emptyHead } from '../../src/event-store/chain.ts'
import { makeService } from '../support/runtime.ts'

/* The reservation protocol on a real Postgres, with real clocks. The order of its steps is test/commands/reservation.unit.test.ts. */

const WAIT = 200

const clerk: Caller = { actor: 'clerk', role: 'clerk', employeeId: 'clerk', onBehalfOf: null }
const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }

const Problem = z.looseObject({ type: z.string() })
const Duplicate = z.looseObject({ type: z.literal('/docs/problems/duplicate-customer'), holder: z.looseObject({ customerId: z.string(), ownerId: z.string().nullable() }) })
const AlreadyOwned = z.looseObject({ type: z.literal('/docs/problems/already-owned'), owner: z.looseObject({ ownerId: z.string() }) })

const hundred = Array.from({ length: 100 }, (_, index) => index)
const mobile = (value: string) => ({ kind: 'mobile', value })

describe('of a hundred at the same moment', () => {
  // Longer than two busy cores need for a hundred commands: nobody is taken for dead who is only slow.
  let service: Awaited<ReturnType<typeof makeService>>
  beforeAll(async () => {
    service = await makeService({ reservationWaitMs: 5_000 })
  })
  afterAll(() => service.close())

  const create = (customerId: string, identifiers: { kind: string; value: string }[]) =>
    handleNamed(service.runtime, 'create-customer', { customerId, category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, identifiers }, { caller: clerk })

  const expectOneWinner = (answers: Answer[], prefix: string): void => {
    const winners = answers.flatMap(({ status }, index) => (status === 201 ? [`${prefix}-${index}`] : []))
    expect(winners).toHaveLength(1)
    const losers = answers.filter(({ status }) => status === 409)
    expect(losers).toHaveLength(99)
    for (const { body } of losers) expect(Duplicate.parse(body).holder).toMatchObject({ customerId: winners[0], ownerId: 'clerk' })
  }

  it('entries of one mobile exactly one succeeds, and the others are told who holds it', async () => {
    expectOneWinner(await Promise.all(hundred.map((index) => create(`one-${index}`, [mobile('13800138000')]))), 'one')
  })

  it('entries of two mobiles, written and ordered differently, exactly one succeeds, and the others are told who holds them', async () => {
    expectOneWinner(await Promise.all(hundred.map((index) => {
      const both = [mobile(index % 3 === 0 ? '+86 138 0013 8001' : '13800138001'), mobile(index % 5 === 0 ? '138-0013-8002' : '13800138002')]
      return create(`two-${index}`, index % 2 === 0 ? both : both.toReversed())
    })), 'two')
  })

  it('claims of a customer in the pool exactly one succeeds, and the others are told the owner', async () => {
    const registered = await Promise.all(hundred.map((index) =>
      handleNamed(service.runtime, 'register-employee', { employeeId: `claimant-${index}`, name: `Claimant ${index}`, departmentId: 'head-office' }, { caller: admin })))
    expect(registered.filter(({ status }) => status === 201)).toHaveLength(100)
    expect(await handleNamed(service.runtime, 'create-customer', { customerId: 'pooled', category: 'individual-retail', name: '李雷', fields: { source: 'referral' }, claim: false }, { caller: clerk })).toMatchObject({ status: 201 })

    const answers = await Promise.all(hundred.map((index) =>
      handleNamed(service.runtime, 'claim-ownership', { customerId: 'pooled' }, { caller: { actor: `claimant-${index}`, role: 'clerk', employeeId: `claimant-${index}`, onBehalfOf: null } })))
    const winners = answers.flatMap(({ status }, index) => (status === 200 ? [`claimant-${index}`] : []))
    expect(winners).toHaveLength(1)
    const losers = answers.filter(({ status }) => status === 409)
    expect(losers).toHaveLength(99)
    for (const { body } of losers) expect(AlreadyOwned.parse(body).owner.ownerId).toBe(winners[0])
  })
})

describe('a writer that died after its reservation', () => {
  let service: Awaited<ReturnType<typeof makeService>>
  beforeAll(async () => {
    service = await makeService({ reservationWaitMs: WAIT })
    // What is measured is the wait, not the first connection.
    expect(await enter('earlier', '13800138000')).toMatchObject({ status: 201 })
  })
  afterAll(() => service.close())

  /** What a process leaves behind that was killed between reserving a mobile and writing its customer. */
  const dieAfterReserving = async (customerId: string, e164: string): Promise<void> => {
    const { runtime, store } = service
    const stream = `identity-${runtime.keyedHash.identity('mobile', e164)}`
    const commandId = crypto.randomUUID()
    const metadata = { commandId, commandHash: runtime.keyedHash.command({ customerId }), actor: 'clerk', $correlationId: commandId, $causationId: commandId }
    const events = await runtime.codec.encode(stream, emptyHead(stream), [{ type: 'IdentityReserved', schemaVersion: 1, data: { customerId, commandId, epoch: 0 } }], metadata, new Date().toISOString())
    expect(await store.append({ stream, expectedRevision: 'no_stream', events })).toMatchObject({ outcome: 'appended' })
  }
  const enter = async (customerId: string, value: string) => {
    const started = performance.now()
    const { status, body } = await handleNamed(service.runtime, 'create-customer', { customerId, category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, identifiers: [mobile(value)] }, { caller: clerk })
    return { status, body, waited: performance.now() - started }
  }

  it('delays a newcomer by the wait, and not much more', async () => {
    await dieAfterReserving('dead', '+8613800138003')
    const { status, waited } = await enter('newcomer', '13800138003')
    expect(status).toBe(201)
    expect(waited).toBeGreaterThanOrEqual(WAIT)
    expect(waited).toBeLessThan(WAIT + 1_000)
    // Who comes next is told at once.
    const next = await enter('next', '13800138003')
    expect(Duplicate.parse(next.body).holder.customerId).toBe('newcomer')
  })

  it('does so once: of twenty newcomers at the same moment one succeeds, and the others are told who, as is its own retry', async () => {
    await dieAfterReserving('dead-too', '+8613800138004')
    const answers = await Promise.all(hundred.slice(0, 20).map((index) => enter(`rival-${index}`, '13800138004')))
    const winners = answers.flatMap(({ status }, index) => (status === 201 ? [`rival-${index}`] : []))
    expect(winners).toHaveLength(1)
    for (const { status, body, waited } of answers) {
      expect(waited).toBeLessThan(WAIT + 2_000)
      if (status !== 201) expect(Problem.parse(body)).toMatchObject({ type: '/docs/problems/duplicate-customer', holder: { customerId: winners[0] } })
    }
    expect(await enter('dead-too', '13800138004')).toMatchObject({ status: 409, body: { holder: { customerId: winners[0] } } })
  })
})
