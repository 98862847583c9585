import { cityOf, inFull, landline, street } from './chinese-persons.ts'
import { cities, districts, formsOfCompanies, offices, tradesOfCompanies } from './chinese-words.ts'
import type { Random } from './random.ts'

/** `parts`: what the name was made of; the matcher never sees it. */
export type Company = { name: string; phone: string; uscc: string; email: string; address: string; parts: string }

type Parts = { region: string; core: string; trade: string; form: string; city: string; branch: string }
export const partsOf = (company: { parts: string }): Parts => {
  const [region = '', core = '', trade = '', form = '', city = '', branch = ''] = company.parts.split('|')
  return { region, core, trade, form, city, branch }
}
export const nameOf = ({ region, core, trade, form, branch }: Parts): string => `${region}${core}${trade}${form}${branch}`

type Rates = { branch: number; sameCoreOtherCity: number; sameCoreOtherTrade: number; groupShares: number; sharedSwitchboard: number; tenants: number; serviceNumber: number }
type City = (typeof cities)[number]

const usccAlphabet = '0123456789ABCDEFGHJKLMNPQRTUWXY'
const usccWeights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28]
const uscc = (random: Random, { region }: City): string => {
  const first = `91${region}${Array.from({ length: 9 }, () => usccAlphabet[random.below(usccAlphabet.length)]).join('')}`
  const sum = usccWeights.reduce((total, weight, at) => total + weight * usccAlphabet.indexOf(first[at] ?? ''), 0)
  return first + (usccAlphabet[(31 - sum % 31) % 31] ?? '')
}

const regionOf = (random: Random, { province, city }: City): string =>
  random.weighted([[`${city}市`, 45], [city, 35], [province && `${province}${random.chance(0.6) ? '省' : ''}`, 8], [province && `${province}省${city}市`, 4], ['', 8]])

const office = (random: Random, city: City): string => `${inFull(city)}${random.pick(districts)}区${street(random)}${random.chance(0.7) ? random.pick(offices) : ''}`
const room = (random: Random): string => `${random.pick(['A座', 'B座', ''])}${1 + random.below(30)}${random.digits(2)}室`

const mailbox = (random: Random): string => `${random.pick(['info', 'sales', 'admin', 'service', 'hr', 'office'])}@${Array.from({ length: 5 + random.below(6) }, () => 'abcdefghijklmnopqrstuvwxyz'[random.below(26)]).join('')}.${random.pick(['com', 'cn', 'com.cn', 'net'])}`

const serviceNumber = (random: Random) => `${random.pick(['400', '800'])}-${String(100 + random.below(300))}-8888`

const company = (random: Random, rates: Rates, city: City, parts: Parts, at?: { phone: string; building: string }): Company => ({
  name: nameOf(parts),
  phone: random.chance(rates.serviceNumber) ? serviceNumber(random) : (at?.phone ?? landline(random, city)),
  uscc: uscc(random, city), email: mailbox(random), address: `${at?.building ?? office(random, city)}${room(random)}`,
  parts: [parts.region, parts.core, parts.trade, parts.form, parts.city, parts.branch].join('|'),
})

const buildingOf = ({ address }: Company): string => address.replace(/(?:[AB]座)?\d+室$/u, '')
const cityNamed = (name: string): City => cities.find(({ city }) => city === name) ?? { province: '', city: '北京', areaCode: '010', region: '110105', weight: 1 }
const other = (random: Random, than: City): City => {
  const found = cityOf(random)
  return found.city === than.city ? other(random, than) : found
}

/** A company with a name of its own; some in a building where others are, behind its switchboard. */
export const makeCompany = (random: Random, rates: Rates, core: string, before: readonly Company[]): Company => {
  // One in so many is a landlord, so that of all companies the share asked for are tenants of as many each.
  const landlords = Math.round(rates.tenants / rates.sharedSwitchboard)
  const landlord = random.chance(rates.sharedSwitchboard) ? before[Math.floor(random.below(before.length) / landlords) * landlords] : undefined
  const city = landlord ? cityNamed(partsOf(landlord).city) : cityOf(random)
  const parts = { region: regionOf(random, city), core, trade: random.weighted(tradesOfCompanies), form: random.weighted(formsOfCompanies), city: city.city, branch: '' }
  return company(random, rates, city, parts, landlord && { phone: landlord.phone, building: buildingOf(landlord) })
}

/** A company that looks like one before: its branch, its namesake in another city or another trade. Undefined: this time none. */
export const makeLookalike = (random: Random, rates: Rates, before: readonly Company[]): Company | undefined => {
  const kind = random.weighted([['branch', rates.branch], ['city', rates.sameCoreOtherCity], ['trade', rates.sameCoreOtherTrade], [undefined, 1 - rates.branch - rates.sameCoreOtherCity - rates.sameCoreOtherTrade]] as const)
  if (kind === undefined || before.length === 0) return undefined
  const like = random.pick(before)
  const parts = partsOf(like)
  const city = cityNamed(parts.city)
  if (parts.branch !== '') return undefined
  if (kind === 'branch') {
    const there = random.chance(0.6) ? city : other(random, city)
    const place = random.chance(0.5) ? there.city : `${there.city === city.city ? '' : there.city}${random.pick(districts)}`
    const named = `${place}${random.weighted([['分公司', 50], ['营业部', 15], ['分店', 15], ['办事处', 15], ['支行', 5]])}`
    return company(random, rates, there, { ...parts, city: there.city, branch: named }, there === city && random.chance(0.3) ? { phone: like.phone, building: buildingOf(like) } : undefined)
  }
  if (kind === 'city') {
    const there = other(random, city)
    return company(random, rates, there, { ...parts, region: there.city + (random.chance(0.5) ? '市' : ''), city: there.city, form: random.weighted(formsOfCompanies) })
  }
  const trade = random.weighted(tradesOfCompanies.filter(([name]) => !name.includes(parts.trade) && !parts.trade.includes(name)))
  return company(random, rates, city, { ...parts, trade }, random.chance(rates.groupShares) ? { phone: like.phone, building: buildingOf(like) } : undefined)
}
