import { z } from 'zod'
import { normaliseEmail, parsePhone } from '../customer/identifier.ts'
import { MatchAs } from '../matching/match-as.ts'
import type { FieldProblem } from '../rejection.ts'
import { Labels, Money } from '../values.ts'

export const FieldType = z.enum(['text', 'number', 'money', 'date', 'phone', 'email', 'url', 'one-of', 'some-of', 'yes-no'])
export type FieldType = z.infer<typeof FieldType>

export const FieldOption = z.strictObject({ value: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/), labels: Labels })
export type FieldOption = z.infer<typeof FieldOption>

/**
 * One field of a category. `pattern` is a regular expression (flag u) for the whole of a text; it must pass
 * `patternFault`, and the text may then have at most 100 characters. `requiredFrom` names a stage; null: never required.
 * `matchAs` says what the field means where two customers may be one.
 */
const FieldShape = z.strictObject({
  key: z.string().regex(/^[a-z][A-Za-z0-9]{0,63}$/),
  labels: Labels,
  type: FieldType,
  options: z.array(FieldOption).min(1).max(200).optional(),
  pattern: z.string().min(1).max(200).optional(),
  requiredFrom: z.string().min(1).max(64).nullable(),
  listed: z.boolean(),
  personal: z.boolean(),
  matchAs: MatchAs.optional(),
})
export const Field = FieldShape.superRefine((field, context) => {
  const fault = (path: 'options' | 'pattern', message: string) => context.addIssue({ code: 'custom', path: [path], message })
  const chosen = field.type === 'one-of' || field.type === 'some-of'
  if (chosen && !field.options) fault('options', `are required for a field of type ${field.type}`)
  if (!chosen && field.options) fault('options', `do not belong to a field of type ${field.type}`)
  if (field.options && duplicate(field.options.map((option) => option.value)) !== undefined) fault('options', 'must have different values')
  if (field.pattern === undefined) return
  if (field.type !== 'text') fault('pattern', `does not belong to a field of type ${field.type}`)
  const wrong = patternFault(field.pattern)
  if (wrong !== undefined) fault('pattern', wrong)
})
export type Field = z.infer<typeof Field>

const duplicate = (values: string[]) => values.find((value, index) => values.indexOf(value) !== index)

const FieldList = z.array(Field).max(200).superRefine((fields, context) => {
  const key = duplicate(fields.map((field) => field.key))
  if (key !== undefined) context.addIssue({ code: 'custom', message: `must have different keys, and has ${key} twice` })
})

export const Template = z.strictObject({ fields: FieldList, contactFields: FieldList })
export type Template = z.infer<typeof Template>

/** A template as events keep it: its shape alone, so that a rule made stricter later leaves old events readable. */
const StoredField = z.object({ ...FieldShape.shape, key: z.string(), pattern: z.string().optional() })
export const StoredTemplate = z.object({ fields: z.array(StoredField), contactFields: z.array(StoredField) })

const patternLength = 100
const patternWays = 1_000_000
const patternToken = /\\(?:[pPu]\{[^}]*\}|k<[^>]*>|.)|\[(?:\\.|[^\]\\])*\]|\((?:\?(?:[a-z-]*:|<?[=!]|<[^>]*>))?|[*+?]\??|\{\d+(?:,\d*)?\}\??|./gsu

/**
 * What is wrong with the pattern of a field, if anything. A matcher that backtracks can take for ever, so the ways
 * it may try are counted: an optional part has two, an alternation as many as its branches, an unbounded repetition
 * one for each of the 100 characters a text may have; the product may be a million, so three unbounded repetitions.
 * A repeated group may hold no choice of its own, since its ways would be a power: (a+)+, (a|b)*.
 */
export const patternFault = (pattern: string): string | undefined => {
  if (!compiles(pattern)) return 'must be a regular expression that compiles with the flag u'
  const groups = [{ ways: 1, branches: 1 }]
  let previous = { ways: 1, group: false }
  for (const [token] of pattern.matchAll(patternToken)) {
    const current = groups.at(-1)
    if (!current) break
    const repeats = repetitions(token)
    if (repeats) {
      if (repeats.most > 1 && previous.ways > 1) return 'must not repeat a group that itself repeats or chooses, as in (a+)+ or (a|b)*'
      current.ways *= previous.group ? Math.max(repeats.most, 2) : Math.min(repeats.most - repeats.least + 1, patternLength)
      previous = { ways: 1, group: false }
    } else if (token === ')') {
      groups.pop()
      previous = { ways: current.ways * current.branches, group: true }
      const outer = groups.at(-1)
      if (outer) outer.ways *= previous.ways
    } else {
      if (token.startsWith('(')) groups.push({ ways: 1, branches: 1 })
      if (token === '|') current.branches += 1
      previous = { ways: 1, group: false }
    }
  }
  return (groups[0]?.ways ?? 1) * (groups[0]?.branches ?? 1) > patternWays
    ? 'has too many parts that are optional, alternative or of any length' : undefined
}

const compiles = (pattern: string) => {
  try {
    new RegExp(pattern, 'u')
    return true
  } catch {
    return false
  }
}

const repetitions = (token: string) => {
  const [, least = '', comma, most = ''] = /^\{(\d+)(,?)(\d*)\}/.exec(token) ?? []
  const within = (count: number) => Math.min(count, patternLength)
  if (least !== '') return { least: within(Number(least)), most: within(comma ? most === '' ? patternLength : Number(most) : Number(least)) }
  if (/^[*+]/.test(token)) return { least: 0, most: patternLength }
  return /^\?/.test(token) ? { least: 0, most: 1 } : undefined
}

/** The template in force for a category: its ancestors' fields, root first, then its own. A child adds; it may not redefine. */
export const mergeTemplates = (ancestors: Template[]): { ok: true; template: Template } | { ok: false; message: string } => {
  const fields = ancestors.flatMap((template) => template.fields)
  const contactFields = ancestors.flatMap((template) => template.contactFields)
  const [key, contactKey] = [fields, contactFields].map((all) => duplicate(all.map((field) => field.key)))
  // Either side may be the one just revised, so the message blames neither.
  if (key !== undefined) return { ok: false, message: `the field ${key} is defined both by a parent category and by one below it` }
  if (contactKey !== undefined) return { ok: false, message: `the contact field ${contactKey} is defined both by a parent category and by one below it` }
  return { ok: true, template: { fields, contactFields } }
}

/** A field's value; a caller sends null to clear it. */
export const StoredFieldValue = z.union([z.string().max(10_000), z.number(), z.boolean(), z.array(z.string().max(200)).max(200), Money])
export type StoredFieldValue = z.infer<typeof StoredFieldValue>
export const FieldValue = z.union([StoredFieldValue, z.null()])
export type FieldValue = z.infer<typeof FieldValue>

const placeholders = new Set([
  '无', '暂无', '没有', '空', '不详', '未知', '不知道', '不清楚', '未填', '待定', '待补', '待补充', '测试',
  'n/a', 'na', 'nil', 'none', 'null', 'undefined', 'unknown', 'test', 'tbd', 'todo',
])

/** Whether a text only fills the space where a value should be: 无, 暂无, N/A, test, or nothing but signs (-, ***). */
export const isPlaceholder = (text: string): boolean => {
  const plain = text.normalize('NFKC').trim().toLowerCase()
  return placeholders.has(plain) || /^[\p{P}\p{S}\p{Z}\p{C}]*$/u.test(plain)
}

type Normalised = { value: StoredFieldValue } | { message: string }
type Normalise = (value: StoredFieldValue, field: Field) => Normalised

const plainText = (value: StoredFieldValue) => typeof value === 'string' ? value.normalize('NFC').trim() : undefined

const fromText = (message: string, normalise: (text: string) => StoredFieldValue | undefined): Normalise => (given) => {
  const text = plainText(given)
  const value = text === undefined ? undefined : normalise(text)
  return value === undefined ? { message } : { value }
}

const text: Normalise = (given, field) => {
  const value = plainText(given)
  if (value === undefined) return { message: 'must be text' }
  // A database would refuse what is neither a character nor a line break or tab.
  if (!value.isWellFormed() || /[^\P{Cc}\t\n\r]/u.test(value)) return { message: 'must not contain control characters' }
  if (field.pattern === undefined) return { value }
  if (value.length > patternLength) return { message: `must have at most ${patternLength} characters` }
  return new RegExp(`^(?:${field.pattern})$`, 'u').test(value) ? { value } : { message: `must have the form ${field.pattern}` }
}

const phone = fromText('must be a valid phone number, a landline with its area code, outside China with + and the country code', (written) => {
  const number = parsePhone(written)
  return number && (number.ext ? `${number.number};ext=${number.ext}` : number.number)
})

const email = fromText('must be an email address, such as name@example.com', (written) => {
  const address = normaliseEmail(written)
  return address.ok ? address.value : undefined
})

const url = fromText('must be a web address that begins with http:// or https://', (written) => {
  if (!/^https?:\/\/\S+$/i.test(written) || !URL.canParse(written)) return undefined
  const address = new URL(written)
  // A password in an address would be shown to everyone who may see the page.
  return address.username === '' && address.password === '' && address.hostname.includes('.') ? address.href : undefined
})

// zod takes the year 0000, which no database and no calendar does.
const date = fromText('must be a real date, written YYYY-MM-DD', (written) =>
  !written.startsWith('0000') && z.iso.date().safeParse(written).success ? written : undefined)

const money: Normalise = (given) => {
  const parsed = Money.safeParse(given)
  return parsed.success ? { value: parsed.data } : { message: 'must be an amount in whole minor units (fen) and a currency of three capitals, such as CNY' }
}

const optionValues = (field: Field) => field.options?.map((option) => option.value) ?? []

const oneOf: Normalise = (given, field) => {
  const value = plainText(given)
  return value !== undefined && optionValues(field).includes(value) ? { value } : { message: `must be one of ${optionValues(field).join(', ')}` }
}

// In the order of the options, so that the same choice is always the same value.
const someOf: Normalise = (given, field) => {
  const options = optionValues(field)
  const chosen = Array.isArray(given) ? given.map(plainText) : undefined
  return chosen?.every((value) => value !== undefined && options.includes(value))
    ? { value: options.filter((option) => chosen.includes(option)) }
    : { message: `must be a list of ${options.join(', ')}` }
}

const normalisers: Record<FieldType, Normalise> = {
  text, phone, email, url, date, money, 'one-of': oneOf, 'some-of': someOf,
  number: (value) => typeof value === 'number' && Number.isFinite(value) ? { value } : { message: 'must be a number' },
  'yes-no': (value) => typeof value === 'boolean' ? { value } : { message: 'must be true or false' },
}

const isEmpty = (value: StoredFieldValue) =>
  typeof value === 'string' ? value.trim() === '' : Array.isArray(value) && value.length === 0

// An option of the category is an answer even when it is called none or unknown.
const holdsPlace = (field: Field, value: StoredFieldValue) =>
  typeof value === 'string' && isPlaceholder(value) && !optionValues(field).includes(value)

/**
 * Normalises the values of a customer or contact, and names every problem at once: missing, malformed, unknown.
 * Give it all values the record would have, not only the changed ones; empty values are left out of the result.
 */
export const checkFields = (
  fields: Field[], values: Record<string, FieldValue>, required: (field: Field) => boolean, path = 'fields',
): { values: Record<string, StoredFieldValue>; problems: FieldProblem[] } => {
  const accepted: [string, StoredFieldValue][] = []
  const problems: FieldProblem[] = []
  const problem = (key: string, message: string) => problems.push({ path: `${path}/${key}`, message })
  // A map, since toString and constructor are possible keys.
  const given = new Map(Object.entries(values))
  for (const field of fields) {
    const value = given.get(field.key)
    given.delete(field.key)
    if (value === undefined || value === null || isEmpty(value)) {
      if (required(field)) problem(field.key, 'is required')
    } else if (holdsPlace(field, value) && required(field)) problem(field.key, 'is required, and a placeholder is not a value')
    else {
      const normalised = normalisers[field.type](value, field)
      if ('message' in normalised) problem(field.key, normalised.message)
      else accepted.push([field.key, normalised.value])
    }
  }
  for (const key of given.keys()) problem(key, 'is not a field of this category')
  return { values: Object.fromEntries(accepted), problems }
}
