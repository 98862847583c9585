import { readFile } from 'node:fs/promises'
import { parse as parseCsv } from 'csv-parse/sync'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { MatchAs } from '../../src/domain/matching/match-as.ts'

/** What the columns of a file mean to the matcher, and how its truth column is read. */
const EvaluationMap = z.strictObject({
  kind: z.enum(['individual', 'organisation']),
  /** The columns a name is put together from. */
  name: z.array(z.string()).min(1),
  columns: z.record(z.string(), MatchAs),
  /** A regular expression with one group: what it takes of the truth column tells the customer. */
  truth: z.strictObject({ pattern: z.string() }).optional(),
})
export type EvaluationMap = z.infer<typeof EvaluationMap>

/** A record as it is entered, and beside it, where the matcher cannot see it, whose it is. */
export type EvaluationRecord = { kind: EvaluationMap['kind']; name: string; fields: { column: string; matchAs: MatchAs; value: string }[]; entity: string }

export const readMap = async (file: URL | string): Promise<EvaluationMap> => EvaluationMap.parse(parseYaml(await readFile(file, 'utf8')))

const Rows = z.array(z.record(z.string(), z.string()))

/** The records of a CSV file. */
export const readRecords = async (file: URL | string, map: EvaluationMap, truthColumn: string): Promise<EvaluationRecord[]> => {
  const rows = Rows.parse(parseCsv(await readFile(file), { bom: true, columns: true, trim: true, skip_empty_lines: true }))
  return toRecords(rows, map, truthColumn)
}

export const toRecords = (rows: readonly Record<string, string>[], map: EvaluationMap, truthColumn: string): EvaluationRecord[] => {
  const pattern = map.truth && new RegExp(map.truth.pattern, 'u')
  return rows.map((row, index) => {
    const truth = row[truthColumn]
    if (truth === undefined) throw new Error(`there is no column ${truthColumn}`)
    for (const column of [...map.name, ...Object.keys(map.columns)]) if (row[column] === undefined) throw new Error(`there is no column ${column}`)
    const entity = pattern ? pattern.exec(truth)?.[1] : truth
    if (entity === undefined) throw new Error(`the truth of row ${index + 1} does not fit the pattern`)
    const fields = Object.entries(map.columns).map(([column, matchAs]) => ({ column, matchAs, value: row[column] ?? '' })).filter(({ value }) => value !== '')
    return { kind: map.kind, name: map.name.map((column) => row[column]).filter((part) => part !== '').join(' '), fields, entity }
  })
}
