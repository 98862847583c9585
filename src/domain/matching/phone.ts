import { parsePhone } from '../customer/identifier.ts'
import { plainText } from './text.ts'

// 400 and 800 answer for whoever rents them, 95xxx and 12xxx for a whole bank: they tell nobody apart.
const shared = /^(?:\+86|0086)?(?:400|800)\d{7}$|^(?:95|96|12|11|10)\d{3,4}$/

/**
 * A number as the matcher compares it: E.164 with its extension after a semicolon where it is a valid number, else
 * its digits, without 86 and the 0 before an area code. A mobile is one person's, another may be a
 * household's or a company's. Undefined for what everybody shares, and for what is too short to be a number.
 */
export const matchPhone = (written: string): { number: string; isMobile: boolean } | undefined => {
  const phone = parsePhone(written)
  const digits = plainText(written).replace(/\D/g, '')
  if (shared.test(phone?.number ?? digits) || shared.test(digits)) return undefined
  if (phone) return { number: phone.ext ? `${phone.number};${phone.ext}` : phone.number, isMobile: phone.type === 'MOBILE' }
  const bare = digits.replace(/^(?:00)?86(?=0?\d{10,11}$)/, '').replace(/^0(?=\d{9})/, '')
  return bare.length >= 6 ? { number: bare, isMobile: /^1\d{10}$/.test(bare) } : undefined
}
