import { IANAZone } from 'luxon'
import { z } from 'zod'
import { readsItself } from './convert.ts'

/** What can stand for a value as it is. */
const Scalar = z.union([z.string(), z.number(), z.boolean(), z.null()], { error: 'must be a text, a number, true, false or null' })
export type Scalar = z.infer<typeof Scalar>
const Column = z.string().min(1, 'must name a column')
const Columns = z.array(Column).min(1, 'must name a column')

const sources = ['column', 'columns', 'template', 'hash', 'constant'] as const
export const types = ['text', 'integer', 'decimal', 'money', 'date', 'instant'] as const

/** How the map writes a value taken from a row. */
const Expression = z
  .strictObject({
    column: Column.optional(),
    columns: Columns.optional(),
    separator: z.string().optional(),
    template: z.string().min(1).optional(),
    hash: z.union([Column.transform((one) => [one]), Columns], { error: 'must name a column, or a list of columns' }).optional(),
    prefix: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,25}$/, 'must be 1 to 26 letters, digits, dots, hyphens or underscores').optional(),
    constant: Scalar.optional(),
    type: z.enum(types, `must be one of ${types.join(', ')}`).optional(),
    format: z.string().min(1).refine(readsItself, 'is not a form of date that can be read back: write yyyy-MM-dd, dd/MM/yyyy HH:mm, yyyy年M月d日 …').optional(),
    zone: z.string().refine((zone) => IANAZone.isValidZone(zone), 'must be a time zone such as Asia/Shanghai').optional(),
    currency: z.string().regex(/^[A-Z]{3}$|\$\{/, 'must be a currency of three capitals, such as CNY, or a template such as ${currency}').optional(),
    minorUnits: z.int().min(0).max(6).optional(),
    decimalMark: z.enum(['.', ',']).optional(),
    groupMark: z.string().length(1, 'must be one sign').optional(),
    values: z.record(z.string(), Scalar).optional(),
    otherwise: Scalar.optional(),
    trim: z.boolean().optional(),
  })
  .superRefine((one, context) => {
    const fault = (path: keyof typeof one, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const given = sources.filter((source) => one[source] !== undefined)
    if (given.length > 1) fault(given[1] ?? 'column', `cannot stand beside ${given[0] ?? ''}: a value comes from one place`)
    const only = (keys: readonly (keyof typeof one)[], fits: boolean, what: string) => {
      for (const key of keys) if (one[key] !== undefined && !fits) fault(key, `belongs to ${what}`)
    }
    only(['separator'], one.columns !== undefined, 'columns')
    only(['prefix'], one.hash !== undefined, 'hash')
    only(['format', 'zone'], one.type === 'date' || one.type === 'instant', 'the types date and instant')
    only(['currency', 'minorUnits'], one.type === 'money', 'the type money')
    only(['decimalMark', 'groupMark'], one.type === 'integer' || one.type === 'decimal' || one.type === 'money', 'the types integer, decimal and money')
    only(['type', 'values', 'trim', 'otherwise'], one.constant === undefined, 'a value that comes from the row')
    only(['type', 'values', 'otherwise'], one.hash === undefined, 'a value that is not hashed')
    if (one.values !== undefined && one.type !== undefined) fault('values', 'stand for themselves: leave out the type')
    if (one.type === 'money' && one.currency === undefined) fault('currency', 'is required for the type money')
    if (one.decimalMark !== undefined && one.groupMark === one.decimalMark) fault('groupMark', 'must differ from decimalMark')
  })
type Expression = z.infer<typeof Expression>

/** A template in its parts: texts as they stand, and the columns between them. */
export type TemplatePart = { text: string } | { column: string }

/** A value of a command's body as the map states it, ready to be taken from rows. */
export type Value = { kind: 'value'; source: Source; expression: Expression; currency: TemplatePart[] }
export type Source =
  | { from: 'columns'; columns: readonly string[]; separator: string }
  | { from: 'template'; parts: TemplatePart[] }
  | { from: 'hash'; columns: readonly string[]; prefix: string }
export type Node = { kind: 'constant'; value: Scalar } | Value | { kind: 'object'; entries: readonly (readonly [string, Node])[] } | { kind: 'list'; items: readonly Node[] }

/** Stands for the number of the row in a template. */
export const ROW = '#row'

type Fault = (path: readonly (string | number)[], message: string) => void

/** The parts of a text with `${column}` in it. */
export const templateParts = (text: string): TemplatePart[] =>
  text.split(/(\$\{[^}]*\})/).filter((part) => part !== '').map((part) => (part.startsWith('${') && part.endsWith('}') ? { column: part.slice(2, -1).trim() } : { text: part }))

const partsOf = (text: string, path: readonly (string | number)[], fault: Fault): TemplatePart[] => {
  const parts = templateParts(text)
  if (parts.some((part) => ('text' in part ? part.text.includes('${') : part.column === ''))) fault(path, 'has a ${ that names no column')
  return parts
}

/** A mapping is a value of the row when one of its keys says where from; any other is an object of the body. */
const isExpression = (given: object): boolean =>
  sources.some((source) => Object.entries(given).some(([key, value]) => key === source && (typeof value !== 'object' || value === null || Array.isArray(value))))

/** Reads what stands in the map for a value, an object or a list of the body. Faults are told with their place. */
export const compile = (given: unknown, path: readonly (string | number)[], fault: Fault): Node => {
  if (typeof given === 'string' && given.includes('${')) return compile({ template: given }, path, fault)
  if (Array.isArray(given)) return { kind: 'list', items: given.map((item, index) => compile(item, [...path, index], fault)) }
  if (typeof given !== 'object' || given === null) {
    const scalar = Scalar.safeParse(given)
    if (!scalar.success) fault(path, 'must be a text, a number, true, false, null, a list or a mapping')
    return { kind: 'constant', value: scalar.data ?? null }
  }
  if (!isExpression(given)) return { kind: 'object', entries: Object.entries(given).map(([key, item]) => [key, compile(item, [...path, key], fault)] as const) }
  const parsed = Expression.safeParse(given)
  if (parsed.success) return compileExpression(parsed.data, path, fault)
  for (const issue of parsed.error.issues) {
    const at = [...path, ...issue.path.map(String)]
    if (issue.code === 'unrecognized_keys') for (const key of issue.keys) fault([...at, key], 'is not known here')
    else fault(at, issue.message)
  }
  return { kind: 'constant', value: null }
}

const compileExpression = (expression: Expression, path: readonly (string | number)[], fault: Fault): Node => {
  const { column, columns, separator = ' ', template, hash, prefix = '', constant } = expression
  if (constant !== undefined) return { kind: 'constant', value: constant }
  const source: Source = hash !== undefined ? { from: 'hash', columns: hash, prefix }
    : template !== undefined ? { from: 'template', parts: partsOf(template, [...path, 'template'], fault) }
      : { from: 'columns', columns: columns ?? (column === undefined ? [] : [column]), separator }
  return { kind: 'value', source, expression, currency: partsOf(expression.currency ?? '', [...path, 'currency'], fault) }
}

/** Every column a part of the map names, with its place. */
export const columnsNamed = (node: Node, path: readonly (string | number)[]): { path: readonly (string | number)[]; column: string }[] => {
  switch (node.kind) {
    case 'constant':
      return []
    case 'object':
      return node.entries.flatMap(([key, one]) => columnsNamed(one, [...path, key]))
    case 'list':
      return node.items.flatMap((one, index) => columnsNamed(one, [...path, index]))
    case 'value': {
      const { source, currency } = node
      const inParts = (parts: readonly TemplatePart[]) => parts.flatMap((part) => ('column' in part && part.column !== ROW ? [part.column] : []))
      return [...(source.from === 'template' ? inParts(source.parts) : source.columns), ...inParts(currency)].map((column) => ({ path, column }))
    }
  }
}
