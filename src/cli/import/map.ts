import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { toFieldProblems, type Command } from '../../commands/register.ts'
import { commandNamed, registry } from '../../commands/registry.ts'
import { rolesWith } from '../../commands/rights.ts'
import { ImportFault } from './fault.ts'
import { columnsNamed, compile, type Node, type Value } from './value.ts'

/** What a map may send: everything a system may, except what only time and facts do by themselves. */
const importable = registry.filter((command) => rolesWith[command.right].includes('system') && command.right !== 'keep-time')

const isEncoding = (label: string): boolean => {
  try {
    return new TextDecoder(label).encoding !== ''
  } catch {
    return false
  }
}

const FileSettings = z
  .strictObject({
    format: z.enum(['csv', 'whitespace'], 'must be csv, or whitespace for columns with blanks between them').default('csv'),
    encoding: z.string().refine(isEncoding, 'is not an encoding known here: utf-8, gb18030, big5, windows-1252, utf-16le …').optional(),
    delimiter: z.string().min(1).max(4).default(','),
    quote: z.string().length(1).nullable().default('"'),
    header: z.boolean().default(true),
    columns: z.array(z.string().min(1)).min(1).refine((names) => new Set(names).size === names.length, 'must have different names').optional(),
    empty: z.array(z.string()).default([]),
  })
  .superRefine((file, context) => {
    const fault = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (file.header && file.columns) fault('columns', 'belong to a file without a header: say header: false')
    if (!file.header && !file.columns) fault('columns', 'are required for a file without a header: name them in order')
  })
export type FileSettings = z.infer<typeof FileSettings>

/** A value of the row that is no object and no list. */
const Single = z.unknown().transform((given, context): Value | { kind: 'constant'; value: string | number | boolean | null } => {
  const node = compile(given, [], (path, message) => context.addIssue({ code: 'custom', path: [...path], message }))
  if (node.kind === 'value' || node.kind === 'constant') return node
  context.addIssue({ code: 'custom', message: 'must be one value: a text, or a mapping with column, columns, template, hash or constant' })
  return z.NEVER
})

const Body = z.record(z.string(), z.unknown(), { error: 'must be a mapping: the fields of the command' }).transform((given, context) =>
  Object.entries(given).map(([key, item]) => [key, compile(item, [key], (path, message) => context.addIssue({ code: 'custom', path: [...path], message }))] as const))

const CommandInMap = z
  .strictObject({
    command: z.string().transform((name, context): Command => {
      const command = commandNamed(name)
      if (command && importable.includes(command)) return command
      context.addIssue({ code: 'custom', message: `${command ? 'cannot be imported' : 'is not a command'}; there are ${importable.map((one) => one.name).join(', ')}` })
      return z.NEVER
    }),
    once: Single.optional(),
    when: Single.optional(),
    onBehalfOf: Single.optional(),
    body: Body,
  })
  .superRefine(({ command, onBehalfOf, body }, context) => {
    const fault = (path: string, message: string) => context.addIssue({ code: 'custom', path: ['body', path], message })
    const stated = new Set(body.map(([key]) => key))
    const fields = fieldsOf(command)
    if (fields) {
      for (const key of stated) if (!fields.has(key)) fault(key, `is not a field of ${command.name}; it has ${[...fields.keys()].join(', ')}`)
      for (const [key, required] of fields) if (required && !stated.has(key)) fault(key, `is required by ${command.name}`)
    }
    if (command.name === 'create-customer' && onBehalfOf === undefined && !stated.has('claim')) {
      fault('claim', 'is required without onBehalfOf: who enters a customer owns it. Say claim: false to leave it in the pool 公海, or name the employee in onBehalfOf')
    }
  })
export type CommandInMap = z.infer<typeof CommandInMap>

const ImportMap = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, dots, hyphens or underscores'),
  file: FileSettings.prefault({}),
  commands: z.array(CommandInMap).min(1, 'must hold a command').max(20),
})
export type ImportMap = z.infer<typeof ImportMap>

/** The fields of a command's body, and whether it needs them; undefined where its schema does not tell. */
const fieldsOf = ({ schema }: Command): Map<string, boolean> | undefined =>
  schema instanceof z.ZodObject ? new Map(Object.entries(schema.shape).map(([key, field]) => [key, !z.safeParse(field, undefined).success])) : undefined

/**
 * The map in a YAML text, whole or not at all.
 * @throws ImportFault that names every fault with its place
 */
export const readMap = (text: string, file: string): ImportMap => {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const wrong = document.errors[0]
  if (wrong) throw new ImportFault(`${file} is not YAML, line ${lines.linePos(wrong.pos[0]).line}: ${wrong.message}`)
  const parsed = ImportMap.safeParse(contentOf(document, file))
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.flatMap(toFieldProblems)
  throw new ImportFault([`The map ${file} has ${problems.length} fault(s):`, ...problems.map(({ path, message }) => `  ${path || 'it'} ${message}`)].join('\n'))
}

const contentOf = (document: ReturnType<typeof parseDocument>, file: string): unknown => {
  try {
    return document.toJS()
  } catch (error) {
    // An alias without an anchor, or one that unfolds without end.
    throw new ImportFault(`${file} is not YAML that can be read: ${error instanceof Error ? error.message : 'its aliases do not hold together'}`)
  }
}

/** @throws ImportFault where the map names a column the file does not have */
export const checkColumns = (map: ImportMap, columns: readonly string[]): void => {
  const named = map.commands.flatMap(({ once, when, onBehalfOf, body }, index) => [
    ...[once, when, onBehalfOf].flatMap((one, at) => (one ? columnsNamed(one, ['commands', index, ['once', 'when', 'onBehalfOf'][at] ?? '']) : [])),
    ...body.flatMap(([key, node]: readonly [string, Node]) => columnsNamed(node, ['commands', index, 'body', key])),
  ])
  const unknown = named.filter(({ column }) => !columns.includes(column))
  if (unknown.length === 0) return
  // Then the first line is no header, and holds what is not for a terminal.
  if (named.every(({ column }) => !columns.includes(column))) throw new ImportFault('The first line of the file names none of the columns of the map: does the file have a header, and is the delimiter right?')
  throw new ImportFault([
    `The map names ${unknown.length} column(s) the file does not have:`,
    ...unknown.map(({ path, column }) => `  ${path.join('/')} names ${column}`),
    `The file has ${columns.join(', ')}.`,
  ].join('\n'))
}
