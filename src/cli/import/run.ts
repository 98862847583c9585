import { v5 as uuidv5 } from 'uuid'
import { NAMESPACE } from '../../commands/keyed-hash.ts'
import type { Runtime } from '../../commands/runtime.ts'
import { canonical } from '../../event-store/canonical.ts'
import { prepare, single, type Prepared, type Surroundings } from './command.ts'
import type { CommandInMap, ImportMap } from './map.ts'
import { makeOrder, makeSlots } from './order.ts'
import type { Outcome, OutcomeName, Reason } from './outcome.ts'
import type { Row } from './rows.ts'
import { ImportStopped, makeSend } from './send.ts'

/** Commands under way at once: enough that commits are shared by many. */
const CONCURRENCY = 64

/** A command of a row that was refused. */
export type Refusal = { row: number; line: number; command: string; outcome: OutcomeName; reasons: readonly Reason[] }

export type Counts = Record<OutcomeName, number>
/** `rows`: those gone through; `finished`: all of the file were. Counts by command, in the order of the map. */
export type Summary = { rows: number; finished: boolean; commands: ReadonlyMap<string, Counts> }

export type ImportOptions = {
  runtime: Runtime
  map: ImportMap
  rows: AsyncIterable<Row>
  importId: string
  /** The system in whose name the rows are entered. */
  actor: string
  retryRefused?: boolean
  concurrency?: number
  signal?: AbortSignal
  /** Told of every row, in the order of the file. */
  onRow?: (rows: number) => void
  /** Told of every refusal, in the order of the file. */
  onRefusal?: (refusal: Refusal) => void | Promise<void>
}

/** What one row came to: undefined for a command that was not reached. */
type Done = { row: Row; results: { name: string; result: Outcome | undefined }[] }

/**
 * Takes the rows of a file through the command path: at once, but in the order of the file where they concern one
 * customer or share an identifier. Holds a window of rows, whatever the length of the file. When `signal` aborts, what
 * is under way is finished, and no more is begun.
 * @throws ImportStopped when the log stays out of reach
 */
export const runImport = async (options: ImportOptions): Promise<Summary> => {
  const { runtime, map, importId, actor, retryRefused = false, concurrency = CONCURRENCY, onRow, onRefusal } = options
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])])
  const send = makeSend({ runtime, actor, retryRefused, signal })
  const inOrder = makeOrder()
  const inSlot = makeSlots(concurrency)
  const surroundings: Surroundings = {
    zone: runtime.organisation.current().log?.timeZone ?? 'UTC',
    hashId: (values) => uuidv5(runtime.keyedHash.identity('import-id', canonical(values)), NAMESPACE),
  }
  const choose = chooser(map, surroundings)
  let stopped: unknown

  const runRow = async (row: Row): Promise<Done> => {
    const chosen = choose(row)
    const results = await inOrder([...new Set(chosen.flatMap(({ prepared }) => prepared?.keys ?? []))], () => inSlot(async () => {
      const come: Done['results'] = []
      for (const { name, place, prepared, reasons } of chosen) {
        const result = prepared ? await (signal.aborted ? undefined : send(prepared, `import/${importId}/${row.number}${place}`).catch(stopAt(row))) : { outcome: 'invalid' as const, reasons }
        come.push({ name, result })
      }
      return come
    }))
    return { row, results }
  }
  const stopAt = (row: Row) => (error: unknown): undefined => {
    stopped ??= new ImportStopped(`Stopped at row ${row.number}: ${error instanceof Error ? error.message : 'unknown'}. What was imported stands; run the same again to go on.`, { cause: error })
    stop.abort()
  }

  const counts = new Map<string, Counts>(map.commands.map(({ command }) => [command.name, { created: 0, already: 0, duplicate: 0, invalid: 0 }]))
  let rows = 0
  let finished = true
  const settle = async ({ row, results }: Done): Promise<void> => {
    for (const { name, result } of results) {
      if (!result) {
        finished = false
        continue
      }
      const { outcome, reasons } = result
      const count = counts.get(name)
      if (count) count[outcome] += 1
      if (reasons.length > 0) await onRefusal?.({ row: row.number, line: row.line, command: name, outcome, reasons })
    }
    if (results.every(({ result }) => result !== undefined)) rows += 1
    onRow?.(rows)
  }

  const window: Promise<Done>[] = []
  try {
    for await (const row of options.rows) {
      if (signal.aborted) {
        finished = false
        break
      }
      window.push(runRow(row))
      // Wider than what runs at once: rows that wait for one of their own customer keep nobody else from going.
      if (window.length >= concurrency * 4) {
        const next = window.shift()
        if (next) await settle(await next)
      }
    }
    for (let next = window.shift(); next; next = window.shift()) await settle(await next)
  } finally {
    // A report that cannot be written, a file that is gone: what is under way still ends before anything is closed.
    stop.abort()
    await Promise.allSettled(window)
  }
  if (stopped !== undefined) throw stopped
  return { rows, finished, commands: counts }
}

/** How many commands were refused. */
export const refusedIn = ({ commands }: Summary): number => [...commands.values()].reduce((sum, counts) => sum + counts.duplicate + counts.invalid, 0)
/** Whether every row is in: nothing was refused, and nothing left out. */
export const allIn = (summary: Summary): boolean => summary.finished && refusedIn(summary) === 0

type Chosen = { name: string; place: string; prepared: Prepared | undefined; reasons: Reason[] }

/**
 * The commands a row makes, those at fault without a body. `once` is kept for every value of the file: the one thing
 * that grows with it. The place of a command tells it from another of the same name in the row, whose keys would else be one.
 */
const chooser = ({ commands }: ImportMap, surroundings: Surroundings) => {
  const met = commands.map(() => new Set<string>())
  const places = commands.map(({ command }, index) => {
    const before = commands.slice(0, index).filter((one) => one.command.name === command.name).length
    return before === 0 ? '' : `/${before + 1}`
  })
  const reasonsOf = (faults: readonly { field: string; reason: string }[]) => faults.map((fault) => ({ ...fault, problem: 'invalid-row' }))

  const chooseOne = (one: CommandInMap, index: number, row: Row): Chosen | undefined => {
    const name = one.command.name
    const place = places[index] ?? ''
    if (row.fault !== undefined) return { name, place, prepared: undefined, reasons: reasonsOf([{ field: '', reason: row.fault }]) }
    if (one.when && single(one.when, row, surroundings) === undefined) return undefined
    if (one.once) {
      const value = single(one.once, row, surroundings)
      if (value === undefined) return { name, place, prepared: undefined, reasons: reasonsOf([{ field: 'once', reason: 'is empty in this row' }]) }
      const seen = met[index]
      if (seen?.has(value)) return undefined
      seen?.add(value)
    }
    const made = prepare(one, row, surroundings)
    return made.ok ? { name, place, prepared: made.prepared, reasons: [] } : { name, place, prepared: undefined, reasons: reasonsOf(made.faults) }
  }
  return (row: Row): Chosen[] => commands.flatMap((one, index) => chooseOne(one, index, row) ?? [])
}
