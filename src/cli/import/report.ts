import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { stringify } from 'csv-stringify/sync'
import { ImportFault } from './fault.ts'
import { outcomes, type OutcomeName } from './outcome.ts'
import type { Refusal, Summary } from './run.ts'

const columns = ['row', 'line', 'command', 'field', 'problem', 'reason'] as const

/** The error report: a line of CSV for each thing wrong, as it comes. Formulas are escaped: it is opened in a spreadsheet. */
export const openReport = async (path: string): Promise<{ add: (refusal: Refusal) => Promise<void>; close: () => Promise<void> }> => {
  const file = createWriteStream(path, { mode: 0o600 })
  await once(file, 'open').catch((error: unknown) => {
    throw new ImportFault(`The report ${path} cannot be written: ${error instanceof Error ? error.message : 'unknown'}`)
  })
  // A full disk is told where the report is written to next.
  let failed: Error | undefined
  file.on('error', (error) => {
    failed = error
  })
  const write = async (rows: readonly (readonly (string | number)[])[]) => {
    if (failed) throw failed
    if (!file.write(stringify([...rows], { escape_formulas: true }))) await once(file, 'drain')
  }
  await write([columns])
  return {
    add: ({ row, line, command, reasons }) => write(reasons.map(({ field, problem, reason }) => [row, line, command, field, problem, reason])),
    close: async () => {
      file.end()
      await once(file, 'close')
      if (failed) throw failed
    },
  }
}

const words: Record<OutcomeName, string> = { created: 'created', already: 'done already', duplicate: 'refused as duplicate', invalid: 'refused as invalid' }
const grouped = (count: number): string => count.toLocaleString('en')

/** What the import came to, a line for each command of the map. */
export const summaryLines = ({ rows, commands }: Summary): string[] => [
  `${grouped(rows)} row(s)`,
  ...[...commands].map(([name, counts]) => `  ${name}: ${outcomes.map((outcome) => `${grouped(counts[outcome])} ${words[outcome]}`).join(', ')}`),
]
