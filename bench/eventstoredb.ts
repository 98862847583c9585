import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventStoreDBClient, jsonEvent, streamNameFilter, type AllStreamResolvedEvent } from '@eventstore/db-client'
import pg from 'pg'
import { migrate } from '../migrations/index.ts'
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts'
import { makeEventStoreDbEventStore } from '../src/event-store/eventstoredb/store.ts'
import type { Append } from '../src/event-store/port.ts'
import { makeAppends, withReceipt } from './appends.ts'
import { median, type BenchmarkOptions, type Figure } from './report.ts'
import { kyselyOn } from '../src/projections/kysely.ts'

const ROUNDS = 5
const READ_ROUNDS = 3
/** Appends of one round, by callers. */
const APPENDS: Record<number, number> = { 1: 600, 32: 2500, 128: 5000 }

/** Callers that each send one after the other; answers a second. */
const rate = async (callers: number, appends: readonly Append[], send: (append: Append) => Promise<unknown>): Promise<number> => {
  let next = 0
  const started = performance.now()
  await Promise.all(Array.from({ length: callers }, async () => {
    for (let append = appends[next++]; append; append = appends[next++]) await send(append)
  }))
  return (appends.length / (performance.now() - started)) * 1000
}

/** In turns, so that what else the machine does falls on both; the medians, and the median of the rounds' ratios. */
const beside = async (rounds: number, one: () => Promise<number>, other: () => Promise<number>): Promise<{ value: number; ratio: number }> => {
  const values: number[] = []
  const ratios: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const [first, second] = round % 2 === 0 ? [await one(), await other()] : [await other(), await one()].toReversed()
    values.push(first ?? 0)
    ratios.push((first ?? 0) / (second ?? 1))
  }
  return { value: median(values), ratio: median(ratios) }
}

const startHost = async (file: string): Promise<{ url: string; stop: () => void }> => {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, '../test/eventstoredb-host/main.ts'), '--file', file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const url = await new Promise<string>((resolve, reject) => {
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      const [, found] = /answers at (\S+)/.exec(output) ?? []
      if (found !== undefined) resolve(found)
    })
    child.on('exit', () => reject(new Error(`the test host did not start: ${output}`)))
  })
  return { url, stop: () => child.kill('SIGTERM') }
}

/** Appends and catch-up through the adapter, beside the bare client doing the same in the same run. */
export const benchmarkEventStoreDb = async ({ url: given, say }: BenchmarkOptions): Promise<Figure[]> => {
  const folder = await mkdtemp(join(tmpdir(), 'kehu-bench-'))
  const host = given === undefined ? await startHost(join(folder, 'log')) : undefined
  const url = given ?? host?.url ?? ''
  const prefix = given === undefined ? undefined : `b${randomBytes(6).toString('hex')}`
  // Run by root, PostgreSQL is another user's process, who must get there.
  await chmod(folder, 0o711)
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres') })
  const pool = new pg.Pool({ connectionString: postgres.url, max: 4 })
  const db = kyselyOn(pool)
  await migrate(db)
  const store = makeEventStoreDbEventStore({ url, pool, ...(prefix && { prefix }) })
  const bare = EventStoreDBClient.connectionString(url.replace(/^kurrentdb/, 'esdb'))
  const bareAppend = ({ stream, expectedRevision, events }: Append) =>
    bare.appendToStream(stream.replace('bench-', 'bare-'), events.map(({ id, type, data, metadata }) => jsonEvent({ id, type, data, metadata })), { expectedRevision: expectedRevision === 'no_stream' ? expectedRevision : BigInt(expectedRevision) })
  const figures: Figure[] = []
  const add = (name: string, value: number, unit: string, reference: string, ratio: number) => {
    figures.push({ name, value, unit, ratios: { [reference]: ratio } })
    say(`${name}: ${Math.round(value)} ${unit}, ${ratio.toFixed(2)} of the ${reference}`)
  }
  try {
    say(`against ${given === undefined ? 'the test host, in a process of its own' : 'the server given'}; single appends to new streams, medians of ${ROUNDS} rounds each, in turns with the bare client, both warmed up`)
    const make = (callers: number) => makeAppends(APPENDS[callers] ?? 1000)
    await rate(32, make(32), store.append)
    await rate(32, make(32), bareAppend)
    for (const callers of [1, 32, 128]) {
      const { value, ratio } = await beside(ROUNDS, () => rate(callers, make(callers), store.append), () => rate(callers, make(callers), bareAppend))
      add(`eventstoredb append ${callers}`, value, 'appends/s', 'bare-client', ratio)
    }
    const receipts = await beside(3, () => rate(128, make(32).map(withReceipt), store.append), () => rate(128, make(32), bareAppend))
    add('eventstoredb append 128 receipts', receipts.value, 'appends/s', 'bare-client', receipts.ratio)

    say('catch-up: the whole log from its start, as a projection reads it; the bare client reads and parses the same events')
    const caughtUp = async (): Promise<number> => {
      const stop = new AbortController()
      const started = performance.now()
      let events = 0
      for await (const batch of store.subscribe({ after: 0n, batchSize: 1000, signal: stop.signal })) {
        events += batch.events.length
        if (batch.caughtUp) break
      }
      stop.abort()
      return (events / (performance.now() - started)) * 1000
    }
    const count = (await (async () => {
      let events = 0
      for await (const batch of store.readAll({ after: 0n, batchSize: 1000 })) events += batch.events.length
      return events
    })())
    const kinds = prefix === undefined ? ['bench-', 'bare-'] : [`bench-@${prefix}.`]
    const drain = async (events: AsyncIterable<AllStreamResolvedEvent>): Promise<number> => {
      const started = performance.now()
      let seen = 0
      for await (const { event } of events) {
        if (event && kinds.some((kind) => event.streamId.startsWith(kind))) seen += 1
        if (seen === count) break
      }
      return (seen / (performance.now() - started)) * 1000
    }
    const read = await beside(READ_ROUNDS, caughtUp, () => drain(bare.readAll()))
    add('eventstoredb catch-up', read.value, 'events/s', 'bare-read', read.ratio)
    const subscribed = await beside(READ_ROUNDS, caughtUp, async () => {
      const subscription = bare.subscribeToAll({ filter: streamNameFilter({ prefixes: kinds }) })
      return drain(subscription).finally(() => subscription.unsubscribe())
    })
    add('eventstoredb catch-up', subscribed.value, 'events/s', 'bare-subscription', subscribed.ratio)
    return figures
  } finally {
    await store.close()
    await bare.dispose().catch(() => undefined)
    await db.destroy()
    await postgres.stop()
    host?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
