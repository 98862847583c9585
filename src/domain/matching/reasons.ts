import type { ComparisonName, Level, Rival, Veto } from './comparisons.ts'

export type Language = 'en' | 'zh'
type Words = Record<Language, string>

const what: Record<ComparisonName, Words> = {
  given: { en: 'given name', zh: '名字' },
  surname: { en: 'surname', zh: '姓氏' },
  'name-order': { en: 'order of names', zh: '姓名顺序' },
  'birth-date': { en: 'birth date', zh: '出生日期' },
  core: { en: 'company name', zh: '字号' },
  region: { en: 'region in the name', zh: '名称中的地区' },
  trade: { en: 'trade in the name', zh: '名称中的行业' },
  'legal-form': { en: 'legal form', zh: '组织形式' },
  'whole-name': { en: 'registered name', zh: '登记全称' },
  branch: { en: 'branch', zh: '分支机构' },
  mobile: { en: 'mobile', zh: '手机号' },
  phone: { en: 'phone', zh: '电话' },
  email: { en: 'email', zh: '电子邮箱' },
  number: { en: 'official number', zh: '证件号码' },
  street: { en: 'street', zh: '街道' },
  'street-number': { en: 'street number', zh: '门牌号' },
  building: { en: 'building', zh: '楼栋' },
  district: { en: 'district', zh: '区县' },
  city: { en: 'city', zh: '城市' },
  province: { en: 'province', zh: '省份' },
  postcode: { en: 'postcode', zh: '邮政编码' },
}

const how: Record<Level, (what: Words) => Words> = {
  same: ({ en, zh }) => ({ en: `same ${en}`, zh: `${zh}相同` }),
  sound: ({ en, zh }) => ({ en: `${en} sounds the same`, zh: `${zh}读音相同` }),
  close: ({ en, zh }) => ({ en: `${en} differs by a character or so`, zh: `${zh}相差一两个字符` }),
  part: ({ en, zh }) => ({ en: `${en} the same in part`, zh: `${zh}部分相同` }),
  similar: ({ en, zh }) => ({ en: `similar ${en}`, zh: `${zh}相近` }),
  local: ({ en, zh }) => ({ en: `same ${en} but for the host`, zh: `${zh}仅域名不同` }),
  partly: ({ en, zh }) => ({ en: `${en} agrees in two of year, month and day`, zh: `${zh}年月日中两项相同` }),
  different: ({ en, zh }) => ({ en: `different ${en}`, zh: `${zh}不同` }),
  kept: ({ en, zh }) => ({ en: `same ${en}`, zh: `${zh}相同` }),
  swapped: () => ({ en: 'given name and surname exchanged', zh: '姓与名互换' }),
}

/** Where how two values agree has a name of its own. */
const own = new Map<string, Words>([
  ['phone:close', { en: 'phone nearly the same (a digit, the area code or the extension)', zh: '电话几乎相同（仅差一位、区号或分机）' }],
])

const shared: Record<Rival, Words> = {
  neighbours: { en: 'neighbours agree in this too', zh: '同区域客户也会如此' },
  household: { en: 'people of one household agree in this too', zh: '同住者也会如此' },
  family: { en: 'a family agrees in this too', zh: '家庭成员也会如此' },
  'one-building': { en: 'companies in one building agree in this too', zh: '同楼企业也会如此' },
  group: { en: 'companies of one group agree in this too', zh: '集团内企业也会如此' },
  'group-in-one-building': { en: 'companies of one group in one building agree in this too', zh: '集团内同址企业也会如此' },
}

const veto: Record<Veto, Words> = {
  'kinds-differ': { en: 'one is a person, the other an organisation', zh: '一个是个人，一个是组织' },
  'uscc-differs': { en: 'different valid unified social credit codes', zh: '统一社会信用代码均有效但不同' },
  'resident-id-differs': { en: 'different valid resident IDs', zh: '身份证号均有效但不同' },
  'branch-differs': { en: 'a branch is not its parent, nor another branch', zh: '分支机构与总部或其他分支机构不是同一客户' },
}

const knownWhat = new Map<string, Words>(Object.entries(what))
const knownHow = new Map<string, (what: Words) => Words>(Object.entries(how))
const knownShared = new Map<string, Words>(Object.entries(shared))

/**
 * A reason as a person reads it: what was compared and how it came out, never a value. One that an older version
 * stored under a name there is no more is given as it stands.
 */
export const inWords = ({ comparison, level }: { comparison: string; level: string }, language: Language): string => {
  const compared = knownWhat.get(comparison)
  const words = own.get(`${comparison}:${level}`) ?? (compared ? knownHow.get(level)?.(compared) : knownShared.get(level))
  return words?.[language] ?? `${comparison}: ${level}`
}

export const vetoInWords = (reason: Veto, language: Language): string => veto[reason][language]
