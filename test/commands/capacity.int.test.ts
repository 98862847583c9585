import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Answer } from '../../src/commands/handle.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { handleNamed } from '../../src/commands/send.ts'
import type { Caller } from '../../src/domain/decider.ts'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import type { Pool } from '../../src/domain/portfolio/limits.ts'
import type { EventStore } from '../../src/event-store/port.ts'
import { makeCountHoldings } from '../../src/finders.ts'
import { customerLookup } from '../../src/projections/customer-lookup/project.ts'
import { makeReadModels, type ReadModels } from '../../src/projections/read-models.ts'
import { runProjection } from '../../src/projections/runner.ts'
import { makeRuntime, makeService } from '../support/runtime.ts'
import { kyselyOn } from '../../src/projections/kysely.ts'
import { openPool } from '../support/database.ts'

/* Limits on a real store, with a real read model and two processes' worth of runtimes. The order of steps is slots.unit.test.ts. */

const clerk: Caller = { actor: 'clerk', role: 'clerk', employeeId: 'clerk', onBehalfOf: null }
const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }
const system: Caller = { actor: 'importer', role: 'system', employeeId: null, onBehalfOf: null }
const noPool: Pool = { coolOffDays: null, dailyQuota: null, capacity: null, uncountedStages: [] }
/** Fifty that wait for each other on a machine others work on as well. */
const BUSY = 120_000
const fifty = Array.from({ length: 50 }, (_, index) => index)

const Problem = z.looseObject({ type: z.string() })
const problemsOf = (answers: readonly Answer[]) => Object.fromEntries(Map.groupBy(answers.filter(({ status }) => status !== 200), ({ body }) => Problem.parse(body).type.replace('/docs/problems/', '')).entries().map(([name, those]) => [name, those.length]))

describe('limits of what an employee gains', () => {
  let service: Awaited<ReturnType<typeof makeService>>
  let other: EventStore
  let runtimes: Runtime[]
  let readModels: ReadModels
  const stops: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    // Longer than two busy cores need: nobody is taken for dead who is only slow.
    service = await makeService({ reservationWaitMs: 10_000 })
    const { database, store, runtime, log } = service
    const pool = openPool(database.url, { max: 20 })
    const db = kyselyOn(pool)
    readModels = makeReadModels({ db, connectionString: database.url, head: store.head, waitMs: 20_000 })
    const abort = new AbortController()
    const { done } = runProjection({
      db, connectionString: database.url, store, codec: runtime.codec, placeId: runtime.organisation.current().log?.places.at(-1) ?? '', analystRole: null, report: () => undefined,
    }, customerLookup, abort.signal)
    other = log.open()
    const holdings = makeCountHoldings(readModels)
    runtimes = [{ ...runtime, holdings }, { ...makeRuntime(other, { reservationWaitMs: 10_000, pool: database.pool }), holdings }]
    await readModels.query(customerLookup, { after: await store.head() }, async () => undefined)
    stops.push(async () => {
      abort.abort()
      await done
    }, () => other.close(), () => readModels.close(), () => db.destroy())
  })
  afterAll(async () => {
    for (const stop of stops) await stop()
    await service.close()
  })

  const limitTo = async (pool: Partial<Pool>) => {
    expect(await handleNamed(service.runtime, 'revise-policy', { policy: 'ownership', value: { ...defaultPolicies.ownership, pool: { ...noPool, ...pool } }, reason: '限额' }, { caller: admin })).toMatchObject({ status: 200 })
    for (const { organisation } of runtimes) await organisation.refresh()
  }
  const employee = async (employeeId: string): Promise<Caller> => {
    expect(await handleNamed(service.runtime, 'register-employee', { employeeId, name: '李雷', departmentId: 'head-office' }, { caller: admin })).toMatchObject({ status: 201 })
    for (const { organisation } of runtimes) await organisation.refresh()
    return { actor: employeeId, role: 'clerk', employeeId, onBehalfOf: null }
  }
  const pooled = async (prefix: string) => {
    const entered = await Promise.all(fifty.map((index) => handleNamed(service.runtime, 'create-customer', { customerId: `${prefix}-${index}`, category: 'individual-retail', name: '王小明', fields: { source: 'referral' }, claim: false }, { caller: system })))
    expect(entered.every(({ status }) => status === 201)).toBe(true)
    return fifty.map((index) => `${prefix}-${index}`)
  }
  const runtimeOf = (index: number) => runtimes[index % 2] ?? service.runtime
  const claimAll = (customers: readonly string[], caller: Caller) => Promise.all(customers.map((customerId, index) => handleNamed(runtimeOf(index), 'claim-ownership', { customerId }, { caller, key: `claim ${customerId}` })))
  const typesOf = async (stream: string) => (await Array.fromAsync(service.store.readStream(stream))).map(({ type }) => type)

  it('of fifty simultaneous claims by one employee under a capacity of ten exactly ten succeed, and the others are told why', async () => {
    await limitTo({ capacity: { total: 10, byTier: {} } })
    const li = await employee('li')
    const customers = await pooled('capacity')
    const answers = await claimAll(customers, li)
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10)
    expect(problemsOf(answers)).toEqual({ 'capacity-reached': 40 })
    for (const { status, body } of answers) if (status === 409) expect(body).toMatchObject({ employeeId: 'li', holdings: 10, openReservations: 0, limit: 10, tier: null })
    // All slots are ended, and a refusal has left the key free: after a release it is the same command that succeeds.
    expect((await typesOf('portfolio-li')).filter((type) => type === 'SlotSettled')).toHaveLength(10)
    const [held = ''] = customers.filter((_, index) => answers[index]?.status === 200)
    const [refused = '', another = ''] = customers.filter((_, index) => answers[index]?.status === 409)
    expect(await handleNamed(runtimeOf(0), 'release-ownership', { customerId: held, reason: '没有时间' }, { caller: li })).toMatchObject({ status: 200 })
    expect(await handleNamed(runtimeOf(1), 'claim-ownership', { customerId: refused }, { caller: li, key: `claim ${refused}` })).toMatchObject({ status: 200 })
    expect(problemsOf(await claimAll([another], clerk))).toEqual({})
  }, BUSY)

  it('of fifty simultaneous claims by one employee under a quota of ten a day exactly ten succeed', async () => {
    await limitTo({ dailyQuota: 10 })
    const han = await employee('han')
    const customers = await pooled('quota')
    const answers = await claimAll(customers, han)
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10)
    expect(problemsOf(answers)).toEqual({ 'quota-reached': 40 })
    // What is assigned is no claim.
    const [left = ''] = customers.filter((_, index) => answers[index]?.status === 409)
    expect(await handleNamed(runtimeOf(0), 'assign-ownership', { customerId: left, to: 'han' }, { caller: system })).toMatchObject({ status: 200 })
  }, BUSY)

  it('with no limit set, nothing of a portfolio is read or written', async () => {
    await limitTo({})
    const wei = await employee('wei')
    const customers = await pooled('free')
    const answers = await claimAll(customers, wei)
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(await typesOf('portfolio-wei')).toEqual([])
  })
})
