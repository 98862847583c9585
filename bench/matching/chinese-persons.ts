import { cities, districts, estates, givenCharacters, roadKinds, roads, surnames } from './chinese-words.ts'
import type { Random } from './random.ts'

export type Person = { name: string; mobile: string; landline: string; birthday: string; residentId: string; email: string; address: string }

export const cityOf = (random: Random) => random.weighted(cities.map((city): [(typeof cities)[number], number] => [city, city.weight]))
type City = ReturnType<typeof cityOf>

// The more common a character, the earlier it stands: the square of a random number prefers the first.
const character = (random: Random) => givenCharacters[Math.floor(random.next() ** 2 * givenCharacters.length)] ?? '伟'
const givenName = (random: Random) => (random.chance(0.2) ? character(random) : character(random) + character(random))

export const street = (random: Random): string => `${random.pick(roads)}${random.weighted(roadKinds)}${1 + random.below(random.chance(0.7) ? 200 : 2000)}号`
export const inFull = ({ province, city }: City): string => `${province && `${province}省`}${city}市`

const home = (random: Random, city: City): string =>
  `${inFull(city)}${random.pick(districts)}区${street(random)}${random.chance(0.6) ? random.pick(estates) : ''}${1 + random.below(30)}栋${random.chance(0.5) ? `${1 + random.below(4)}单元` : ''}${1 + random.below(30)}0${1 + random.below(4)}室`

const mobile = (random: Random): string => `1${random.pick(['30', '31', '32', '35', '36', '37', '38', '39', '50', '51', '52', '53', '57', '58', '59', '77', '80', '81', '82', '83', '85', '86', '87', '88', '89', '98'])}${random.digits(8)}`
export const landline = (random: Random, { areaCode }: City): string => `${areaCode}-${2 + random.below(7)}${random.digits(7)}`

const pad = (number: number) => String(number).padStart(2, '0')
const born = (random: Random, year: number): string => `${year}-${pad(1 + random.below(12))}-${pad(1 + random.below(28))}`

const residentWeights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
const residentId = (random: Random, { region }: City, birthday: string): string => {
  const first = `${region}${birthday.replaceAll('-', '')}${random.digits(3)}`
  const sum = residentWeights.reduce((total, weight, at) => total + weight * Number(first[at]), 0)
  return first + ('10X98765432'[sum % 11] ?? '')
}

const romanised = (random: Random) => Array.from({ length: 4 + random.below(6) }, () => 'abcdefghijklmnopqrstuvwxyz'[random.below(26)]).join('')
const mailbox = (random: Random): string => `${romanised(random)}${random.chance(0.7) ? random.digits(2 + random.below(4)) : ''}@${random.pick(['qq.com', '163.com', '126.com', 'sina.com', 'gmail.com', 'outlook.com', 'foxmail.com', '139.com'])}`

const person = (random: Random, city: City, surname: string, given: string, birthday: string, at: Pick<Person, 'address' | 'landline'>): Person =>
  ({ name: surname + given, mobile: mobile(random), birthday, residentId: residentId(random, city, birthday), email: mailbox(random), ...at })

export const makePerson = (random: Random): Person => {
  const city = cityOf(random)
  return person(random, city, random.weighted(surnames), givenName(random), born(random, 1940 + random.below(68)), { address: home(random, city), landline: landline(random, city) })
}

const surnameOf = (name: string) => surnames.map(([surname]) => surname).filter((surname) => name.startsWith(surname)).toSorted((one, other) => other.length - one.length)[0] ?? name.slice(0, 1)

/** Somebody else of the same family: one address, one landline; a child and a sibling bear the name as well. */
export const makeRelative = (random: Random, rates: { spouse: number; child: number; sibling: number; twin: number }, of: Person): Person => {
  const city = cities.find(({ areaCode }) => of.landline.startsWith(`${areaCode}-`)) ?? cityOf(random)
  const surname = surnameOf(of.name)
  const year = Number(of.birthday.slice(0, 4))
  const at = { address: of.address, landline: of.landline }
  const relation = random.weighted([['spouse', rates.spouse], ['child', rates.child], ['sibling', rates.sibling], ['twin', rates.twin]] as const)
  if (relation === 'spouse') return person(random, city, random.weighted(surnames), givenName(random), born(random, year - 5 + random.below(11)), at)
  if (relation === 'child') return person(random, city, surname, givenName(random), born(random, Math.min(2007, year + 20 + random.below(16))), at)
  const shared = of.name.length - surname.length === 2 && (relation === 'twin' || random.chance(0.5)) ? of.name.slice(surname.length, surname.length + 1) : ''
  const given = `${shared}${shared ? character(random) : givenName(random)}`
  // A sibling of the same name would be nobody's sibling.
  const own = surname + given === of.name ? `${given.slice(0, -1)}${given.endsWith('伟') ? '芳' : '伟'}` : given
  return person(random, city, surname, own, relation === 'twin' ? of.birthday : born(random, year - 6 + random.below(13)), at)
}
