import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeEventStoreDbEventStore } from '../../src/event-store/eventstoredb/store.ts'
import { makePostgresEventStore } from '../../src/event-store/postgres/store.ts'
import { startHost } from '../eventstoredb-host/host.ts'
import { makeDatabase, type TestDatabase } from '../support/database.ts'
import { runTypeScript } from '../support/node.ts'
import { inTurn, makeWriter, times } from './contract.ts'

const APPENDS = 160
const EVENTS = 100
/** Bytes of text in each. */
const SIZE = 4000

let database: TestDatabase
beforeAll(async () => {
  database = await makeDatabase()
})
afterAll(() => database.drop())

const startSubscriber = (...args: string[]) => {
  const child = spawn(process.execPath, ['--expose-gc', ...runTypeScript, 'test/event-store/slow-subscriber.ts', ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const says = async (): Promise<string> => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the subscriber has ended')
    return value
  }
  return {
    says,
    asked: (line: string): Promise<string> => {
      child.stdin.write(`${line}\n`)
      return says()
    },
    kill: () => child.kill('SIGKILL'),
  }
}

describe('a subscriber that takes its time', () => {
  it.each(['Postgres', 'EventStoreDB'])('holds little of what was appended meanwhile, and misses none of it, with the log in %s', async (kind) => {
    const host = kind === 'EventStoreDB' ? await startHost() : undefined
    const store = host ? makeEventStoreDbEventStore({ url: host.url, pool: database.pool }) : makePostgresEventStore({ connectionString: database.url, pool: database.pool })
    const writer = makeWriter(store)
    let n = 0
    const append = (count: number) => writer.append(times(count, () => ({ n: n++, text: 'x'.repeat(SIZE) })))
    await append(10)
    const subscriber = startSubscriber(database.url, host?.url ?? '', String(10 + APPENDS * EVENTS))
    try {
      const before = Number(await subscriber.says())
      await inTurn(APPENDS, () => append(EVENTS))
      const grown = Number(await subscriber.asked('how much now?')) - before
      expect(grown).toBeLessThan((APPENDS * EVENTS * SIZE) / 2)
      expect(await subscriber.asked('go on')).toBe(`${10 + APPENDS * EVENTS} in order`)
    } finally {
      subscriber.kill()
      await store.close()
      await host?.stop()
    }
  })
})
