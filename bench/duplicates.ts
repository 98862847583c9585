import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { wouldBeOf } from '../src/commands/near-matches.ts'
import { handleNamed } from '../src/commands/send.ts'
import { readConfig } from '../src/config.ts'
import { personal, type Caller } from '../src/domain/decider.ts'
import { subject, streamName } from '../src/domain/customer/events.ts'
import { blockingKeys } from '../src/domain/matching/blocking.ts'
import { bitsOf } from '../src/domain/matching/compare.ts'
import { featuresOf, type Features } from '../src/domain/matching/features.ts'
import type { Weights } from '../src/domain/matching/weights.ts'
import { emptyHead } from '../src/event-store/chain.ts'
import type { JsonObject } from '../src/event-store/port.ts'
import { openCore, type Core } from '../src/main.ts'
import { readCheckpoint } from '../src/projections/checkpoint.ts'
import { duplicates } from '../src/projections/duplicates/project.ts'
import { LARGEST_BLOCK } from '../src/projections/duplicates/queries.ts'
import { scoreOf } from '../src/projections/duplicates/score.ts'
import { schemaOf } from '../src/projections/projection.ts'
import { makeChineseSet, readChineseSettings, readVocabulary } from './matching/chinese.ts'
import type { BenchmarkOptions, Figure } from './report.ts'
import { measure, openWorld, percentile, type World } from './world.ts'

const CUSTOMERS = 1_000_000
const SET = 100_000
const CHECKS = 3000
const ENTRIES = 6000
const CALLERS = 32

const vocabularyFile = new URL('../../shared/data/matching/chinese-company-short-names.txt', import.meta.url)
const system: Caller = { actor: 'bench', role: 'system', employeeId: null, onBehalfOf: null }
const admin: Caller = { actor: 'admin', role: 'admin', employeeId: 'admin', onBehalfOf: null }

const labels = { en: 'Benchmark', zh: '基准' }
const field = (key: string, matchAs: string) => ({ key, labels, type: 'text', requiredFrom: null, listed: false, personal: true, matchAs })
const categories = {
  individual: [field('mobile', 'phone'), field('landline', 'phone'), field('birthday', 'birth-date'), field('residentId', 'official-number'), field('email', 'email'), field('address', 'address')],
  organisation: [field('phone', 'phone'), field('uscc', 'official-number'), field('email', 'email'), field('address', 'address')],
} as const
type Kind = keyof typeof categories
type Customer = { kind: Kind; name: string; fields: Record<string, string> }

/** Persons and companies as the matcher's own benchmark makes them, each set from another seed. */
const population = async (seed: number, size: number, say: (message: string) => void): Promise<Customer[]> => {
  const settings = await readChineseSettings()
  const vocabulary = await readVocabulary(vocabularyFile).catch(() => {
    say('there is no company vocabulary in ../shared/data: all are persons')
    return []
  })
  const set = makeChineseSet({ ...settings, seed: settings.seed + seed, records: size, individuals: vocabulary.length === 0 ? 1 : settings.individuals }, vocabulary)
  const one = (kind: Kind) => (record: { name: string } & Record<string, string>): Customer =>
    ({ kind, name: record.name, fields: Object.fromEntries(categories[kind].flatMap(({ key }) => (record[key] ? [[key, record[key]] as const] : []))) })
  return [...set.individual.map(one('individual')), ...set.organisation.map(one('organisation'))]
}

const CHUNK = 1000

/** Enters customers in bulk: the events a system's entry would make, through the log's own append. */
const fill = async ({ runtime, keyring }: Core, customers: readonly Customer[]): Promise<void> => {
  for (let at = 0; at < customers.length; at += CHUNK) {
    const chunk = customers.slice(at, at + CHUNK).map((customer) => ({ ...customer, id: uuidv7() }))
    await keyring.ensure(chunk.map(({ id }) => subject(id)))
    await Promise.all(chunk.map(async ({ kind, id, name, fields }) => {
      const of = subject(id)
      const data: JsonObject = {
        category: `bench-${kind}`, template: [{ categoryId: `bench-${kind}`, version: 1 }], name: personal(of, name), fields: Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, personal(of, value)])),
        identifiers: [], contacts: [], stage: 'target', tier: 'standard', enteredBy: null, enteredAt: null, nearMatches: { weightsVersion: null, policyVersion: 1, candidates: [], decision: 'switched-off' },
      }
      const stream = streamName(id)
      const metadata = { commandId: id, commandHash: id, actor: system.actor, $correlationId: id, $causationId: id }
      const events = await runtime.codec.encode(stream, emptyHead(stream), [{ type: 'CustomerCreated', schemaVersion: 1, data }], metadata, runtime.now().toISOString())
      await runtime.store.append({ stream, expectedRevision: 'no_stream', events })
    }))
  }
}

const Scanned = z.object({ compared: z.number(), opened: z.number(), seconds: z.number(), megabytes: z.number() })

const scanAlone = async ({ url }: World, dataDir: string): Promise<z.infer<typeof Scanned>> => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'duplicates-scan-run.ts'), url, dataDir])
  return Scanned.parse(JSON.parse(stdout))
}

/** The read model in a process of its own: in the thread of the commands it would hold them up, as in the service it does not. */
const startProjection = ({ url }: World, dataDir: string): { stop: () => Promise<void> } => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'duplicates-project-run.ts'), url, dataDir], { stdio: ['ignore', 'ignore', 'inherit'] })
  return {
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

/** Lets the read model read on to the end of the log. */
const caughtUp = async (core: Core): Promise<void> => {
  const head = await core.runtime.store.head()
  for (;;) {
    const checkpoint = await readCheckpoint(core.db, duplicates)
    if (checkpoint?.ready && checkpoint.position >= head) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const sendAs = async (core: Core, caller: Caller, command: string, body: object): Promise<void> => {
  const answer = await handleNamed(core.runtime, command, body, { caller })
  if (answer.status >= 400) throw new Error(`${command}: ${JSON.stringify(answer.body)}`)
}

/**
 * What a check is measured beside: the records' keys as arrays with a GIN index, those of too large blocks left out
 * beforehand, one prepared query on a connection of its own, and the same scores. No snapshot, no wait, no log behind it.
 */
const openAnchor = async ({ url, pool }: World, schema: string): Promise<{ look: (features: Features, weights: Weights) => Promise<number>; close: () => Promise<void> }> => {
  await pool.query(`create table anchor as
    with small as (select key from ${schema}.match_key group by key having count(*) <= ${LARGEST_BLOCK})
    select r.record, r.customer_id, r.features, array_agg(k.key) as keys
    from ${schema}.match_record r join ${schema}.match_key k on k.record = r.record join small on small.key = k.key group by r.record, r.customer_id, r.features`)
  await pool.query('create index on anchor using gin (keys)')
  await pool.query('vacuum analyze anchor')
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('set enable_seqscan = off')
  const text = 'select record, customer_id, features from anchor where keys && (select array_agg(hashtextextended(key, 0)) from unnest($1::text[]) as key) limit 400'
  return {
    look: async (features, weights) => {
      const { rows } = await client.query<{ features: Features }>({ name: 'anchor', text, values: [blockingKeys(features)] })
      return rows.filter((row) => scoreOf(features, row.features, weights) >= bitsOf(weights.thresholds.shown)).length
    },
    close: () => client.end(),
  }
}

/**
 * The matcher at work on a log of so many customers, entered with the look switched off: one check, entries with the
 * look on from 32 callers (the p99 beside that of the key array, one caller's), and the scan of all of them with its cases. No HTTP: what is measured is the command path
 * and the read model.
 */
export const benchmarkDuplicates = async ({ say, size = CUSTOMERS }: BenchmarkOptions): Promise<Figure[]> => {
  const [looks, entries] = [Math.min(CHECKS, size), Math.min(ENTRIES, size)]
  const world = await openWorld()
  const dataDir = join(world.folder, 'kehu')
  const core = await openCore(readConfig({ KEHU_DATA_DIR: dataDir, LOG_LEVEL: 'error' }), world.url, say)
  const figures: Figure[] = []
  const add = (name: string, value: number, unit: string, ratios: Figure['ratios'] = {}) => figures.push({ name, value, unit, ratios })
  let projecting: ReturnType<typeof startProjection> | undefined
  try {
    for (const kind of ['individual', 'organisation'] as const) await sendAs(core, admin, 'define-category', { categoryId: `bench-${kind}`, labels, criterion: labels, kind, template: { fields: categories[kind], contactFields: [] } })
    for (let entered = 0, seed = 0; entered < size; entered += SET, seed += 1) {
      await fill(core, await population(seed, Math.min(SET, size - entered), say))
      say(`${Math.min(entered + SET, size).toLocaleString('en')} customers are in the log`)
    }
    const started = performance.now()
    projecting = startProjection(world, dataDir)
    await caughtUp(core)
    add('duplicates projection', size / ((performance.now() - started) / 1000), 'customers/s')
    await world.pool.query('vacuum analyze')
    say('looking')

    const others = await population(1000, looks + entries, say)
    const weights = core.runtime.organisation.current().policies.matching
    const anchor = await openAnchor(world, schemaOf(duplicates))
    const checks: number[] = []
    const anchored: number[] = []
    for (const { kind, name, fields } of others.slice(0, looks)) {
      const started = performance.now()
      const described = wouldBeOf({ category: `bench-${kind}`, name, fields, identifiers: [] }, core.runtime)
      if (described) await core.runtime.nearMatches?.ofWouldBe(described, { weights, most: 20 })
      const checked = performance.now()
      if (described) await anchor.look(featuresOf(described.profile), weights.value)
      checks.push(checked - started)
      anchored.push(performance.now() - checked)
    }
    await anchor.close()
    for (const share of [0.5, 0.99]) {
      const [value, beside] = [percentile(checks, share), percentile(anchored, share)]
      add(`check p${share * 100}`, value, 'ms', { 'key-array': value / beside })
    }

    say('entering')
    const entered = await measure(CALLERS, others.slice(looks), ({ kind, name, fields }) => sendAs(core, system, 'create-customer', { category: `bench-${kind}`, name, fields, claim: false }))
    add('create with check', entered.perSecond, 'customers/s')
    add('create with check p99', entered.p99, 'ms', { 'key-array': entered.p99 / percentile(anchored, 0.99) })

    await caughtUp(core)
    await projecting.stop()
    say('scanning')
    const { compared, opened, seconds, megabytes } = await scanAlone(world, dataDir)
    say(`${compared.toLocaleString('en')} pairs compared, ${opened.toLocaleString('en')} cases opened`)
    add('scan', (size + entries) / seconds, 'customers/s')
    add('scan in all', seconds / 60, 'min')
    add('scan memory', megabytes, 'MB')
    return figures
  } finally {
    await projecting?.stop()
    await core.close()
    await world.close()
  }
}
