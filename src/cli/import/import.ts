import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Config } from '../../config.ts'
import { Id } from '../../domain/values.ts'
import type { Core } from '../../main.ts'
import { withCore } from '../core.ts'
import { progressBar } from '../progress.ts'
import { ImportFault } from './fault.ts'
import { checkColumns, readMap, type ImportMap } from './map.ts'
import { rehearse } from './rehearsal.ts'
import { openReport, summaryLines } from './report.ts'
import { openSource, type Source } from './rows.ts'
import { allIn, refusedIn, runImport, type Refusal, type Summary } from './run.ts'

export type ImportCommand = { map: string; dryRun?: boolean; id?: string; report?: string; retryRefused?: boolean; as: string }

/** Without an id of its own, an import is the content of its file and the name of its map: the same again is the same import. */
export const importIdOf = ({ sha256 }: Pick<Source, 'sha256'>, { name }: Pick<ImportMap, 'name'>): string => createHash('sha256').update(`${name}\n${sha256}`).digest('hex').slice(0, 32)

const SHOWN = 10

/** Reads map and file, and checks them against each other. Nothing is written before both hold together. */
export const readImport = async (file: string, options: Pick<ImportCommand, 'map' | 'id' | 'report' | 'as'>): Promise<{ map: ImportMap; source: Source; importId: string }> => {
  for (const [name, value] of [['--id', options.id], ['--as', options.as]] as const) {
    if (value !== undefined && !Id.safeParse(value).success) throw new ImportFault(`${name} must be 1 to 64 letters, digits, dots, hyphens or underscores`)
  }
  if (options.report !== undefined && [file, options.map].some((one) => resolve(one) === resolve(options.report ?? ''))) throw new ImportFault('--report must be a file of its own')
  const text = await readFile(options.map, 'utf8').catch(() => {
    throw new ImportFault(`The map ${options.map} cannot be read: is there such a file?`)
  })
  const map = readMap(text, options.map)
  const source = await openSource(file, map.file)
  checkColumns(map, source.columns)
  return { map, source, importId: options.id ?? importIdOf(source, map) }
}

/** `kehu import`. Exit code 0 when all rows are in, 1 when some were refused, 130 when it was interrupted. */
export const importFile = async (config: Config, file: string, options: ImportCommand): Promise<void> => {
  const { map, source, importId } = await readImport(file, options)
  console.log(`${file}: ${source.rows.toLocaleString('en')} row(s), ${source.encoding}${source.detected ? ' (detected)' : ''}; import ${importId}`)
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort()
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const report = options.report === undefined ? undefined : await openReport(options.report)
  try {
    const shown: Refusal[] = []
    const summary = await withCore(config, (core) => run(core, { ...options, map, source, importId, signal: interrupted.signal }, async (refusal) => {
      if (shown.length < SHOWN) shown.push(refusal)
      await report?.add(refusal)
    }))
    tell(summary, options, shown)
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
    await report?.close()
  }
}

type Run = Omit<ImportCommand, 'map'> & { map: ImportMap; source: Source; importId: string; signal: AbortSignal }

const run = async (core: Core, { map, source, importId, as, dryRun = false, retryRefused = false, signal }: Run, onRefusal: (refusal: Refusal) => Promise<void>): Promise<Summary> => {
  const { runtime } = core
  // Keys are derived from the name: an employee's would be mixed up with the import's.
  if (runtime.organisation.current().employees.has(as)) throw new ImportFault(`--as ${as} is the id of an employee: name a system`)
  const bar = progressBar(dryRun ? 'dry run' : 'import', 'rows')
  return runImport({
    runtime: dryRun ? rehearse(runtime) : runtime, map, rows: source.read(), importId, actor: as, retryRefused, signal, onRefusal,
    onRow: (rows) => bar.update(BigInt(rows), BigInt(source.rows)),
  }).finally(bar.stop)
}

const tell = (summary: Summary, { dryRun, report, retryRefused }: ImportCommand, shown: readonly Refusal[]): void => {
  const refused = refusedIn(summary)
  for (const { row, command, reasons } of shown) for (const { field, reason } of reasons) console.error(`row ${row}, ${command}${field === '' ? '' : `, ${field}`}: ${reason}`)
  if (refused > shown.length) console.error(`… and ${refused - shown.length} more${report === undefined ? ': --report <errors.csv> lists them all' : ''}`)
  for (const line of summaryLines(summary)) console.log(line)
  if (dryRun) console.log('A dry run: nothing was written.')
  if (!summary.finished) console.log('Interrupted: what was imported stands. Run the same again to go on.')
  else if (refused > 0) console.log(`${refused} refused${report === undefined ? '' : `, listed in ${report}`}. ${retryRefused ? '' : 'After correcting what stood in the way run the same again; with --retry-refused for those refused as duplicates.'}`.trim())
  if (!allIn(summary)) process.exitCode = summary.finished ? 1 : 130
}
