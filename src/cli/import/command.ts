import type { Command } from '../../commands/register.ts'
import { Identifier, normaliseIdentifier } from '../../domain/customer/identifier.ts'
import { Id } from '../../domain/values.ts'
import { toDate, toInstant, toMoney, toNumber, type Converted } from './convert.ts'
import type { CommandInMap } from './map.ts'
import type { Row } from './rows.ts'
import { ROW, type Node, type TemplatePart, type Value } from './value.ts'

type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** A field of a row that cannot be taken, in words without its value. */
export type RowFault = { field: string; reason: string }

/** A command a row makes. `keys` names what it changes: commands that share one go in the order of the file. */
export type Prepared = { command: Command; body: { [key: string]: Json }; onBehalfOf: string | null; keys: readonly string[] }

/** What values depend on besides the row. */
export type Surroundings = {
  /** The time zone of what states none. */
  zone: string
  /** A keyed hash as an id: the same values make the same one, and nobody without the key can tell whose it is. */
  hashId: (values: readonly string[]) => string
}

/** The body and caller a row gives a command of the map, or every field that is at fault. */
export const prepare = ({ command, onBehalfOf, body }: CommandInMap, row: Row, surroundings: Surroundings): { ok: true; prepared: Prepared } | { ok: false; faults: RowFault[] } => {
  const faults: RowFault[] = []
  const take = taker(row, surroundings, faults)
  const made: { [key: string]: Json } = {}
  for (const [key, node] of body) {
    const value = take(node, key)
    if (value !== undefined) made[key] = value
    // Without the id that was meant, the command would be about something new.
    else if (key === command.idName && faults.length === 0) faults.push({ field: key, reason: `is empty in this row${columnOf(node)}` })
  }
  const employee = onBehalfOf === undefined ? undefined : take(onBehalfOf, 'onBehalfOf')
  if (employee !== undefined && !Id.safeParse(employee).success) faults.push({ field: 'onBehalfOf', reason: 'is not the id of an employee' })
  if (faults.length > 0) return { ok: false, faults }
  return { ok: true, prepared: { command, body: made, onBehalfOf: typeof employee === 'string' ? employee : null, keys: [...idsIn(made), ...identifiersIn(made)] } }
}

/** One value of a row as text; undefined when it is empty. Values it cannot take are faults. */
export const single = (value: CommandInMap['once'], row: Row, surroundings: Surroundings): string | undefined => {
  const taken = value && taker(row, surroundings, [])(value, '')
  return taken === undefined ? undefined : JSON.stringify(taken)
}

/** Takes values, objects and lists from a row. What is empty is left out, and what has nothing left in it. */
const taker = (row: Row, surroundings: Surroundings, faults: RowFault[]) => {
  let filled = 0
  const take = (node: Node, path: string): Json | undefined => {
    switch (node.kind) {
      case 'constant':
        return node.value
      case 'value': {
        const text = textOf(node, row)
        if (text === undefined) return node.expression.otherwise
        filled += 1
        const converted = convert(text, node, row, surroundings)
        if ('value' in converted) return converted.value
        faults.push({ field: path, reason: `${converted.fault}${columnOf(node)}` })
        return undefined
      }
      case 'list': {
        const items = node.items.flatMap((item, index) => {
          const before = filled
          const value = take(item, `${path}/${index}`)
          // Constants alone say nothing about this row: the kind of an identifier it does not have.
          return value === undefined || (takesFromRow(item) && filled === before) ? [] : [value]
        })
        return items.length === 0 && node.items.length > 0 ? undefined : items
      }
      case 'object': {
        const entries = node.entries.flatMap(([key, item]) => {
          const value = take(item, `${path}/${key}`)
          return value === undefined ? [] : [[key, value] as const]
        })
        return entries.length === 0 && node.entries.length > 0 ? undefined : Object.fromEntries(entries)
      }
    }
  }
  return take
}

const takesFromRow = (node: Node): boolean => {
  switch (node.kind) {
    case 'constant':
      return false
    case 'value':
      return true
    case 'list':
      return node.items.some(takesFromRow)
    case 'object':
      return node.entries.some(([, item]) => takesFromRow(item))
  }
}

const convert = (text: string, { source, expression, currency }: Value, row: Row, { zone, hashId }: Surroundings): Converted<Json> => {
  const { values, type = 'text' } = expression
  if (source.from === 'hash') return { value: [source.prefix, hashId(source.columns.map((column) => cell(row, column, true)))].filter((part) => part !== '').join('-') }
  if (values !== undefined) {
    const translated = Object.hasOwn(values, text) ? values[text] : undefined
    return translated === undefined ? { fault: `is not one of the values the map translates: ${Object.keys(values).join(', ')}` } : { value: translated }
  }
  switch (type) {
    case 'text':
      return { value: text }
    case 'integer':
    case 'decimal':
      return toNumber(text, expression, type === 'integer')
    case 'money':
      return toMoney(text, fill(currency, row) ?? '', expression)
    case 'date':
      return toDate(text, expression.format)
    case 'instant':
      return toInstant(text, expression.format, expression.zone ?? zone)
  }
}

const cell = (row: Row, column: string, trim: boolean): string => {
  const text = (column === ROW ? String(row.number) : (row.cells.get(column) ?? '')).normalize('NFC')
  return trim ? text.trim() : text
}

/** A template with its columns; undefined when one of them is empty: half an id is another id. */
const fill = (parts: readonly TemplatePart[], row: Row): string | undefined => {
  const filled = parts.map((part) => ('text' in part ? part.text : cell(row, part.column, true)))
  return parts.some((part, index) => 'column' in part && filled[index] === '') ? undefined : filled.join('')
}

const textOf = ({ source, expression: { trim = true } }: Value, row: Row): string | undefined => {
  if (source.from === 'template') return fill(source.parts, row)
  const cells = source.columns.map((column) => cell(row, column, trim))
  // Half of what is hashed is somebody else's hash; what is joined may lack a part.
  if (source.from === 'hash') return cells.includes('') ? undefined : cells.join(' ')
  const text = cells.filter((one) => one !== '').join(source.separator)
  return text.trim() === '' ? undefined : text
}

const columnOf = (node: Node): string => {
  if (node.kind !== 'value') return ''
  const { source } = node
  const columns = source.from === 'template' ? source.parts.flatMap((part) => ('column' in part ? [part.column] : [])) : source.columns
  return columns.length === 0 ? '' : ` (column ${columns.join(', ')})`
}

const idsIn = (body: { [key: string]: Json }): string[] =>
  Object.entries(body).flatMap(([key, value]) => ((key === 'customerId' || key === 'complaintId') && typeof value === 'string' ? [`${key} ${value}`] : []))

/** Every identifier in a body, in its normal form, wherever it stands. */
const identifiersIn = (value: Json): string[] => {
  if (typeof value !== 'object' || value === null) return []
  const identifier = Array.isArray(value) ? undefined : Identifier.safeParse(value).data
  const normal = identifier && normaliseIdentifier(identifier)
  if (normal) return normal.ok ? [`identifier ${normal.kind} ${normal.value}`] : []
  return (Array.isArray(value) ? value : Object.values(value)).flatMap(identifiersIn)
}
