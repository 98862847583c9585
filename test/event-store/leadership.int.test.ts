import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lead } from '../../src/event-store/leadership.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/http.ts'
import { startProxy, type Proxy } from '../torture/proxy.ts'

// Shorter than in earnest, so that a busy machine has time left.
const LEASE_MS = 1500

describe('the lead', () => {
  let database: TestDatabase
  let proxy: Proxy
  let throughProxy: string
  beforeAll(async () => {
    database = await makeDatabase()
    proxy = await startProxy(Number(new URL(database.url).port))
    throughProxy = Object.assign(new URL(database.url), { port: String(proxy.port) }).href
  })
  afterAll(async () => {
    await proxy.close()
    await database.drop()
  })

  const leadSoon = async (name: string) => {
    let leader: Awaited<ReturnType<typeof lead>>
    await until(async () => (leader = await lead(database.url, name)) !== undefined)
    return leader
  }

  it('is one’s, for as long as one is there; then another’s', async () => {
    const first = await lead(database.url, 'calm')
    expect(await lead(database.url, 'calm')).toBeUndefined()
    const other = await lead(database.url, 'another')
    expect(other).toBeDefined()
    await Promise.all([first?.resign(), other?.resign()])
    const second = await leadSoon('calm')
    expect(second?.lost.aborted).toBe(false)
    await second?.resign()
  })

  it('passes from one that is not heard of any more, which knows it as soon; and from one that is, to nobody', async () => {
    const [silent, heard] = await Promise.all([lead(throughProxy, 'silent', LEASE_MS), lead(database.url, 'heard', LEASE_MS)])
    if (!silent || !heard) return expect.fail('nobody leads')
    const frozen = performance.now()
    proxy.freeze(true)
    const knows = new Promise<number>((resolve) => silent.lost.addEventListener('abort', () => resolve(performance.now() - frozen)))
    const next = await leadSoon('silent')
    const taken = performance.now() - frozen
    expect(taken).toBeLessThan(5000)
    expect(await knows).toBeLessThan(5000)
    // Longer than what is lost by silence: who is heard of leads on.
    expect(await lead(database.url, 'heard')).toBeUndefined()
    expect(heard.lost.aborted).toBe(false)
    proxy.freeze(false)
    await Promise.all([silent.resign(), next?.resign(), heard.resign()])
  })
})
