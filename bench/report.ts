/** One figure: its value, and its ratio to what was measured beside it in the same run. */
export type Figure = { name: string; value: number; unit: string; ratios: Record<string, number> }

/** What a matcher's answer is worth: the value is F1. */
export type MatchingFigure = Figure & { precision: number; recall: number; f1: number }

/** What a benchmark is handed. `say` tells people what is going on; figures go to standard output. */
export type BenchmarkOptions = { say: (message: string) => void; url?: string; events?: number; size?: number; kills?: number; data?: string; map?: string; truth?: string }

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

const rounded = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3))

/** A table for people; with `json` one object a line, for programs. */
export const print = (figures: readonly Figure[], json: boolean): void => {
  if (json) {
    for (const figure of figures) process.stdout.write(`${JSON.stringify(figure)}\n`)
    return
  }
  const rows = [['', 'measured', '', 'ratio to'], ...figures.map(({ name, value, unit, ratios }) => [name, rounded(value), unit, Object.entries(ratios).map(([reference, ratio]) => `${reference} ${ratio.toFixed(2)}`).join(', ')])]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  for (const row of rows) process.stdout.write(`${row.map((cell, column) => (column === 1 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('  ').trimEnd()}\n`)
}
