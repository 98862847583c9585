import { pipeline, Readable } from 'node:stream'
import { CsvError, parse, type Info } from 'csv-parse'
import { inspect, textOf } from './encoding.ts'
import { ImportFault } from './fault.ts'
import type { FileSettings } from './map.ts'

/** A row of the file. `number` counts rows, the first is 1; `line` is where it ends in the file. */
export type Row = { number: number; line: number; cells: ReadonlyMap<string, string>; fault?: string }

/** A file looked through from end to end, and ready to be read again row by row. */
export type Source = { path: string; sha256: string; encoding: string; detected: boolean; columns: readonly string[]; rows: number; read: () => AsyncIterable<Row> }

type Line = { line: number; cells: readonly string[] }

/** A row longer than this is a quote that was never closed. */
const LONGEST_ROW = 1024 * 1024

/**
 * Looks through a file: encoding, columns, number of rows. A fault in its form is found before anything is written.
 * @throws ImportFault
 */
export const openSource = async (path: string, settings: FileSettings): Promise<Source> => {
  const { sha256, encoding, detected } = await inspect(path, settings.encoding)
  const lines = () => (settings.format === 'whitespace' ? whitespaceLines(path, encoding) : csvLines(path, encoding, settings))
  let columns: readonly string[] | undefined = settings.columns
  let rows = 0
  for await (const { cells } of lines()) {
    if (columns) rows += 1
    else columns = headerOf(path, cells)
  }
  if (!columns) throw new ImportFault(`${path} is empty: it has no header`)
  const known = columns
  return { path, sha256, encoding, detected, columns, rows, read: () => rowsOf(lines(), known, settings) }
}

const headerOf = (path: string, cells: readonly string[]): readonly string[] => {
  const names = cells.map((cell) => cell.trim())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new ImportFault(`The header of ${path} has ${twice === '' ? 'two columns without a name' : `the column ${twice} twice`}`)
  return names
}

async function* rowsOf(lines: AsyncIterable<Line>, columns: readonly string[], { header, empty }: FileSettings): AsyncIterable<Row> {
  const isEmpty = new Set(empty)
  let number = header ? -1 : 0
  for await (const { line, cells } of lines) {
    number += 1
    if (number === 0) continue
    const named = new Map(columns.map((column, index) => [column, isEmpty.has(cells[index]?.trim() ?? '') ? '' : (cells[index] ?? '')]))
    yield cells.length === columns.length ? { number, line, cells: named } : { number, line, cells: named, fault: `the row has ${cells.length} columns, not ${columns.length}` }
  }
}

async function* csvLines(path: string, encoding: string, { delimiter, quote }: FileSettings): AsyncIterable<Line> {
  const parser = parse({ delimiter, quote, escape: quote, trim: true, relax_column_count: true, skip_empty_lines: true, info: true, max_record_size: LONGEST_ROW })
  // A fault anywhere along the way is met where the rows are taken.
  pipeline(Readable.from(textOf(path, encoding)), parser, () => undefined)
  try {
    for await (const parsed of parser) {
      const { record, info }: { record: string[]; info: Info } = parsed
      yield { line: info.lines, cells: record }
    }
  } catch (error) {
    if (error instanceof CsvError) throw new ImportFault(`${path} is not well-formed CSV, ${placeOf(error, quote)}`)
    throw error
  }
}

/** csv-parse's own messages quote the row: only the place and the kind of fault are told. */
const placeOf = (error: CsvError, quote: string | null): string => {
  const line = 'lines' in error && typeof error.lines === 'number' ? `line ${error.lines}` : 'somewhere'
  const sign = quote ?? ''
  switch (error.code) {
    case 'CSV_MAX_RECORD_SIZE':
    case 'CSV_QUOTE_NOT_CLOSED':
      return `${line}: a ${sign} opened there or before is never closed. Where ${sign} is an ordinary sign, say quote: null in the map`
    case 'INVALID_OPENING_QUOTE':
    case 'CSV_INVALID_CLOSING_QUOTE':
      return `${line}: a ${sign} stands within a value. Where ${sign} is an ordinary sign, say quote: null in the map`
    default:
      return `${line} (${error.code})`
  }
}

async function* whitespaceLines(path: string, encoding: string): AsyncIterable<Line> {
  let line = 0
  let rest = ''
  for await (const text of textOf(path, encoding)) {
    const parts = `${rest}${text}`.split('\n')
    rest = parts.pop() ?? ''
    if (rest.length > LONGEST_ROW) throw new ImportFault(`${path} has a line of more than 1 MiB after line ${line}`)
    for (const part of parts) {
      line += 1
      if (part.trim() !== '') yield { line, cells: part.trim().split(/\s+/) }
    }
  }
  if (rest.trim() !== '') yield { line: line + 1, cells: rest.trim().split(/\s+/) }
}
