import { parsePhoneNumberFromString, type NumberType } from 'libphonenumber-js/max'
import { z } from 'zod'

// An identifier names exactly one customer, so every way of writing the same number must end in one
// normalised value: that value is what first-to-enter and "no duplicates" are decided on.
// Messages are read after the name of the field and never repeat the value: it is personal data.

export const IdentifierKind = z.enum(['mobile', 'email', 'uscc', 'resident-id', 'other'])
export type IdentifierKind = z.infer<typeof IdentifierKind>

export const Identifier = z.discriminatedUnion('kind', [
  z.strictObject({ kind: IdentifierKind.exclude(['other']), value: z.string().min(1).max(300) }),
  z.strictObject({ kind: z.literal('other'), issuer: z.string().min(1).max(100), value: z.string().min(1).max(100) }),
])
export type Identifier = z.infer<typeof Identifier>

type Refused = { ok: false; message: string }
type Checked = { ok: true; value: string } | Refused
export type NormalisedIdentifier = { ok: true; kind: IdentifierKind; value: string } | Refused
export type ParsedIdentifier = { ok: true; identifier: Identifier } | Refused

const accept = (value: string): Checked => ({ ok: true, value })
const refuse = (message: string): Refused => ({ ok: false, message })

// Numbers pasted from phones and spreadsheets carry invisible direction marks (category Cf), which NFKC keeps.
const tidy = (text: string) =>
  text.normalize('NFKC').replace(/\p{Cf}/gu, '').replace(/\s+/gu, ' ').trim().normalize('NFKC')

const compact = (text: string) => tidy(text).replace(/[\s\p{Pd}]/gu, '').toUpperCase()

/**
 * The one normal form of an identifier, or what is wrong with it. Pure, and safe to repeat:
 * a normalised value normalises to itself.
 */
export const normaliseIdentifier = (identifier: Identifier): NormalisedIdentifier => {
  const checked = check(identifier)
  return checked.ok ? { ok: true, kind: identifier.kind, value: checked.value } : checked
}

const check = (identifier: Identifier): Checked => {
  switch (identifier.kind) {
    case 'mobile': return mobile(identifier.value)
    case 'email': return normaliseEmail(identifier.value)
    case 'uscc': return uscc(identifier.value)
    case 'resident-id': return residentId(identifier.value)
    case 'other': return other(identifier.issuer, identifier.value)
  }
}

/**
 * Reads an identifier as written in a query: `mobile:13800138000`, `other:<issuer>:<number>`.
 * The number may contain colons, the issuer may not. In a URL the + of a foreign number is sent as %2B.
 */
export const parseIdentifierQuery = (text: string): ParsedIdentifier => {
  const [kind = '', ...parts] = text.normalize('NFKC').split(':').map((part) => part.trim())
  const [issuer, ...number] = parts
  const parsed = Identifier.safeParse(
    kind === 'other' ? { kind, issuer, value: number.join(':') } : { kind, value: parts.join(':') })
  if (parsed.success) return { ok: true, identifier: parsed.data }
  return refuse(IdentifierKind.safeParse(kind).success
    ? 'must have a value after the kind, of a reasonable length: kind:value, or other:issuer:number'
    : `must be written kind:value, where kind is one of ${IdentifierKind.options.join(', ')}`)
}

// 010-62345678-12, 021-58888888转12: how extensions are written in China. libphonenumber knows ext, x, # and ;ext=.
const withExtension = (text: string) => text
  .replace(/ *(?:转|轉|分机号?)[: ]*(\d{1,6})$/u, ';ext=$1')
  .replace(/^((?:(?:\+|00)86[\p{Pd} ]*|0)\d{2,4}[\p{Pd} ]*\d{7,8}) ?\p{Pd} ?(\d{1,6})$/u, '$1;ext=$2')

export type Phone = { number: string; type: NumberType; ext: string | undefined }

// Most numbers there are, written plainly: known without a library, which takes a hundred times as long. Tests hold it to the library.
const chineseMobile = /^(?:\+86)?1(?:[38]\d|4[57]|[59][0-35-9]|6[67]|7[35-8])\d{8}$/

/**
 * A valid phone number of any type and country, China unless it says otherwise; E.164 with its extension.
 * The Chinese way of writing extensions is tried first: a seven-digit number and "-8" would else read as eight digits.
 */
export const parsePhone = (text: string): Phone | undefined => {
  if (chineseMobile.test(text)) return { number: text.startsWith('+') ? text : `+86${text}`, type: 'MOBILE', ext: undefined }
  const plain = tidy(text).replace(/[()]/g, ' ').trim()
  for (const written of new Set([withExtension(plain), plain])) {
    const phone = parsePhoneNumberFromString(written, { defaultCountry: 'CN', extract: false })
    if (phone?.isValid()) return { number: phone.number, type: phone.getType(), ext: phone.ext }
  }
  return undefined
}

const phoneTypes: Partial<Record<NonNullable<NumberType>, string>> = {
  FIXED_LINE: 'a landline',
  SHARED_COST: 'a shared-cost service number, such as 400',
  TOLL_FREE: 'a toll-free service number, such as 800',
}

const mobile = (text: string): Checked => {
  const phone = parsePhone(text)
  if (!phone) return refuse('must be a valid mobile number; outside China with + and the country code')
  const { type } = phone
  if (type !== 'MOBILE' && type !== 'FIXED_LINE_OR_MOBILE')
    return refuse(`must be a mobile number; this is ${(type && phoneTypes[type]) ?? 'a number of another type'}`)
  return phone.ext ? refuse('must be a mobile number without an extension') : accept(phone.number)
}

// RFC 5321 without its oddities: no quoted names, comments or IP addresses. An internationalised domain has
// two spellings; only the xn-- one is accepted, so that one address has one form.
const email = /^(?=.{1,64}@)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])$/

/** An email address, NFKC, trimmed and lower-cased whole; at most 254 characters (RFC 5321). */
export const normaliseEmail = (text: string): Checked => {
  const address = tidy(text).toLowerCase()
  if (address.length > 254) return refuse('must have at most 254 characters')
  return email.test(address) ? accept(address) : refuse('must be an email address, such as name@example.com')
}

const illegalPosition = (characters: string[], allowedAt: (index: number) => string) =>
  characters.findIndex((character, index) => !allowedAt(index).includes(character))

const digits = '0123456789'
const usccAlphabet = '0123456789ABCDEFGHJKLMNPQRTUWXY'
const usccWeights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28]

/**
 * GB 32100-2015, unified social credit code: authority, class, six digits of region, nine of organisation code,
 * check character by mod 31. 0 stands for no registration authority, which keeps eighteen zeros out: they would pass the check.
 */
const uscc = (text: string): Checked => {
  const characters = [...compact(text)]
  if (characters.length !== 18) return refuse(`must have 18 characters, and has ${characters.length}`)
  const illegal = illegalPosition(characters, (index) => index >= 2 && index < 8 ? digits : usccAlphabet)
  if (illegal >= 2 && illegal < 8) return refuse(`must have a digit at position ${illegal + 1}, in the region code`)
  if (illegal !== -1)
    return refuse(`has an illegal character at position ${illegal + 1}: only digits and letters other than I, O, S, V and Z are used`)
  if (characters[0] === '0') return refuse('must not begin with 0: no registration authority has that code')
  const sum = usccWeights.reduce((total, weight, index) => total + weight * usccAlphabet.indexOf(characters[index] ?? ''), 0)
  return usccAlphabet[(31 - sum % 31) % 31] === characters[17]
    ? accept(characters.join(''))
    : refuse('has a check character that does not fit the rest; one of the characters is wrong')
}

const residentWeights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]

/**
 * GB 11643-1999, citizen identification number: six digits of region, birth date, three of sequence,
 * check character by mod 11-2. Whether the birth date lies in the future is not asked: there is no clock here.
 */
const residentId = (text: string): Checked => {
  const characters = [...compact(text)]
  if (characters.length === 15) return refuse('must have 18 characters; the old numbers of 15 are no longer valid')
  if (characters.length !== 18) return refuse(`must have 18 characters, and has ${characters.length}`)
  const illegal = illegalPosition(characters, (index) => index < 17 ? digits : `${digits}X`)
  if (illegal !== -1) return refuse(`must have a digit at position ${illegal + 1}${illegal === 17 ? ', or X' : ''}`)
  const number = characters.join('')
  const birthDate = `${number.slice(6, 10)}-${number.slice(10, 12)}-${number.slice(12, 14)}`
  if (birthDate < '1900' || !z.iso.date().safeParse(birthDate).success)
    return refuse('must have a real birth date, from 1900 on, at positions 7 to 14')
  const sum = residentWeights.reduce((total, weight, index) => total + weight * Number(characters[index]), 0)
  return '10X98765432'[sum % 11] === characters[17]
    ? accept(number)
    : refuse('has a check character that does not fit the rest; one of the characters is wrong')
}

const Pair = z.tuple([z.string(), z.string()])
/** An identifier as readers see it: an `other` one with its issuer apart, each in its normal form. */
export const shownIdentifier = ({ kind, value }: { kind: string; value: string | null }): { kind: string; issuer?: string; value: string | null } => {
  if (kind !== 'other' || value === null) return { kind, value }
  const [issuer, number] = Pair.parse(JSON.parse(value))
  return { kind, issuer, value: number }
}

/** Any other official number. As a JSON pair, no issuer and number can be mistaken for another issuer and number. */
const other = (issuer: string, number: string): Checked => {
  // Upper-casing can take letters apart that NFKC then joins again (ΐ): without the second pass it would not be stable.
  const pair = [tidy(issuer), tidy(tidy(number).toUpperCase())] as const
  if (pair.some((part) => part === '')) return refuse('must name an issuer and a number')
  if (pair.some((part) => !part.isWellFormed() || /\p{Cc}/u.test(part))) return refuse('must not contain control characters')
  if (pair[0].includes(':')) return refuse('must have an issuer without a colon: it separates issuer and number in a query')
  return accept(JSON.stringify(pair))
}
