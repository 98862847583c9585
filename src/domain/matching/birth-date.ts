import { plainText } from './text.ts'

/** A date as eight digits, year first, from 1980-3-5, 1980/03/05, 1980年3月5日, 05.03.1980, 19800305; else its digits. */
export const matchDate = (written: string): string | undefined => {
  const text = plainText(written)
  const [, year, month, day] = /^(\d{4})\D+(\d{1,2})\D+(\d{1,2})(?:\D.*)?$/.exec(text) ?? []
  if (year && month && day) return year + month.padStart(2, '0') + day.padStart(2, '0')
  const [, dayFirst, monthThen, yearLast] = /^(\d{1,2})\D+(\d{1,2})\D+(\d{4})$/.exec(text) ?? []
  if (dayFirst && monthThen && yearLast) return yearLast + monthThen.padStart(2, '0') + dayFirst.padStart(2, '0')
  const digits = text.replace(/\D/g, '').slice(0, 8)
  return digits.length >= 4 ? digits : undefined
}
