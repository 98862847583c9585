import type { Features } from './features.ts'
import { isHan } from './text.ts'

/**
 * The keys a record is found by: two records are compared when they share one. Each begins with its rule, so that a
 * key of one never meets that of another. Sorted, without repetition; of one kind of customer only. Rules overlap on
 * purpose: an error in one value leaves the others.
 */
export const blockingKeys = (features: Features): string[] => {
  const keys = [...contactKeys(features), ...(features.kind === 'individual' ? personKeys(features) : companyKeys(features)), ...doorKeys(features)]
  return [...new Set(keys)].map((key) => (features.kind === 'individual' ? `i${key}` : `o${key}`)).toSorted()
}

/** A key of values that are all there. */
const key = (rule: string, ...values: (string | undefined)[]): string[] => (values.every((value) => value !== undefined && value !== '') ? [`${rule}:${values.join('|')}`] : [])

const head = (text: string | undefined, length: number) => text?.replaceAll(' ', '').slice(0, length)

/** How a name sounds, short: homophones and most slips meet in it. */
const sound = (name: string | undefined, code: string | undefined) => (name === undefined ? undefined : code || head(name, 4))

const contactKeys = ({ mobiles = [], phones = [], emails = [], numbers = [] }: Features): string[] => [
  ...[...mobiles, ...phones].map((phone) => `p:${phone.split(';')[0]}`),
  ...emails.map((email) => `e:${email}`),
  ...emails.flatMap((email) => key('el', email.slice(0, email.indexOf('@')).length >= 4 ? email.slice(0, email.indexOf('@')) : undefined)),
  ...numbers.map((number) => `n:${number.slice(number.indexOf(':') + 1)}`),
]

const personKeys = (features: Features): string[] => {
  const { given, surname, birthDate, postcode, district, city } = features
  const sounds = [...new Set([sound(given, features.givenSound), sound(surname, features.surnameSound)])]
  // Exchanged names meet: the sounds in the order of the alphabet.
  const whole = given !== undefined && surname !== undefined ? sounds.toSorted().join('+') : undefined
  const words = given !== undefined && surname !== undefined && !isHan(`${surname}${given}`) ? `${given} ${surname}`.split(' ') : []
  const isChinese = isHan(`${surname ?? ''}${given ?? ''}`)
  const tails = [...(features.mobiles ?? []), ...(features.phones ?? [])].map((phone) => phone.split(';')[0]?.slice(-4))
  const [year, monthDay] = birthDate?.length === 8 ? [birthDate.slice(0, 4), birthDate.slice(4)] : []
  return [
    ...key('w', whole),
    // Of several words, in whatever order; and a Chinese name in pinyin, where it meets the one in characters.
    ...(words.length > 2 ? key('ww', words.toSorted().join(' ')) : []),
    ...pinyinKeys(words),
    // Chinese names by sound are few for so many: the common ones need more.
    ...(isChinese ? [...key('wy', whole, year), ...key('wd', whole, district ?? city), ...tails.flatMap((tail) => key('wp', whole, tail))] : []),
    ...sounds.flatMap((one) => [...key('nb', one, monthDay), ...key('np', one, postcode), ...(isChinese ? [] : key('nd', one, head(district ?? city, 4)))]),
    ...[given, surname].flatMap((one) => key('b', birthDate, head(one, 1))),
    ...(isChinese ? sounds.flatMap((one) => key('nd', one, district, head(features.street, 3))) : []),
  ]
}

const syllable = '(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?(?:[iu]ang|iong|[iu]an|iao|uai|ang|eng|ing|ong|ai|an|ao|ei|en|er|ia|ie|in|iu|ou|ua|ue|ui|un|uo|ve|a|e|i|o|u|v)'
const isPinyin = new RegExp(`^(?:${syllable}){1,3}$`)

/** Wang Jianguo, Jianguo Wang, Jian Guo Wang: by sound as 王建国 is; the surname is at one end. */
const pinyinKeys = (words: readonly string[]): string[] =>
  words.length < 2 || words.length > 3 || !words.every((word) => isPinyin.test(word)) ? []
    : [1, words.length - 1].flatMap((at) => key('w', [words.slice(0, at).join(''), words.slice(at).join('')].toSorted().join('+')))

const companyKeys = ({ core, coreSound, aliases = [], region, trade, city }: Features): string[] => [
  ...key('c', core),
  ...key('cs', coreSound),
  ...aliases.map((alias) => `c:${alias}`),
  ...key('cr', head(core, 2), region?.city ?? region?.province ?? city, trade?.slice(0, 2)),
]

const doorKeys = ({ street, streetNumber, building, postcode, district, city }: Features): string[] => [
  ...key('d', head(street, 8), streetNumber, postcode ?? district ?? city),
  ...key('pn', postcode, streetNumber),
  // The two lines of an address, whichever comes first.
  ...(street !== undefined && building !== undefined ? [`sb:${[head(street, 5), head(building, 5)].toSorted().join('|')}`] : []),
  ...(isHan(street ?? '') ? [] : key('dn', head(district ?? city, 4), streetNumber)),
]
