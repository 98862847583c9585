import { sql, type Kysely } from 'kysely'
import { bitsOf, compare, type Comparison } from '../../domain/matching/compare.ts'
import type { Features } from '../../domain/matching/features.ts'
import type { Weights } from '../../domain/matching/weights.ts'
import { rounded } from './near-matches.ts'
import { LARGEST_BLOCK, survivorsOf } from './queries.ts'
import { scoreOf } from './score.ts'

/** Two customers that are likely one, the earlier entered first; and the records of theirs that are alike, where they stand for others. */
export type LikelyPair = { customerIds: [string, string]; recordIds: [string, string] } & Pick<Comparison, 'score' | 'probability' | 'reasons'>

/** A stretch of blocks that has been compared. `through` is where to go on after it; null before the first. */
export type Stretch = { through: string; keys: number; compared: number; pairs: LikelyPair[] }

export type ScanOptions = {
  weights: Weights
  /** Pairs at least as probable are answered. */
  threshold: number
  /** The last key of a stretch that is done, to go on from. */
  after?: string | null
  /** Keys read at once: memory grows with it. */
  keysAtOnce?: number
}

const KEYS_AT_ONCE = 25_000
/** Below every key. */
const FIRST = '-9223372036854775808'

type MatchRow = { record: string; customer_id: string; absorbed_into: string | null; survivor_id: string; features: Features; keys: string[] }

/**
 * Compares every record with those it shares a block with, each pair once, however many blocks they share; block by
 * block in the order of the keys, so that it can stop after any stretch and go on from there. Holds one stretch in
 * memory. What is entered meanwhile may or may not be seen: its own entry looks for it.
 */
export async function* scanPairs(db: Kysely<unknown>, schema: string, { weights, threshold, after, keysAtOnce = KEYS_AT_ONCE }: ScanOptions): AsyncIterable<Stretch> {
  const tooLarge = await largeBlocks(db, schema)
  const comparePair = comparer(weights, threshold)
  let next = loadStretch(db, schema, after ?? null, keysAtOnce)
  for (let stretch = await next; stretch; stretch = await next) {
    // The next one is read while this one is compared.
    next = loadStretch(db, schema, stretch.through, keysAtOnce)
    next.catch(() => undefined)
    const { through, keys, blocks, rows } = stretch
    const pairs: LikelyPair[] = []
    let compared = 0
    for (const { key, records } of blocks) {
      const members = records.flatMap((record) => rows.get(record) ?? [])
      for (const [index, one] of members.entries()) {
        for (const other of members.slice(index + 1)) {
          if (firstShared(one.keys, other.keys, tooLarge) !== key) continue
          compared += 1
          const pair = comparePair(one, other)
          if (pair) pairs.push(pair)
        }
      }
      await new Promise(setImmediate)
    }
    yield { through, keys, compared, pairs }
  }
}

/** How many keys there are to go through, and up to one of them. */
export const countKeys = async (db: Kysely<unknown>, schema: string, through: string | null): Promise<{ all: number; done: number }> => {
  const { rows } = await sql<{ total: string; done: string }>`
    select count(*) as total, count(*) filter (where key <= ${through ?? FIRST}::bigint) as done from ${sql.table(`${schema}.match_key`)}`.execute(db)
  return { all: Number(rows[0]?.total ?? 0), done: through === null ? 0 : Number(rows[0]?.done ?? 0) }
}

/** A pair is compared in the first block both are in: the others pass it over. */
const firstShared = (one: readonly string[], other: readonly string[], tooLarge: ReadonlySet<string>): string | undefined => one.find((key) => other.includes(key) && !tooLarge.has(key))

const comparer = (weights: Weights, threshold: number) => {
  const least = bitsOf(threshold)
  return (one: MatchRow, other: MatchRow): LikelyPair | undefined => {
    if (one.survivor_id === other.survivor_id) return undefined
    if (scoreOf(one.features, other.features, weights) < least) return undefined
    const { score, probability, reasons } = compare(one.features, other.features, weights)
    return { customerIds: [one.survivor_id, other.survivor_id], recordIds: [one.customer_id, other.customer_id], score: rounded(score), probability, reasons }
  }
}

const largeBlocks = async (db: Kysely<unknown>, schema: string): Promise<Set<string>> => {
  const { rows } = await sql<{ key: string }>`select key from ${sql.table(`${schema}.match_key`)} group by key having count(*) > ${LARGEST_BLOCK}`.execute(db)
  return new Set(rows.map((row) => row.key))
}

/** The blocks of the next keys, and the records in them; undefined where there are no more keys. */
const loadStretch = async (db: Kysely<unknown>, schema: string, after: string | null, keysAtOnce: number) => {
  const [matchRecord, matchKey] = ['match_record', 'match_key'].map((name) => sql.table(`${schema}.${name}`))
  const from = after === null ? sql`true` : sql`key > ${after}::bigint`
  const ends = await sql<{ first: string | null; last: string | null; keys: string; last_keys: string }>`
    with stretch as (select key from ${matchKey} where ${from} order by key limit ${keysAtOnce})
    select min(key) as first, max(key) as last, count(*) as keys, count(*) filter (where key = (select max(key) from stretch)) as last_keys from stretch`.execute(db)
  const [end] = ends.rows
  if (!end || end.first === null || end.last === null) return undefined
  // Cut off in the middle of a block, it ends before that one; a block that is longer than a stretch is too large anyway.
  const cut = Number(end.keys) === keysAtOnce && end.first !== end.last
  const through = cut ? String(BigInt(end.last) - 1n) : end.last
  const blocks = await sql<{ key: string; records: string[] }>`
    select key, array_agg(record order by record) as records
    from ${matchKey} where ${from} and key <= ${through}::bigint group by key having count(*) between 2 and ${LARGEST_BLOCK} order by key`.execute(db)
  const ids = [...new Set(blocks.rows.flatMap((block) => block.records))]
  const rows = await sql<Omit<MatchRow, 'survivor_id'>>`select record, customer_id, absorbed_into, features, keys from ${matchRecord} where record = any(${ids}::bigint[])`.execute(db)
  const survivors = await survivorsOf(db, schema, rows.rows)
  return { through, keys: Number(end.keys) - (cut ? Number(end.last_keys) : 0), blocks: blocks.rows, rows: new Map(rows.rows.map((row) => [row.record, { ...row, survivor_id: survivors.get(row.customer_id) ?? row.customer_id }])) }
}
