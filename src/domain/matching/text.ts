import { Converter } from 'opencc-js/t2cn'
import { isPlaceholder } from '../category/template.ts'

const simplified = Converter({ from: 't', to: 'cn' })
const han = /\p{Script=Han}/u

export const isHan = (text: string): boolean => han.test(text)

// Letters that are no letter with a mark, so that taking marks away leaves them.
const plainLetters: Record<string, string> = { ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', ı: 'i' }

/**
 * Text as the matcher compares it: full-width forms made plain (NFKC), invisible characters gone, traditional
 * characters simplified, lower case, Latin letters without marks, single spaces. A placeholder is no text.
 */
export const plainText = (text: string): string => {
  if (isPlaceholder(text)) return ''
  const plain = text.normalize('NFKC').replace(/\p{Cf}/gu, '').toLowerCase()
  return (isAscii(plain) ? plain : withoutMarks(isHan(plain) ? simplified(plain) : plain)).replace(/\s+/g, ' ').trim()
}

// Most text is ASCII, and there nothing more is to do.
const isAscii = (text: string) => /^[\x20-\x7e]*$/.test(text)
const withoutMarks = (text: string): string =>
  text.normalize('NFD').replace(/\p{Mn}/gu, '').normalize('NFC').replace(/[ßæœøłđðþı]/g, (letter: string) => plainLetters[letter] ?? letter)

/** Letters and digits alone: what is left when spaces and signs are written differently. */
export const compactText = (text: string): string => plainText(text).replace(/[^\p{L}\p{N}]/gu, '')

/** The words of a text: runs of letters and digits. */
export const wordsOf = (text: string): string[] => plainText(text).replace(/['’`.]/g, '').split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '')

const digits = new Map([...'零一二三四五六七八九'].map((digit, value) => [digit, value]))

/** A number below a thousand in Chinese digits as it is written in others (三十二: 32); anything else as it stands. */
export const arabicNumber = (written: string): string => {
  if (/^[零一二三四五六七八九]{1,4}$/u.test(written)) return [...written].map((digit) => digits.get(digit) ?? 0).join('')
  const [, hundreds, tens, ones] = /^(?:([一二三四五六七八九])百)?(?:零|([一二三四五六七八九]?)十)?([一二三四五六七八九])?$/u.exec(written) ?? []
  if (hundreds === undefined && tens === undefined && ones === undefined) return written
  const value = (digit: string | undefined) => (digit === undefined ? 0 : digit === '' ? 1 : (digits.get(digit) ?? 0))
  return String(value(hundreds) * 100 + value(tens) * 10 + value(ones))
}
