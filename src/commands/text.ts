import type { FieldProblem } from '../domain/rejection.ts'

/** Bodies nest a few levels; deeper is an attack or a mistake. */
const DEEPEST = 16

const textFault = (text: string): string | undefined => (text.includes('\u0000') ? 'must not contain U+0000' : text.isWellFormed() ? undefined : 'must not contain half a surrogate pair')

/** Nothing to refuse and nothing to bring to another form: so it is with nearly all that comes, and need not be copied. */
const isFine = (value: unknown, depth: number): boolean => {
  if (typeof value === 'string') return textFault(value) === undefined && value.normalize('NFC') === value
  if (typeof value !== 'object' || value === null) return true
  if (depth >= DEEPEST) return false
  for (const [key, item] of Object.entries(value)) if (key === '__proto__' || !isFine(key, depth) || !isFine(item, depth + 1)) return false
  return true
}

/**
 * What is accepted as text: strings are brought to Unicode NFC; U+0000, which Postgres cannot store, and lone
 * surrogates, which no UTF-8 can carry, are refused where they stand. So is nesting beyond sixteen levels.
 */
export const checkText = (value: unknown): { ok: true; value: unknown } | { ok: false; problems: FieldProblem[] } => {
  if (isFine(value, 0)) return { ok: true, value }
  const problems: FieldProblem[] = []
  const fault = (path: readonly string[], message: string) => {
    problems.push({ path: path.join('/'), message })
    return null
  }
  const walk = (item: unknown, path: readonly string[]): unknown => {
    if (typeof item === 'string') {
      const wrong = textFault(item)
      return wrong === undefined ? item.normalize('NFC') : fault(path, wrong)
    }
    if (typeof item !== 'object' || item === null) return item
    if (path.length >= DEEPEST) return fault(path.slice(0, 4), `is nested more than ${DEEPEST} levels deep`)
    if (Array.isArray(item)) return item.map((one, index) => walk(one, [...path, String(index)]))
    const entries: [string, unknown][] = []
    for (const [key, one] of Object.entries(item)) {
      const wrong = key === '__proto__' ? 'is not known here' : textFault(key)
      if (wrong === undefined) entries.push([key.normalize('NFC'), walk(one, [...path, key])])
      else fault([...path, JSON.stringify(key)], wrong)
    }
    return Object.fromEntries(entries)
  }
  const checked = walk(value, [])
  return problems.length > 0 ? { ok: false, problems: problems.slice(0, 100) } : { ok: true, value: checked }
}
