import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fingerprint, makeKeyring } from '../../src/event-store/keyring.ts'
import { MissingKey } from '../../src/event-store/sealing.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'

const master = randomBytes(32)
const next = randomBytes(32)
const subjects = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

describe('the keyring', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await makeDatabase()
  })
  afterAll(() => database.drop())

  // Each stands for a process of its own: nothing is cached from one to the next.
  const keyring = (...keys: [Buffer, ...Buffer[]]) => makeKeyring(database.pool, keys)
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
    const wanted = subjects(50, 'customer-race')
    const answers = await Promise.all([wanted, wanted.toReversed(), wanted, wanted.slice(10, 40)].map((some) => keyring(master).ensure(some)))
    for (const answer of answers) for (const [subject, key] of answer) expect(key).toEqual(answers[0]?.get(subject))
    expect(answers.map((answer) => answer.size)).toEqual([50, 50, 50, 30])
  })

  it('has committed a new key before anyone can seal with it', async () => {
    const made = await keyring(master).ensure(['customer-committed'])
    expect((await keyring(master).find(['customer-committed'])).get('customer-committed')).toEqual(made.get('customer-committed'))
  })

  it('keeps no key in the clear', async () => {
    const key = (await keyring(master).ensure(['customer-wrapped'])).get('customer-wrapped')
    const { rows } = await database.pool.query<{ wrapped: string; nonce: string; wrapped_by: string }>('select * from kehu.keyring where subject = $1', ['customer-wrapped'])
    expect(rows[0]?.wrapped_by).toBe(fingerprint(master))
    expect(Buffer.from(rows[0]?.wrapped ?? '', 'base64').includes(key instanceof Buffer ? key : '')).toBe(false)
    expect(rows[0]?.wrapped).not.toContain(key instanceof Buffer ? key.toString('base64') : '')
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
    // While it rotates, a process that still has the old master key first goes on making keys.
    const [rotated, late] = await Promise.all([
      keyring(next, master).rotate((done, of) => progress.push([done, of])),
      keyring(master, next).ensure(subjects(20, 'employee-late')),
    ])
    expect(rotated).toBeGreaterThanOrEqual(total)
    expect(progress.at(-1)?.[0]).toBe(rotated)
    await keyring(next, master).rotate()
    expect(await wrappedBy()).toEqual({ [fingerprint(next)]: total + 20 })

    expect(await keyring(next, master).rotate()).toBe(0)
    const after = await keyring(next).find([...wanted, ...late.keys()])
    expect(after.get('employee-rotated-7')).toBe('destroyed')
    for (const [subject, key] of [...before, ...late]) if (subject !== 'employee-rotated-7') expect(after.get(subject)).toEqual(key)
    await expect(keyring(master).find(['employee-rotated-1'])).rejects.toBeInstanceOf(MissingKey)
  })

  it('rotated by two processes at once ends with every key under the new master key', async () => {
    const wanted = subjects(600, 'contact-both')
    const before = await keyring(next).ensure(wanted)
    const third = randomBytes(32)
    await Promise.all([keyring(third, next).rotate(), keyring(third, next).rotate()])
    expect(Object.keys(await wrappedBy())).toEqual([fingerprint(third)])
    expect(await keyring(third).find(wanted)).toEqual(before)
  })
})
