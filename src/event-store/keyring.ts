import { createHash, createSecretKey, type KeyObject } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Pool } from 'pg'
import { makeGroup } from './group.ts'
import { randomBytesOf } from './random.ts'
import { decrypt, encrypt, MissingKey, type SubjectKey } from './sealing.ts'

/** One key per data subject, wrapped by a master key, in Postgres whichever store holds the log. */
export type Keyring = {
  /**
   * Keys of these subjects, made where there are none. A new key's row is committed when this resolves.
   * `new`: they are most likely new, so that nothing is looked for before they are made.
   */
  ensure: (subjects: readonly string[], likely?: 'new' | 'known') => Promise<Map<string, SubjectKey>>
  /** Keys of these subjects. A subject without a row is missing from the answer. */
  find: (subjects: readonly string[]) => Promise<Map<string, SubjectKey>>
  /** Wraps every key anew that is not under the current master key. Answers how many were; can be run again. */
  rotate: (onProgress?: (done: number, total: number) => void) => Promise<number>
}

type Row = { subject: string; nonce: string | null; wrapped: string | null; wrapped_by: string }

/** Names a master key without revealing it: the first 16 hex digits of its SHA-256. */
export const fingerprint = (key: Buffer): string => createHash('sha256').update(key).digest('hex').slice(0, 16)

// Short, so that a key destroyed by another process is forgotten here too.
const CACHED_FOR_MS = 10_000

/** @param masterKeys the current one first, then earlier ones that may still wrap some rows; 32 bytes each */
export const makeKeyring = (pool: Pool, masterKeys: readonly [Buffer, ...Buffer[]]): Keyring => {
  const byFingerprint = new Map(masterKeys.map((key) => [fingerprint(key), key]))
  const [current] = masterKeys
  const currentKey = createSecretKey(current)
  const currentName = fingerprint(current)
  const cache = new LRUCache<string, KeyObject>({ max: 50_000, ttl: CACHED_FOR_MS, ttlResolution: 250 })

  const aad = (subject: string) => Buffer.from(subject, 'utf8')
  const unwrap = (row: Row): KeyObject | 'destroyed' => {
    if (row.wrapped === null || row.nonce === null) return 'destroyed'
    const master = byFingerprint.get(row.wrapped_by)
    if (!master) throw new MissingKey(`keys in the keyring are wrapped by master key ${row.wrapped_by}, which is not configured: set KEHU_MASTER_KEY to it, or KEHU_OLD_MASTER_KEYS while rotating`)
    try {
      return createSecretKey(decrypt(master, { nonce: row.nonce, ciphertext: row.wrapped }, aad(row.subject)), 'base64')
    } catch (error) {
      throw new Error(`the key of ${row.subject} in the keyring is damaged`, { cause: error })
    }
  }
  const wrap = (subject: string, key: KeyObject) => encrypt(currentKey, key.export().toString('base64'), aad(subject))

  /** Rows of several callers' subjects in one answer. */
  const lookUp = makeGroup(async (asked: readonly (readonly string[])[]) => {
    const { rows } = await pool.query<Row>({ name: 'find-keys', text: 'select subject, nonce, wrapped, wrapped_by from kehu.keyring where subject = any($1::text[])', values: [asked.flat()] })
    const found = new Map(rows.map((row) => [row.subject, row]))
    return asked.map((subjects) => subjects.flatMap((subject) => found.get(subject) ?? []))
  })

  /** Those in memory, and those that are not. */
  const recall = (subjects: readonly string[]): { keys: Map<string, SubjectKey>; unknown: string[] } => {
    const keys = new Map<string, SubjectKey>()
    const unknown: string[] = []
    for (const subject of new Set(subjects)) {
      const cached = cache.get(subject)
      if (cached) keys.set(subject, cached)
      else unknown.push(subject)
    }
    return { keys, unknown }
  }

  const find = async (subjects: readonly string[]): Promise<Map<string, SubjectKey>> => {
    const { keys, unknown } = recall(subjects)
    const rows = unknown.length > 0 ? await lookUp.ask(unknown) : []
    for (const row of rows) {
      const key = unwrap(row)
      keys.set(row.subject, key)
      if (key !== 'destroyed') cache.set(row.subject, key)
    }
    return keys
  }

  /** Keys of several callers' subjects, made in one commit: those that were not there. Sorted, so that two processes cannot wait for each other. */
  const makeKeys = makeGroup(async (asked: readonly (readonly string[])[]) => {
    const subjects = [...new Set(asked.flat())].sort()
    const keys = new Map(subjects.map((subject) => [subject, createSecretKey(randomBytesOf(32))]))
    const wrapped = [...keys].map(([subject, key]) => wrap(subject, key))
    const { rows } = await pool.query<{ subject: string }>({
      name: 'make-keys',
      text: `insert into kehu.keyring (subject, nonce, wrapped, wrapped_by)
       select subject, nonce, wrapped, $4 from unnest($1::text[], $2::text[], $3::text[]) as new (subject, nonce, wrapped)
       on conflict (subject) do nothing returning subject`,
      values: [subjects, wrapped.map((w) => w.nonce), wrapped.map((w) => w.ciphertext), currentName],
    })
    const made = new Set(rows.map(({ subject }) => subject))
    return asked.map((subjects) => subjects.flatMap((subject) => {
      const key = made.has(subject) ? keys.get(subject) : undefined
      return key ? [{ subject, key }] : []
    }))
  })

  const ensure: Keyring['ensure'] = async (subjects, likely = 'known') => {
    const keys = likely === 'new' ? recall(subjects).keys : await find(subjects)
    const missing = [...new Set(subjects)].filter((subject) => !keys.has(subject))
    if (missing.length === 0) return keys
    for (const { subject, key } of await makeKeys.ask(missing)) {
      keys.set(subject, key)
      cache.set(subject, key)
    }
    // Another was first: with these, its keys count.
    const others = missing.filter((subject) => !keys.has(subject))
    if (others.length > 0) for (const [subject, key] of await find(others)) keys.set(subject, key)
    return keys
  }

  const rotate: Keyring['rotate'] = async (onProgress) => {
    const stale = `wrapped is not null and wrapped_by <> $1`
    const counted = await pool.query<{ n: string }>(`select count(*) as n from kehu.keyring where ${stale}`, [currentName])
    const total = Number(counted.rows[0]?.n ?? 0)
    let done = 0
    for (;;) {
      const { rows } = await pool.query<Row>(`select subject, nonce, wrapped, wrapped_by from kehu.keyring where ${stale} order by subject limit 1000`, [currentName])
      if (rows.length === 0) return done
      const anew = rows.flatMap((row) => {
        const key = unwrap(row)
        return key === 'destroyed' ? [] : [{ subject: row.subject, before: row.wrapped, ...wrap(row.subject, key) }]
      })
      // Only where it is still as read: a key destroyed meanwhile stays destroyed. Locked in one order: two may rotate at once.
      const { rowCount } = await pool.query(
        `with locked as (select subject from kehu.keyring where subject = any($1::text[]) order by subject for update)
         update kehu.keyring k set nonce = n.nonce, wrapped = n.wrapped, wrapped_by = $5
         from locked join unnest($1::text[], $2::text[], $3::text[], $4::text[]) as n (subject, before, nonce, wrapped) using (subject)
         where k.subject = locked.subject and k.wrapped = n.before`,
        [anew.map((one) => one.subject), anew.map((one) => one.before), anew.map((one) => one.nonce), anew.map((one) => one.ciphertext), currentName],
      )
      done += rowCount ?? 0
      onProgress?.(done, total)
    }
  }

  return { find, ensure, rotate }
}
