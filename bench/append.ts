import pg from 'pg'
import { canonical } from '../src/event-store/canonical.ts'
import { makeArrayWriter } from '../src/event-store/binary.ts'
import { streamKey } from '../src/event-store/postgres/rows.ts'
import { makePostgresEventStore } from '../src/event-store/postgres/store.ts'
import { makeAppends, withReceipt } from './appends.ts'
import { median, type BenchmarkOptions, type Figure } from './report.ts'
import { installPeers, measure, measurePeer, openWorld, type Rate, type World } from './world.ts'

const ROUNDS = 3
/** Appends of one round, by callers. */
const APPENDS = { 1: 1500, 32: 15_000, 128: 30_000 } as const
const PEER_APPENDS = 4000
/** What the peers reached beside a plain INSERT (32 callers) where the limits were set: one far below is not itself here. */
const PEERS_THEN = { emmett: 1500 / 7800, castore: 5600 / 7800 }

const columns = 'stream_key, revision, event_id, stream, type, data, metadata, hash'

/** What of an append goes into the table. For the references it is made ready before the clock starts. */
type Row = { key: string; revision: number; id: string; stream: string; type: string; data: string; metadata: string; hash: string }

const makeRows = (count: number): Row[] => makeAppends(count).flatMap(({ stream, events }) =>
  events.map(({ id, type, data, metadata }) => ({ key: streamKey(stream), revision: 0, id, stream, type, data: canonical(data), metadata: canonical(metadata), hash: metadata.hash })))

/** The table of events, less what nobody checks. */
const createTables = async ({ pool }: World): Promise<void> => {
  for (const name of ['plain_event', 'raw_event']) await pool.query(`create table ${name} (like kehu.event including all); alter table ${name} alter position add generated always as identity`)
}

const plainInsert = ({ pool }: World) => ({ key, revision, id, stream, type, data, metadata, hash }: Row): Promise<unknown> =>
  pool.query({ name: 'plain', text: `insert into plain_event (${columns}) values ($1, $2, $3, $4, $5, $6, $7, $8) returning position`, values: [key, revision, id, stream, type, data, metadata, Buffer.from(hash, 'hex')] })

/** What Postgres takes at the most from one connection: rows in binary arrays, half of what waits in a batch, two batches under way, nothing checked. */
const rawUnnest = async ({ url }: World) => {
  const client = new pg.Client({ connectionString: url, pipeline: true })
  await client.connect()
  const arrays = makeArrayWriter()
  const waiting: { row: Row; done: () => void; failed: (error: unknown) => void }[] = []
  let underWay = 0
  const send = (batch: typeof waiting): void => {
    underWay += 1
    arrays.reset()
    const rows = batch.map(({ row }) => row)
    const values = [arrays.uuids(rows.map((row) => row.key)), arrays.integers(rows.map((row) => row.revision)), arrays.uuids(rows.map((row) => row.id)), arrays.texts(rows.map((row) => row.stream)), arrays.texts(rows.map((row) => row.type)), arrays.texts(rows.map((row) => row.data)), arrays.texts(rows.map((row) => row.metadata)), arrays.hexBytes(rows.map((row) => row.hash))]
    client.query({ name: 'raw', text: `insert into raw_event (${columns}) select * from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[])`, values }).then(() => {
      underWay -= 1
      for (const { done } of batch) done()
      setImmediate(fill)
    }, (error: unknown) => {
      for (const { failed } of batch) failed(error)
    })
  }
  const fill = (): void => {
    while (underWay < 2 && waiting.length > 0) send(waiting.splice(0, Math.min(256, underWay === 0 ? Math.ceil(waiting.length / 2) : waiting.length)))
  }
  return {
    append: (row: Row) => new Promise<void>((done, failed) => {
      if (waiting.push({ row, done, failed }) === 1) setImmediate(fill)
    }),
    close: () => client.end(),
  }
}

type Contender = { name: string; run: (callers: number, count: number) => Promise<Rate> }

/** All in turns, so that what else the machine does falls on each: medians, and the medians of the ratios to others of the same round. */
const inTurns = async (callers: 1 | 32 | 128, rounds: number, contenders: readonly Contender[]) => {
  const results = new Map<string, Rate[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, run } of round % 2 === 0 ? contenders : contenders.toReversed()) results.get(name)?.push(await run(callers, APPENDS[callers]))
  }
  const of = (name: string, what: keyof Rate) => (results.get(name) ?? []).map((rate) => rate[what])
  return {
    median: (name: string, what: keyof Rate = 'perSecond') => median(of(name, what)),
    ratio: (name: string, to: string, what: keyof Rate = 'perSecond') => median(of(name, what).map((value, round) => value / (of(to, what)[round] ?? 1))),
  }
}

/**
 * Single-event appends to distinct streams, through the store with every promise kept, beside the limit (raw unnest),
 * a plain INSERT, and other event stores. Everything warm: a round of each goes unmeasured.
 */
export const benchmarkAppend = async ({ say }: BenchmarkOptions): Promise<Figure[]> => {
  await installPeers(say)
  const world = await openWorld()
  try {
    await createTables(world)
    const store = makePostgresEventStore({ connectionString: world.url, pool: world.pool })
    const raw = await rawUnnest(world)
    const plain = plainInsert(world)
    const over = <Item>(make: (count: number) => Item[], send: (item: Item) => Promise<unknown>) => async (callers: number, count: number): Promise<Rate> =>
      measure(callers, make(count), send)
    const kehu: Contender = { name: 'kehu', run: over(makeAppends, store.append) }
    const receipts: Contender = { name: 'receipts', run: over((count) => makeAppends(count).map(withReceipt), store.append) }
    const plainly: Contender = { name: 'plain-insert', run: over(makeRows, plain) }
    const rawly: Contender = { name: 'raw-unnest', run: over(makeRows, raw.append) }
    say(`single appends to new streams, medians of ${ROUNDS} rounds in turns, all warmed up`)
    for (const contender of [kehu, receipts, plainly, rawly]) await contender.run(32, 5000)

    const figures: Figure[] = []
    const one = await inTurns(1, ROUNDS, [kehu, receipts, plainly, rawly])
    figures.push(
      { name: 'append 1', value: one.median('kehu'), unit: 'appends/s', ratios: { 'plain-insert': one.ratio('kehu', 'plain-insert'), 'raw-unnest': one.ratio('kehu', 'raw-unnest') } },
      { name: 'append 1 p99', value: one.median('kehu', 'p99'), unit: 'ms', ratios: { 'plain-insert': one.ratio('kehu', 'plain-insert', 'p99') } },
      { name: 'append 1 receipts', value: one.median('receipts'), unit: 'appends/s', ratios: { 'plain-insert': one.ratio('receipts', 'plain-insert') } },
    )
    const many = await inTurns(32, ROUNDS, [kehu, receipts, plainly, rawly])
    const peers: Record<string, number> = {}
    for (const peer of ['emmett', 'castore'] as const) {
      const rates = []
      for (let round = 0; round < 3; round += 1) rates.push((await measurePeer(peer, world.url, 'append', 32, PEER_APPENDS)).perSecond)
      const rate = median(rates)
      const beside = rate / many.median('plain-insert')
      say(`${peer}: ${Math.round(rate)} appends/s, ${beside.toFixed(2)} of the plain INSERT (${PEERS_THEN[peer].toFixed(2)} where the limits were set)${beside < 0.7 * PEERS_THEN[peer] ? ': it is not itself here, its ratio does not count' : ''}`)
      peers[peer] = many.median('kehu') / rate
    }
    figures.push(
      { name: 'append 32', value: many.median('kehu'), unit: 'appends/s', ratios: { 'plain-insert': many.ratio('kehu', 'plain-insert'), 'raw-unnest': many.ratio('kehu', 'raw-unnest'), ...peers } },
      { name: 'append 32 p99', value: many.median('kehu', 'p99'), unit: 'ms', ratios: { 'plain-insert': many.ratio('kehu', 'plain-insert', 'p99') } },
      { name: 'append 32 receipts', value: many.median('receipts'), unit: 'appends/s', ratios: { 'plain-insert': many.ratio('receipts', 'plain-insert'), 'raw-unnest': many.ratio('receipts', 'raw-unnest') } },
    )
    const most = await inTurns(128, ROUNDS, [kehu, receipts, plainly, rawly])
    figures.push(
      { name: 'append 128', value: most.median('kehu'), unit: 'appends/s', ratios: { 'raw-unnest': most.ratio('kehu', 'raw-unnest'), 'plain-insert': most.ratio('kehu', 'plain-insert') } },
      { name: 'append 128 p99', value: most.median('kehu', 'p99'), unit: 'ms', ratios: { 'plain-insert': most.ratio('kehu', 'plain-insert', 'p99') } },
      { name: 'append 128 receipts', value: most.median('receipts'), unit: 'appends/s', ratios: { 'raw-unnest': most.ratio('receipts', 'raw-unnest'), 'plain-insert': most.ratio('receipts', 'plain-insert') } },
    )
    await raw.close()
    await store.close()
    return figures
  } finally {
    await world.close()
  }
}
