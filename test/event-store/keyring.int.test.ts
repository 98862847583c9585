import { createDecipheriv, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { fingerprint, makeKeyring } from '../../src/event-store/keyring.ts'
import { MissingKey, type SubjectKey } from '../../src/event-store/sealing.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'

const master = randomBytes(32)
const next = randomBytes(32)
/** Keys as their bytes: key objects look alike to a comparison. */
const inBytes = (keys: ReadonlyMap<string, SubjectKey>) => new Map([...keys].map(([subject, key]) => [subject, key === 'destroyed' || Buffer.isBuffer(key) ? key : key.export()]))
const subjects = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

describe('the keyring', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await makeDatabase()
  })
  afterAll(() => database.drop())

  // Each stands for a process of its own: nothing is cached from one to the next.
  const keyring = (...keys: [Buffer, ...Buffer[]]) => {
    const { ensure, find, rotate } = makeKeyring(database.pool, keys)
    return { ensure: async (asked: readonly string[]) => inBytes(await ensure(asked)), find: async (asked: readonly string[]) => inBytes(await find(asked)), rotate }
  }
  const wrappedBy = async () => {
    const { rows } = await database.pool.query<{ wrapped_by: string; n: string }>('select wrapped_by, count(*) as n from kehu.keyring where wrapped is not null group by 1')
    return Object.fromEntries(rows.map((row) => [row.wrapped_by, Number(row.n)]))
  }
  const destroy = (subject: string) => database.pool.query('update kehu.keyring set nonce = null, wrapped = null, destroyed_at = now() where subject = $1', [subject])

  it('gives each subject one key of 32 bytes and keeps it', async () => {
    const made = await keyring(master).ensure(['customer-a', 'customer-b', 'customer-a'])
    expect([...made.keys()].toSorted()).toEqual(['customer-a', 'customer-b'])
    expect(made.get('customer-a')).toHaveLength(32)
    expect(made.get('customer-a')).not.toEqual(made.get('customer-b'))
    expect(await keyring(master).find(['customer-a', 'customer-b', 'customer-none'])).toEqual(made)
    expect(await keyring(master).ensure(['customer-a', 'customer-b'])).toEqual(made)
    expect(await keyring(master).find([])).toEqual(new Map())
  })

  it('gives two processes that make keys for the same subjects at once the same keys', async () => {
    for (let round = 0; round < 15; round += 1) {
      const wanted = subjects(20, `customer-race-${round}`)
      const answers = await Promise.all([wanted, wanted.toReversed(), wanted, wanted.slice(5, 15), wanted].map((some) => keyring(master).ensure(some)))
      const kept = await keyring(master).find(wanted)
      for (const answer of answers) for (const [subject, key] of answer) expect(key).toEqual(kept.get(subject))
      expect(answers.map((answer) => answer.size)).toEqual([20, 20, 20, 10, 20])
    }
  })

  it('has committed a new key before anyone can seal with it', async () => {
    const made = await keyring(master).ensure(['customer-committed'])
    expect((await keyring(master).find(['customer-committed'])).get('customer-committed')).toEqual(made.get('customer-committed'))
  })

  it('keeps a key as the storage format says: wrapped, held to its subject, never in the clear', async () => {
    const key = (await keyring(master).ensure(['customer-wrapped'])).get('customer-wrapped')
    const { rows: [row] } = await database.pool.query<{ wrapped: string; nonce: string; wrapped_by: string; destroyed_at: Date | null }>('select * from kehu.keyring where subject = $1', ['customer-wrapped'])
    expect(row).toMatchObject({ wrapped_by: fingerprint(master), destroyed_at: null })
    const bytes = Buffer.from(row?.wrapped ?? '', 'base64')
    const decipher = createDecipheriv('aes-256-gcm', master, Buffer.from(row?.nonce ?? '', 'base64'), { authTagLength: 16 }).setAAD(Buffer.from('customer-wrapped', 'utf8'))
    decipher.setAuthTag(bytes.subarray(-16))
    const opened = Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8')
    expect(Buffer.from(opened, 'base64')).toEqual(key)
    expect(JSON.stringify(row)).not.toContain(opened)
  })

  it('forgets within ten seconds a key that another process destroyed', async () => {
    const here = keyring(master)
    await here.ensure(['customer-forgotten'])
    await destroy('customer-forgotten')
    const later = performance.now() + 10_001
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => later)
    try {
      // Told by the clock alone: the cache looks at it again after a millisecond.
      await vi.waitFor(async () => expect((await here.find(['customer-forgotten'])).get('customer-forgotten')).toBe('destroyed'), { interval: 5 })
    } finally {
      clock.mockRestore()
    }
  })

  it('keeps a destroyed key destroyed: it is neither found nor made again', async () => {
    await keyring(master).ensure(['customer-gone', 'customer-here'])
    await destroy('customer-gone')
    expect((await keyring(master).find(['customer-gone'])).get('customer-gone')).toBe('destroyed')
    const ensured = await keyring(master).ensure(['customer-gone', 'customer-here', 'customer-new'])
    expect(ensured.get('customer-gone')).toBe('destroyed')
    expect(ensured.get('customer-here')).toHaveLength(32)
    expect(ensured.get('customer-new')).toHaveLength(32)
  })

  it('says which master key is missing when it is given another', async () => {
    await keyring(master).ensure(['customer-a'])
    for (const ask of [() => keyring(next).find(['customer-a']), () => keyring(next).ensure(['customer-a']), () => keyring(next).rotate()]) {
      const failure = await ask().then(() => undefined, (error: unknown) => error)
      expect(failure).toBeInstanceOf(MissingKey)
      expect(String(failure)).toContain(`wrapped by master key ${fingerprint(master)}, which is not configured`)
    }
  })

  it('does not take one subject’s key for another’s: a row moved or changed by hand is a clear error', async () => {
    await keyring(master).ensure(['customer-x', 'customer-y'])
    await database.pool.query(`update kehu.keyring k set nonce = o.nonce, wrapped = o.wrapped from kehu.keyring o where k.subject = 'customer-x' and o.subject = 'customer-y'`)
    await expect(keyring(master).find(['customer-x'])).rejects.toThrow('the key of customer-x in the keyring is damaged')
    await database.pool.query(`delete from kehu.keyring where subject = 'customer-x'`)
  })

  it('rotates every key to the new master key, once and again, and every subject key stays what it was', async () => {
    const wanted = subjects(2345, 'employee-rotated')
    const before = await keyring(master).ensure(wanted)
    await destroy('employee-rotated-7')
    const total = (await wrappedBy())[fingerprint(master)] ?? 0
    expect(total).toBeGreaterThan(2000)

    const progress: [number, number][] = []
    // One is destroyed, and a process that still has the old master key first goes on making keys, while it rotates.
    const [rotated, late] = await Promise.all([
      keyring(next, master).rotate((done, of) => progress.push([done, of])),
      keyring(master, next).ensure(subjects(20, 'employee-late')),
      destroy('employee-rotated-2000'),
    ])
    expect(rotated).toBeGreaterThanOrEqual(total - 1)
    expect(progress.at(-1)?.[0]).toBe(rotated)
    await keyring(next, master).rotate()
    expect(await wrappedBy()).toEqual({ [fingerprint(next)]: total - 1 + 20 })

    expect(await keyring(next, master).rotate()).toBe(0)
    const after = await keyring(next).find([...wanted, ...late.keys()])
    const destroyed = ['employee-rotated-7', 'employee-rotated-2000']
    for (const [subject, key] of [...before, ...late]) expect(after.get(subject)).toEqual(destroyed.includes(subject) ? 'destroyed' : key)
    await expect(keyring(master).find(['employee-rotated-1'])).rejects.toBeInstanceOf(MissingKey)
  })

  it('leaves destroyed a key that is destroyed while it rotates', async () => {
    await keyring(master, next).ensure(['customer-a', 'customer-between'])
    const other = await database.pool.connect()
    await other.query('begin')
    await other.query(`update kehu.keyring set nonce = null, wrapped = null, destroyed_at = now() where subject = 'customer-between'`)
    const rotating = keyring(next, master).rotate()
    const waits = async () => (await database.pool.query(`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)).rowCount
    await vi.waitFor(async () => expect(await waits()).toBe(1), { interval: 5 })
    await other.query('commit')
    other.release()
    await rotating
    expect((await keyring(next).find(['customer-between'])).get('customer-between')).toBe('destroyed')
  })

  it('rotated by two processes at once ends with every key under the new master key', async () => {
    const wanted = subjects(600, 'contact-both')
    const before = await keyring(next).ensure(wanted)
    const third = randomBytes(32)
    const total = (await wrappedBy())[fingerprint(next)]
    const rotated = await Promise.all([keyring(third, next).rotate(), keyring(third, next).rotate()])
    // Each key by one of them.
    expect(rotated[0] + rotated[1]).toBe(total)
    expect(Object.keys(await wrappedBy())).toEqual([fingerprint(third)])
    expect(await keyring(third).find(wanted)).toEqual(before)
  })
})
