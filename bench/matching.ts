import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { handleNamed } from '../src/commands/send.ts'
import { readConfig } from '../src/config.ts'
import { estimateWeights, reviseWeights } from '../src/cli/matching/estimate.ts'
import type { Caller } from '../src/domain/decider.ts'
import { EventStoreUnavailable } from '../src/event-store/port.ts'
import { openCore, type Core } from '../src/main.ts'
import { duplicates } from '../src/projections/duplicates/project.ts'
import { scanPairs } from '../src/projections/duplicates/scan.ts'
import { schemaOf } from '../src/projections/projection.ts'
import { runProjection } from '../src/projections/runner.ts'
import { makeChineseSet, readChineseSettings, readVocabulary } from './matching/chinese.ts'
import { readMap, readRecords, toRecords, type EvaluationRecord } from './matching/data.ts'
import { figuresOf, type Figures } from './matching/figures.ts'
import type { BenchmarkOptions, MatchingFigure } from './report.ts'
import { openWorld } from './world.ts'

const dataFolder = '../shared/data/matching'
const ownMap = (file: string) => readMap(new URL(`matching/${file}`, import.meta.url))

type DataSet = { name: string; file: string; records: () => Promise<EvaluationRecord[]>; peers: Record<string, number> }

/** The sets measured on, with the F1 that others publish for them (../shared/data/README.md). */
const dataSets: readonly DataSet[] = [
  { name: 'febrl1', file: 'febrl1.csv', records: async () => readRecords(`${dataFolder}/febrl1.csv`, await ownMap('febrl.yaml'), 'rec_id'), peers: { ECM: 1 } },
  { name: 'febrl3', file: 'febrl3.csv', records: async () => readRecords(`${dataFolder}/febrl3.csv`, await ownMap('febrl.yaml'), 'rec_id'), peers: { Splink: 0.9954, ECM: 0.9989 } },
  { name: 'febrl3 name-address', file: 'febrl3.csv', records: async () => readRecords(`${dataFolder}/febrl3.csv`, await ownMap('febrl-name-address.yaml'), 'rec_id'), peers: { Splink: 0.9756, ECM: 0.975 } },
  { name: 'fake_1000', file: 'fake_1000.csv', records: async () => readRecords(`${dataFolder}/fake_1000.csv`, await ownMap('fake_1000.yaml'), 'cluster'), peers: { Splink: 0.8617, ECM: 0.836 } },
  { name: 'chinese', file: 'chinese-company-short-names.txt', records: chineseRecords, peers: {} },
]

async function chineseRecords(): Promise<EvaluationRecord[]> {
  const { individual, organisation } = makeChineseSet(await readChineseSettings(), await readVocabulary(`${dataFolder}/chinese-company-short-names.txt`))
  return [...toRecords(individual, await ownMap('chinese-persons.yaml'), 'entity'), ...toRecords(organisation, await ownMap('chinese-companies.yaml'), 'entity')]
}

/**
 * How well the matcher tells who is one customer: records are entered by commands, its weights are estimated from them
 * without their truth, one scan accepts pairs, and what the accepted pairs connect is held against the truth.
 */
export const benchmarkMatching = async ({ say, data, map, truth }: BenchmarkOptions): Promise<MatchingFigure[]> => {
  const figures: MatchingFigure[] = []
  for (const { name, file, records, peers } of await chosen({ data, map, truth })) {
    if (data === undefined && !(await access(join(dataFolder, file)).then(() => true, () => false))) {
      say(`${name} is skipped: there is no ${dataFolder}/${file}`)
      continue
    }
    const { precision, recall, f1 } = await evaluate(await records(), (message) => say(`${name}: ${message}`))
    const share = (value: number) => value.toFixed(4)
    figures.push({ name, value: f1, unit: `F1 (precision ${share(precision)}, recall ${share(recall)})`, ratios: Object.fromEntries(Object.entries(peers).map(([peer, theirs]) => [peer, f1 / theirs])), precision, recall, f1 })
  }
  return figures
}

const chosen = async ({ data, map, truth }: { data: string | undefined; map: string | undefined; truth: string | undefined }): Promise<readonly DataSet[]> => {
  if (data === undefined) return dataSets
  if (map === undefined || truth === undefined) throw new Error('--data needs --map and --truth: what the columns mean, and which of them tells who is one customer')
  return [{ name: data, file: data, records: async () => readRecords(data, await readMap(map), truth), peers: {} }]
}

const system: Caller = { actor: 'bench', role: 'system', employeeId: null, onBehalfOf: null }
const admin: Caller = { actor: 'bench', role: 'admin', employeeId: null, onBehalfOf: null }
const CALLERS = 64

const TRIES = 10

/** Under a key of its own, so that on a machine that is busy with other things it may be sent again. */
const send = async (core: Core, caller: Caller, command: string, key: string, body: object): Promise<void> => {
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = await handleNamed(core.runtime, command, body, { caller, key })
      if (answer.status >= 400) throw new Error(`${command}: ${JSON.stringify(answer.body)}`)
      return
    } catch (error) {
      if (!(error instanceof EventStoreUnavailable) || tries === TRIES) throw error
    }
  }
}

/** An id tells the row and nothing of whose it is. */
const idOf = (row: number) => `row-${row}`
const rowOf = (customerId: string) => Number(customerId.slice('row-'.length))
const keyOf = (column: string) => `f${[...column].map((character) => (/[A-Za-z0-9]/.test(character) ? character : '')).join('')}`.slice(0, 60)

const evaluate = async (records: readonly EvaluationRecord[], say: (message: string) => void): Promise<Figures> => {
  const world = await openWorld()
  const core = await openCore(readConfig({ DATABASE_URL: world.url, KEHU_DATA_DIR: join(world.folder, 'kehu'), LOG_LEVEL: 'error' }), world.url, say)
  const stop = new AbortController()
  try {
    await enter(core, records)
    say(`${records.length.toLocaleString('en')} records entered`)
    const runner = runProjection({ db: core.db, connectionString: core.connectionString, store: core.runtime.store, codec: core.runtime.codec, placeId: core.placeId, analystRole: null, report: ({ message }) => say(message) }, duplicates, stop.signal)
    for (const head = await core.runtime.store.head(); runner.status().position < head || runner.status().state !== 'live'; ) await new Promise((resolve) => setTimeout(resolve, 100))
    const estimated = await estimateWeights(core)
    await reviseWeights(core, estimated)
    say(`weights estimated from ${estimated.records.toLocaleString('en')} records`)
    const weights = core.runtime.organisation.current().policies.matching.value
    const accepted: [number, number][] = []
    for await (const { pairs } of scanPairs(core.db, schemaOf(duplicates), { weights, threshold: weights.thresholds.accept })) {
      for (const { customerIds: [one, other] } of pairs) accepted.push([rowOf(one), rowOf(other)])
    }
    stop.abort()
    await runner.done
    return figuresOf(records.map(({ entity }) => entity), accepted)
  } finally {
    stop.abort()
    await core.close()
    await world.close()
  }
}

/** Enters the records by commands, the look for near matches off: ID numbers and phones as fields, so that none is refused. */
const enter = async (core: Core, records: readonly EvaluationRecord[]): Promise<void> => {
  const labels = { en: 'Evaluation', zh: '评测' }
  for (const kind of ['individual', 'organisation'] as const) {
    const meant = new Map(records.filter((record) => record.kind === kind).flatMap(({ fields }) => fields.map(({ column, matchAs }) => [keyOf(column), matchAs] as const)))
    const fields = [...meant].map(([key, matchAs]) => ({ key, labels, type: 'text', requiredFrom: null, listed: false, personal: true, matchAs }))
    await send(core, admin, 'define-category', kind, { categoryId: `evaluated-${kind}`, parentId: null, labels, criterion: labels, kind, template: { fields, contactFields: [] } })
  }
  const rows = records.entries()
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    for (const [row, { kind, name, fields }] of rows) {
      await send(core, system, 'create-customer', idOf(row), {
        customerId: idOf(row), category: `evaluated-${kind}`, name: name === '' ? '(no name)' : name, claim: false, nearMatchCheck: false,
        fields: Object.fromEntries(fields.map(({ column, value }) => [keyOf(column), value])),
      })
    }
  }))
}
