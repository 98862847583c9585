import { takeRegion } from './regions.ts'
import { arabicNumber, isHan, plainText, wordsOf } from './text.ts'

/** Where something is, in the parts that are compared. */
export type Place = Partial<Record<'street' | 'streetNumber' | 'building' | 'district' | 'city' | 'province' | 'postcode', string>>

const city = /^(?<city>[\p{Script=Han}]{2,8}?)(?:市|自治州|地区)/u
const district = /^(?<district>[\p{Script=Han}]{1,8}?)(?:区|县|旗|市)(?!路|街|道)/u
const town = /^[\p{Script=Han}]{1,6}?(?:镇|乡|街道)/u
const street = /^(?<street>[\p{Script=Han}\d]{1,12}?(?:大道|大街|路|街|道|巷|胡同|弄)(?:[东西南北中](?:路|街|段)?(?=\d|[a-z]|$))?)/u
const number = /^第?(?<streetNumber>\d+(?:-\d+)?|[a-z]\d+|[一二三四五六七八九十百]+)号(?!楼|院|线)/u

/** An address in one line, taken apart: 广东省深圳市南山区科技园路12号3栋; 12 Main Street, The Willows. */
export const parseAddress = (written: string): Place => (isHan(written) ? chinese(written) : western(written))

const chinese = (written: string): Place => {
  const text = plainText(written).replace(/[^\p{L}\p{N}-]/gu, '')
  const { region, rest: afterRegion } = takeRegion(text)
  const place: Place = { ...region }
  let rest = afterRegion
  const take = (pattern: RegExp) => {
    const found = pattern.exec(rest)
    if (!found) return
    rest = rest.slice(found[0].length)
    Object.assign(place, found.groups)
  }
  if (place.city === undefined && place.province === undefined) take(city)
  take(district)
  take(town)
  take(street)
  take(number)
  if (place.streetNumber !== undefined) place.streetNumber = arabicNumber(place.streetNumber)
  return clean({ ...place, building: rest.replace(/^[号院]/u, '') })
}

const western = (written: string): Place => {
  const [line = '', ...more] = plainText(written).split(/[,;\n]/)
  const [, houseNumber, road = ''] = /^\s*(\d+[a-z]?(?:[-/]\d+[a-z]?)?)?\s*(.*)$/.exec(line) ?? []
  return clean({ streetNumber: houseNumber, street: wordsOf(road).join(' '), building: more.flatMap(wordsOf).join(' ') })
}

const clean = (place: Partial<Record<keyof Place, string | undefined>>): Place =>
  Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined && value !== ''))
