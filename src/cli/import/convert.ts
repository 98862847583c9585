import { DateTime } from 'luxon'
import type { Money } from '../../domain/values.ts'

/** A text turned into a value, or why it cannot be: words that never repeat the text, which may be personal. */
export type Converted<T> = { value: T } | { fault: string }

export type Marks = { decimalMark?: '.' | ',' | undefined; groupMark?: string | undefined }

/** A sign, digits, and decimals after the mark; full-width digits as spreadsheets in China have them. */
const splitNumber = (text: string, { decimalMark = '.', groupMark }: Marks): { sign: string; whole: string; decimals: string } | undefined => {
  const plain = text.normalize('NFKC')
  const ungrouped = groupMark === undefined ? plain : plain.replaceAll(groupMark, '')
  const [, sign = '', whole = '', decimals = ''] = new RegExp(`^([+-]?)(\\d*)(?:\\${decimalMark}(\\d*))?$`).exec(ungrouped.trim()) ?? []
  return whole + decimals === '' ? undefined : { sign: sign === '-' ? '-' : '', whole: whole || '0', decimals }
}

/** A number of any decimals; `integer`: without any but zeros. */
export const toNumber = (text: string, marks: Marks, integer: boolean): Converted<number> => {
  const parts = splitNumber(text, marks)
  if (!parts || (integer && /[1-9]/.test(parts.decimals))) return { fault: integer ? 'is not a whole number' : 'is not a number' }
  const value = Number(`${parts.sign}${parts.whole}.${parts.decimals}0`)
  return Number.isSafeInteger(Math.trunc(value)) ? { value: value === 0 ? 0 : value } : { fault: 'is more than can be counted' }
}

/** Worked out once for each: the same few come with every row. */
const remembered = <T>(make: (of: string) => T): ((of: string) => T) => {
  const made = new Map<string, T>()
  return (of) => {
    const value = made.get(of) ?? make(of)
    made.set(of, value)
    return value
  }
}

/** Minor units a currency is counted in: 2 for CNY, 0 for JPY. */
const minorUnitsOf = remembered((currency) => new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2)

/** Digit by digit, never through a fraction: 29.33 is 2933 fen. */
export const toMoney = (text: string, currency: string, { minorUnits, ...marks }: Marks & { minorUnits?: number | undefined }): Converted<Money> => {
  const parts = splitNumber(text, marks)
  if (!parts) return { fault: 'is not an amount' }
  if (!/^[A-Z]{3}$/.test(currency)) return { fault: 'is in a currency that is not three capitals, such as CNY' }
  const places = minorUnits ?? minorUnitsOf(currency)
  if (/[1-9]/.test(parts.decimals.slice(places))) return { fault: `has more than ${places} decimals` }
  const amount = Number(`${parts.sign}${parts.whole}${parts.decimals.slice(0, places).padEnd(places, '0')}`)
  return Number.isSafeInteger(amount) ? { value: { amount: amount === 0 ? 0 : amount, currency } } : { fault: 'is more than can be counted' }
}

const LOCALE = 'en'
const parserOf = remembered((format) => DateTime.buildFormatParser(format, { locale: LOCALE }))
const parse = (text: string, format: string | undefined, zone: string): DateTime =>
  // ISO 8601 also writes weeks, bare years and times of today: none is meant here.
  format === undefined ? DateTime.fromISO(/^\d{4}-\d{2}-\d{2}/.test(text) ? text : '', { zone }) : DateTime.fromFormatParser(text, parserOf(format), { zone, locale: LOCALE })

const unread = (format: string | undefined, what: string) => ({ fault: `is not ${what} of the form ${format ?? 'yyyy-MM-dd'}` })

/** A day of the calendar, as YYYY-MM-DD. */
export const toDate = (text: string, format: string | undefined): Converted<string> => {
  const date = parse(text.normalize('NFKC'), format, 'UTC').toISODate()
  return date === null ? unread(format, 'a date') : { value: date }
}

/** An instant, in UTC: what the text says, in the zone where it says none. */
export const toInstant = (text: string, format: string | undefined, zone: string): Converted<string> => {
  const instant = parse(text.normalize('NFKC'), format, zone).toUTC().toISO()
  return instant === null ? unread(format, 'a time') : { value: instant }
}

/** Whether a format reads what it writes itself. One from another library (YYYY-MM-DD) does not. */
export const readsItself = (format: string): boolean => {
  if (/Y|DD/.test(format.replace(/'[^']*'/g, ''))) return false
  const written = DateTime.fromISO('2026-11-23T13:45:06Z', { zone: 'UTC' }).toFormat(format, { locale: LOCALE })
  const read = parse(written, format, 'UTC')
  return read.isValid && read.toFormat(format, { locale: LOCALE }) === written && /[ykX]/.test(format)
}
