import { randomUUID } from 'node:crypto'
import { sha256 } from '../src/event-store/canonical.ts'
import { chain, emptyHead, type Head } from '../src/event-store/chain.ts'
import { makeCodec } from '../src/event-store/codec.ts'
import { makeKeyring } from '../src/event-store/keyring.ts'
import type { EventStore, SealedEvent } from '../src/event-store/port.ts'
import { streamKey } from '../src/event-store/postgres/rows.ts'
import { makePostgresEventStore } from '../src/event-store/postgres/store.ts'
import { makeFolds, recall } from '../src/commands/folds.ts'
import { load } from '../src/commands/load.ts'
import { customer } from '../src/domain/customer/customer.ts'
import { claim } from '../src/domain/customer/ownership.ts'
import { emptyOrganisation } from '../src/domain/organisation/organisation.ts'
import { median, type BenchmarkOptions, type Figure } from './report.ts'
import { installPeers, measure, measurePeer, openWorld, type World } from './world.ts'

const ROUNDS = 5
const CALLERS = 8
const READS = 1500
const PEER_READS = 800
const LONG = 10_000

const makeEvents = (stream: string, count: number, dataOf: (n: number) => Pick<SealedEvent, 'type' | 'data'>): SealedEvent[] => {
  const events: SealedEvent[] = []
  let head: Head = emptyHead(stream)
  for (let n = 0; n < count; n += 1) {
    const commandId = randomUUID()
    const recordedAt = new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString()
    const event = chain(stream, n, { id: randomUUID(), ...dataOf(n), metadata: { schemaVersion: 1, commandId, commandHash: sha256(commandId), actor: 'manager', $correlationId: commandId, $causationId: commandId, recordedAt, policies: [{ name: 'ownership', version: 1 }], prevHash: head.hash } })
    events.push(event)
    head = { revision: n, hash: event.metadata.hash, recordedAt }
  }
  return events
}

const fill = async (store: EventStore, stream: string, events: readonly SealedEvent[]): Promise<void> => {
  for (let from = 0; from < events.length; from += 200) await store.append({ stream, expectedRevision: from === 0 ? 'no_stream' : from - 1, events: events.slice(from, from + 200) })
}

/** The same rows with plain pg: one query, the texts parsed as JSON, and nothing looked at. */
const plainRead = ({ pool }: World) => async (stream: string): Promise<{ data: unknown }[]> => {
  const { rows } = await pool.query<{ data: string; metadata: string }>({ name: 'plain-read', text: 'select position, revision, event_id, stream, type, data, metadata from kehu.event where stream_key = $1 order by revision', values: [streamKey(stream)] })
  return rows.map((row) => ({ ...row, data: JSON.parse(row.data) as unknown, metadata: JSON.parse(row.metadata) as unknown }))
}

/** A stream of 100 events, 8 callers, beside plain pg and other event stores. */
export const benchmarkRead = async ({ say }: BenchmarkOptions): Promise<Figure[]> => {
  await installPeers(say)
  const world = await openWorld()
  try {
    const store = makePostgresEventStore({ connectionString: world.url, pool: world.pool })
    const streams = Array.from({ length: 20 }, () => `bench-${randomUUID()}`)
    for (const stream of streams) await fill(store, stream, makeEvents(stream, 100, (n) => ({ type: 'OwnershipClaimed', data: { ownerId: 'zhao', note: `${n}`.padStart(40, 'n') } })))
    const targets = Array.from({ length: READS }, (_, n) => streams[n % streams.length] ?? '')
    const kehu = async () => (await measure(CALLERS, targets, async (stream) => {
      let events = 0
      for await (const { revision } of store.readStream(stream)) events = revision + 1
      if (events !== 100) throw new Error(`read ${events} events of 100`)
    })).perSecond
    const read = plainRead(world)
    const plain = async () => (await measure(CALLERS, targets, read)).perSecond
    await kehu()
    await plain()
    const values: number[] = []
    const ratios: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const [one, other] = round % 2 === 0 ? [await kehu(), await plain()] : [await plain(), await kehu()].toReversed()
      values.push(one ?? 0)
      ratios.push((one ?? 0) / (other ?? 1))
    }
    const peers: Record<string, number> = {}
    for (const peer of ['emmett', 'castore'] as const) {
      const { perSecond } = await measurePeer(peer, world.url, 'read', CALLERS, PEER_READS)
      peers[peer] = median(values) / perSecond
      say(`${peer}: ${Math.round(perSecond)} reads/s`)
    }
    await store.close()
    return [{ name: 'read', value: median(values), unit: 'reads/s', ratios: { 'plain-pg': median(ratios), ...peers } }]
  } finally {
    await world.close()
  }
}

const context = { now: '2026-11-01T00:00:00.000Z', caller: { actor: 'manager', role: 'manager', employeeId: 'manager', onBehalfOf: null }, organisation: emptyOrganisation, commandId: 'c', newId: (what: string) => what, identityOf: (kind: string) => kind } as const

/** Deciding on a customer of 10,000 events: with nothing in memory, and with the stream in memory. */
export const benchmarkLoad = async ({ say }: BenchmarkOptions): Promise<Figure[]> => {
  const world = await openWorld()
  try {
    const store = makePostgresEventStore({ connectionString: world.url, pool: world.pool })
    const codec = makeCodec(makeKeyring(world.pool, [Buffer.alloc(32, 9)]))
    const stream = 'customer-long'
    say(`a customer of ${LONG} events`)
    await fill(store, stream, makeEvents(stream, LONG, (n): Pick<SealedEvent, 'type' | 'data'> => {
      if (n === 0) return { type: 'CustomerCreated', data: { category: 'individual-retail', template: [], name: { erased: true }, fields: {}, identifiers: [], contacts: [], stage: 'target', tier: 'standard', enteredBy: 'manager', enteredAt: null } }
      return n % 2 === 1 ? { type: 'OwnershipClaimed', data: { ownerId: `e-${n % 40}`, basis: 'claim', reason: null } } : { type: 'OwnershipReleased', data: { from: `e-${n % 40}`, basis: 'voluntary-release', reason: null } }
    }))
    const plain = plainRead(world)
    const decide = (state: Parameters<typeof claim>[0]) => claim(state, { customerId: 'long' }, context)
    const timed = async (work: () => Promise<unknown>): Promise<number> => {
      const started = performance.now()
      await work()
      return performance.now() - started
    }
    // The code is warm, the state is not: each time a memory of its own.
    const cold = () => timed(async () => decide((await load({ store, codec, folds: makeFolds() }, customer, stream)).state))
    const reading = () => timed(() => plain(stream))
    const folds = makeFolds()
    await load({ store, codec, folds }, customer, stream)
    const warm = () => timed(async () => {
      const known = recall(folds, customer, stream)
      if (!known) throw new Error('the stream is not in memory')
      decide(known.loaded.state)
    })
    for (let n = 0; n < 3; n += 1) {
      await cold()
      await reading()
      await warm()
    }
    const colds: number[] = []
    const ratios: number[] = []
    const warms: number[] = []
    for (let round = 0; round < ROUNDS * 2; round += 1) {
      const [one, other] = round % 2 === 0 ? [await cold(), await reading()] : [await reading(), await cold()].toReversed()
      colds.push(one ?? 0)
      ratios.push((one ?? 0) / (other ?? 1))
      warms.push(await warm())
    }
    await store.close()
    return [
      { name: 'load cold', value: median(colds), unit: 'ms', ratios: { 'plain-pg': median(ratios) } },
      { name: 'load warm', value: median(warms), unit: 'ms', ratios: {} },
    ]
  } finally {
    await world.close()
  }
}
