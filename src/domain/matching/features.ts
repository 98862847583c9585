import { normaliseIdentifier } from '../customer/identifier.ts'
import { parseAddress } from './address.ts'
import { matchDate } from './birth-date.ts'
import { parseCompanyName } from './company-name.ts'
import type { ComparisonName, Kind } from './comparisons.ts'
import { namePart, soundOf, splitName, type PersonName } from './person-name.ts'
import { matchPhone } from './phone.ts'
import type { MatchAs } from './match-as.ts'
import type { MatchProfile } from './profile.ts'
import type { Region } from './regions.ts'
import { compactText, isHan, plainText, wordsOf } from './text.ts'

/**
 * A profile in the form that is compared: plain JSON, normalised, with all that is slow (pinyin, simplified
 * characters, parsed addresses) done once. `numbers` say first what they are: `uscc:` and `rid:` are valid ones,
 * `no:` any other.
 */
export type Features = {
  kind: Kind
  given?: string
  givenSound?: string
  surname?: string
  surnameSound?: string
  core?: string
  coreSound?: string
  aliases?: string[]
  region?: Region
  trade?: string
  form?: string
  branch?: string
  birthDate?: string
  mobiles?: string[]
  phones?: string[]
  emails?: string[]
  numbers?: string[]
  street?: string
  streetNumber?: string
  building?: string
  district?: string
  city?: string
  province?: string
  postcode?: string
}

/** More of a kind tells nothing more, and would cost every comparison. */
const MOST = 5
const distinct = (values: readonly (string | undefined)[]): string[] => [...new Set(values.filter((value) => value !== undefined && value !== ''))].filter((value) => value !== undefined).toSorted().slice(0, MOST)

/** The features of a profile. The same profile always has the same ones, in whatever order its values come. */
export const featuresOf = (profile: MatchProfile): Features => {
  const values = (matchAs: MatchAs) => profile.fields.filter((field) => field.matchAs === matchAs).map((field) => field.value).toSorted()
  const first = (matchAs: MatchAs) => values(matchAs)[0]
  const held = (kind: string) => profile.identifiers.filter((one) => one.kind === kind).map((one) => one.value)
  const numbers = distinct([
    ...values('official-number').map(officialNumber),
    ...held('uscc').map((value) => `uscc:${value}`), ...held('resident-id').map((value) => `rid:${value}`), ...held('other').map((value) => `no:${compactText(value)}`),
  ])
  const born = first('birth-date')
  const phones = [...values('phone'), ...held('mobile')].map(matchPhone)
  return withoutEmpty({
    kind: profile.kind,
    ...(profile.kind === 'individual' ? person(profile, values) : company(profile, values)),
    birthDate: profile.kind === 'individual' ? (born === undefined ? undefined : matchDate(born)) ?? numbers.find((number) => number.startsWith('rid:'))?.slice(10, 18) : undefined,
    mobiles: distinct(phones.map((phone) => (phone?.isMobile ? phone.number : undefined))),
    phones: distinct(phones.map((phone) => (phone?.isMobile ? undefined : phone?.number))),
    emails: distinct([...values('email'), ...held('email')].map((email) => plainText(email).replaceAll(' ', ''))),
    numbers,
    ...place(values),
  })
}

const withoutEmpty = (features: { [K in keyof Features]: Features[K] | undefined } & { kind: Kind }): Features => {
  const { kind, ...others } = features
  const kept = Object.entries(others).filter(([, value]) => value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0) && !(typeof value === 'object' && Object.keys(value).length === 0))
  return { kind, ...Object.fromEntries(kept) }
}

type Values = (matchAs: MatchAs) => string[]

const person = (profile: MatchProfile, values: Values): Partial<Features> => {
  const whole = values('full-name')[0] ?? profile.name ?? undefined
  const { given, surname }: PersonName = {
    ...(whole === undefined ? {} : splitName(whole)),
    ...parts(values('given-name')[0], values('surname')[0]),
  }
  return {
    ...(given === undefined ? {} : { given, givenSound: soundOf(given, 'given') }),
    ...(surname === undefined ? {} : { surname, surnameSound: soundOf(surname, 'surname') }),
    aliases: distinct(values('alias').map(namePart)),
  }
}

const parts = (given: string | undefined, surname: string | undefined): PersonName => {
  const [one, other] = [given, surname].map((part) => (part === undefined ? '' : namePart(part)))
  return { ...(one ? { given: one } : {}), ...(other ? { surname: other } : {}) }
}

const company = (profile: MatchProfile, values: Values): Partial<Features> => {
  const written = values('full-name')[0] ?? profile.name ?? undefined
  if (written === undefined) return {}
  const { core, region, trade, form, branch, aliases } = parseCompanyName(written)
  const others = distinct([...aliases, ...values('alias')].map((alias) => parseCompanyName(alias).core)).filter((alias) => alias !== core)
  return { ...(core === '' ? {} : { core, coreSound: soundOf(core, 'words') }), region, aliases: others, ...(trade === undefined ? {} : { trade }), ...(form === undefined ? {} : { form }), ...(branch === undefined ? {} : { branch }) }
}

const officialNumber = (written: string): string | undefined => {
  const value = compactText(written).toUpperCase()
  if (value === '') return undefined
  const uscc = normaliseIdentifier({ kind: 'uscc', value })
  if (uscc.ok) return `uscc:${uscc.value}`
  const resident = normaliseIdentifier({ kind: 'resident-id', value })
  return resident.ok ? `rid:${resident.value}` : `no:${value}`
}

/** Fields of their own count before what a whole address says. */
const place = (values: Values): Partial<Features> => {
  const address = values('address')[0]
  const parsed = address === undefined ? {} : parseAddress(address)
  const line = (matchAs: MatchAs) => {
    const value = values(matchAs)[0]
    return value === undefined ? undefined : isHan(value) ? compactText(value) : wordsOf(value).join(' ')
  }
  const unit = (matchAs: MatchAs) => line(matchAs)?.replace(/(?<=..)(?:省|市|区|县)$/u, '')
  const own = { street: line('street'), streetNumber: line('street-number')?.replaceAll(' ', ''), building: line('building'), district: unit('district'), city: unit('city'), province: unit('province'), postcode: line('postcode')?.replaceAll(' ', '') }
  return { ...parsed, ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined && value !== '')) }
}

/** The values of a record that a comparison is about. */
export const valueOf = (features: Features, comparison: ComparisonName): readonly string[] => {
  switch (comparison) {
    case 'phone': return (features.phones ?? []).map((phone) => phone.split(';')[0] ?? phone)
    case 'mobile': return features.mobiles ?? []
    case 'email': return features.emails ?? []
    case 'number': return features.numbers ?? []
    case 'region': return one(features.region?.city ?? features.region?.province)
    case 'birth-date': return one(features.birthDate)
    case 'legal-form': return one(features.form)
    case 'street-number': return one(features.streetNumber)
    case 'name-order':
    case 'whole-name':
      return []
    default: return one(features[comparison])
  }
}
const one = (value: string | undefined): readonly string[] => (value === undefined ? [] : [value])
