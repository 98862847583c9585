import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { bootstrapLog } from '../../src/commands/bootstrap.ts'
import { makeKeyedHash } from '../../src/commands/keyed-hash.ts'
import { makeLiveOrganisation } from '../../src/commands/organisation.ts'
import type { Runtime } from '../../src/commands/runtime.ts'
import { makeCodec } from '../../src/event-store/codec.ts'
import { fingerprint, makeKeyring, type Keyring } from '../../src/event-store/keyring.ts'
import type { EventStore } from '../../src/event-store/port.ts'
import { makeDatabase } from './database.ts'
import { makeLog } from './log.ts'

export const identityKey = Buffer.alloc(32, 7)

/** A command runtime over any store; keys in memory unless a pool is given. */
export const makeRuntime = (store: EventStore, options: { pool?: pg.Pool; reservationWaitMs?: number } = {}): Runtime => {
  const codec = makeCodec(options.pool ? makeKeyring(options.pool, [Buffer.alloc(32, 9)]) : memoryKeyring())
  return {
    store,
    codec,
    organisation: makeLiveOrganisation(store, codec),
    keyedHash: makeKeyedHash(identityKey),
    now: () => new Date(),
    elapsed: () => performance.now(),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    reservationWaitMs: options.reservationWaitMs ?? 200,
  }
}

const memoryKeyring = (): Keyring => {
  const keys = new Map<string, Buffer>()
  const find = async (subjects: readonly string[]) => new Map(subjects.flatMap((subject) => {
    const key = keys.get(subject)
    return key ? [[subject, key] as const] : []
  }))
  return {
    find,
    ensure: async (subjects) => {
      for (const subject of subjects) if (!keys.has(subject)) keys.set(subject, randomBytes(32))
      return find(subjects)
    },
    rotate: async () => 0,
  }
}

/** A whole command side on a database and a log of its own, bootstrapped. */
export const makeService = async (options: { reservationWaitMs?: number } = {}) => {
  const database = await makeDatabase()
  const log = await makeLog(database)
  const store = log.open()
  const runtime = makeRuntime(store, { ...options, pool: database.pool })
  await bootstrapLog(runtime, { identityKeyFingerprint: fingerprint(identityKey), timeZone: 'Asia/Shanghai' })
  return {
    database,
    log,
    store,
    runtime,
    close: async () => {
      await store.close()
      await log.close()
      await database.drop()
    },
  }
}
