import { Converter } from 'opencc-js/cn2t'
import { pinyin } from 'pinyin-pro'
import { nameOf, partsOf, type Company } from './chinese-companies.ts'
import { inFull, cityOf, landline, street, type Person } from './chinese-persons.ts'
import { districts, givenCharacters, roads } from './chinese-words.ts'
import type { Random } from './random.ts'

/** What can go wrong with a record, by name. Each changes the record in place and says whether it could happen. */
export type Errors<T> = Record<string, (random: Random, record: T) => boolean>

const traditional = Converter({ from: 'cn', to: 't' })
const common = [...new Set([...givenCharacters, ...roads.join(''), ...'中华天地大小新正同利发达兴旺盛隆丰裕昌和顺通宝鑫源恒信诚德福海洋山河星光明亮美佳优康乐安泰金银铜铁木林森水火土石'])]
const readings = new Map(common.map((character) => [character, pinyin(character, { toneType: 'none' })]))
const reading = (character: string) => readings.get(character) ?? pinyin(character, { toneType: 'none' })
const byReading = Map.groupBy(common, reading)

const replaceAt = (text: string, at: number, by: string) => text.slice(0, at) + by + text.slice(at + 1)

/** One character, from a place on, by another: any, or one that is read the same. */
const slip = (random: Random, text: string, from: number, sameSound: boolean): string | undefined => {
  if (text.length <= from) return undefined
  const at = from + random.below(text.length - from)
  const character = text[at] ?? ''
  const others = (sameSound ? (byReading.get(reading(character)) ?? []) : common).filter((other) => other !== character)
  return others.length === 0 ? undefined : replaceAt(text, at, random.pick(others))
}

const digitSlip = (random: Random, text: string): string | undefined => {
  const places = [...text].flatMap((character, at) => (/\d/.test(character) ? [at] : []))
  if (places.length < 2) return undefined
  const at = places[1 + random.below(places.length - 1)] ?? 0
  const [here = '', before = ''] = [text[at], text[at - 1]]
  if (random.chance(0.4) && /\d/.test(before) && before !== here) return replaceAt(replaceAt(text, at, before), at - 1, here)
  return replaceAt(text, at, String((Number(here) + 1 + random.below(9)) % 10))
}

const wide = (text: string) => text.replace(/[!-~]/g, (character) => String.fromCharCode(character.charCodeAt(0) + 0xfee0)).replaceAll(' ', '\u3000')

/** Puts what a change makes of a field in its place; a change that makes nothing, or the same, did not happen. */
const change = <K extends string>(field: K, of: (random: Random, value: string) => string | undefined) => (random: Random, record: Record<K, string>): boolean => {
  const before = record[field]
  const after = before === '' ? undefined : of(random, before)
  if (after === undefined || after === before) return false
  record[field] = after
  return true
}

const spaced = (random: Random, name: string) => {
  const at = 1 + random.below(Math.max(1, name.length - 1))
  return `${name.slice(0, at)}${random.pick([' ', '\u3000', '\u200b', '  '])}${name.slice(at)}`
}

const shortened = (random: Random, address: string): string => {
  const how = random.below(3)
  if (how === 0) return address.replace(/^.{2,3}省/u, '')
  if (how === 1) return address.replace(/^(?:.{2,3}省)?.{2,4}市/u, '')
  return address.replace(/号.*$/u, '号')
}
const roadSlip = (random: Random, address: string) => {
  const at = address.search(/区/u) + 1
  return at > 0 && address.length > at + 2 ? replaceAt(address, at + random.below(2), random.pick(common)) : undefined
}
const elsewhere = (random: Random) => `${inFull(cityOf(random))}${random.pick(districts)}区${street(random)}`

const drop = <K extends string>(fields: readonly K[]) => (random: Random, record: Record<K, string>): boolean => {
  const there = fields.filter((field) => record[field] !== '')
  if (there.length < 2) return false
  record[random.pick(there)] = ''
  return true
}

const mobileFormats = [(n: string) => `+86 ${n}`, (n: string) => `86${n}`, (n: string) => `${n.slice(0, 3)} ${n.slice(3, 7)} ${n.slice(7)}`, (n: string) => `${n.slice(0, 3)}-${n.slice(3, 7)}-${n.slice(7)}`, (n: string) => `0086-${n}`]
const phoneFormats = [(n: string) => n.replace('-', ''), (n: string) => `(${n.replace('-', ')')}`, (n: string) => n.replace('-', ' '), (n: string) => `+86 ${n.slice(1)}`, (n: string) => `${n}转${String(n.length)}01`, (n: string) => `${n}-8001`]

const dateSlip = (random: Random, date: string): string => {
  const [year = '', month = '', day = ''] = date.split('-')
  if (random.chance(0.3) && Number(day) <= 12 && day !== month) return `${year}-${day}-${month}`
  const wrong = digitSlip(random, date)
  return wrong !== undefined && Number(wrong.slice(5, 7)) >= 1 && Number(wrong.slice(5, 7)) <= 12 && Number(wrong.slice(8)) >= 1 && Number(wrong.slice(8)) <= 28 ? wrong : `${year}-${month}-${String(1 + (Number(day) % 28)).padStart(2, '0')}`
}
const dateFormat = (random: Random, date: string): string => {
  const [year = '', month = '', day = ''] = date.split('-')
  return random.pick([`${year}年${Number(month)}月${Number(day)}日`, `${year}/${Number(month)}/${Number(day)}`, `${year}${month}${day}`, `${year}.${month}.${day}`])
}

export const errorsOfPersons: Errors<Person> = {
  nameTypo: change('name', (random, name) => slip(random, name, 1, false)),
  nameHomophone: change('name', (random, name) => slip(random, name, 0, true)),
  traditional: change('name', (_random, name) => traditional(name)),
  fullWidth: (random, record) => change('mobile', (_random, value) => wide(value))(random, record) || change('address', (_random, value) => wide(value))(random, record),
  spacing: change('name', spaced),
  honorific: change('name', (random, name) => `${name}${random.pick(['先生', '女士'])}`),
  mobileFormat: change('mobile', (random, number) => random.pick(mobileFormats)(number)),
  mobileTypo: change('mobile', digitSlip),
  mobileChanged: change('mobile', (random) => `13${random.digits(9)}`),
  landlineFormat: change('landline', (random, number) => random.pick(phoneFormats.slice(0, 4))(number)),
  birthdayTypo: change('birthday', dateSlip),
  birthdayFormat: change('birthday', dateFormat),
  residentIdTypo: change('residentId', digitSlip),
  addressShortened: change('address', shortened),
  addressTypo: change('address', roadSlip),
  addressChanged: change('address', elsewhere),
  dropped: drop(['mobile', 'landline', 'birthday', 'residentId', 'email', 'address']),
}

/** A change of one part of a company's name: possible as long as nothing else happened to the name. */
const rename = (of: (random: Random, parts: ReturnType<typeof partsOf>) => string | undefined) => (random: Random, record: Company): boolean => {
  const parts = partsOf(record)
  return nameOf(parts) === record.name && change('name', () => of(random, parts))(random, record)
}

const coreSlip = (sameSound: boolean) => rename((random, parts) => {
  const core = slip(random, parts.core, 0, sameSound)
  return core === undefined ? undefined : nameOf({ ...parts, core })
})

export const errorsOfCompanies: Errors<Company> = {
  coreTypo: coreSlip(false),
  coreHomophone: coreSlip(true),
  traditional: change('name', (_random, name) => traditional(name)),
  fullWidth: (random, record) => change('phone', (_random, value) => wide(value))(random, record) || change('address', (_random, value) => wide(value))(random, record),
  spacing: change('name', spaced),
  formDropped: rename((_random, parts) => (parts.branch ? undefined : nameOf({ ...parts, form: '' }))),
  formVaried: rename((_random, parts) => nameOf({ ...parts, form: parts.form === '有限公司' ? '有限责任公司' : parts.form === '有限责任公司' ? '有限公司' : parts.form })),
  regionDropped: rename((_random, parts) => nameOf({ ...parts, region: '' })),
  regionMoved: rename((random, parts) => (parts.region === '' || parts.form === '' ? undefined : `${parts.core}${parts.trade}${random.pick([`（${parts.city}）`, `(${parts.city})`])}${parts.form}${parts.branch}`)),
  tradeDropped: rename((_random, parts) => nameOf({ ...parts, trade: '' })),
  phoneFormat: change('phone', (random, number) => random.pick(number.startsWith('0') ? phoneFormats : phoneFormats.slice(0, 1))(number)),
  phoneTypo: change('phone', digitSlip),
  phoneChanged: (random, record) => change('phone', () => landline(random, cityOf(random)))(random, record),
  usccTypo: change('uscc', digitSlip),
  addressShortened: change('address', shortened),
  addressTypo: change('address', roadSlip),
  addressChanged: change('address', elsewhere),
  dropped: drop(['phone', 'uscc', 'email', 'address']),
}
