import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blockingKeys } from '../../../src/domain/matching/blocking.ts'
import { compare } from '../../../src/domain/matching/compare.ts'
import { defaultWeights } from '../../../src/domain/matching/default-weights.ts'
import { featuresOf } from '../../../src/domain/matching/features.ts'
import { MatchAs } from '../../../src/domain/matching/match-as.ts'
import type { MatchProfile } from '../../../src/domain/matching/profile.ts'
import { inWords, vetoInWords } from '../../../src/domain/matching/reasons.ts'

type Fields = Partial<Record<MatchAs, string>>
const profile = (kind: MatchProfile['kind'], name: string | null, fields: Fields = {}): MatchProfile =>
  ({ kind, name, fields: MatchAs.options.flatMap((matchAs) => (fields[matchAs] === undefined ? [] : [{ matchAs, value: fields[matchAs] }])), identifiers: [] })
const person = (name: string, fields?: Fields) => featuresOf(profile('individual', name, fields))
const company = (name: string, fields?: Fields) => featuresOf(profile('organisation', name, fields))
const likely = (one: ReturnType<typeof person>, other: ReturnType<typeof person>) => compare(one, other, defaultWeights).probability

const home = { address: '广东省深圳市南山区科技园路12号3栋201室', phone: '0755-88888888' }

describe('who is one customer', () => {
  it.each([
    ['a homophone, another way of writing phone and date', person('张伟', { phone: '13800138000', 'birth-date': '1980年3月5日' }), person('张玮', { phone: '+86 138 0013 8000', 'birth-date': '19800305' })],
    ['traditional characters', person('張志偉', { phone: '13800138000' }), person('张志伟', { phone: '13800138000' })],
    ['names exchanged', person('x', { 'given-name': 'laura', surname: 'berry', 'birth-date': '19900219' }), person('x', { 'given-name': 'berry', surname: 'laura', 'birth-date': '19900219' })],
    ['who moved', person('司徒志玲', { ...home, phone: '13800138000' }), person('司徒志玲', { phone: '13800138000', address: '北京市朝阳区建国路1号' })],
    ['one registered name', company('格力电器股份有限公司'), company('格力電器股份有限公司')],
    ['one branch behind one switchboard', company('招商银行股份有限公司武汉光谷支行', { phone: '027-87654321' }), company('招商银行武汉光谷支行', { phone: '027-87654321' })],
    ['three words in another order', person('Mary Ann Jones', { 'birth-date': '19800203' }), person('Jones Mary Ann', { 'birth-date': '19800203' })],
    ['initials of several given names', person('J. R. Smith', { 'birth-date': '19800203' }), person('John Robert Smith', { 'birth-date': '19800203' })],
    ['a name in pinyin', person('王建国', { 'birth-date': '19800203', phone: '13800138000' }), person('Wang Jian Guo', { 'birth-date': '19800203', phone: '13800138000' })],
    ['a number of the house in Chinese', person('王建国', { 'birth-date': '19800203', address: '深圳市南山区科技路三十二号' }), person('王建国', { 'birth-date': '19800203', address: '深圳市南山区科技路32号' })],
    ['a form left out, the city in brackets', company('深圳市华宇电子科技有限公司', { phone: '0755-88888888' }), company('华宇电子科技（深圳）', { phone: '075588888888' })],
  ])('%s', (_what, one, other) => expect(likely(one, other)).toBeGreaterThan(defaultWeights.thresholds.accept))

  it.each([
    ['members of a family', person('张志明', { ...home, 'birth-date': '19800305' }), person('张小红', { ...home, 'birth-date': '20100612' })],
    ['brothers who share a character', person('张志明', { ...home, 'birth-date': '19800305' }), person('张志强', { ...home, 'birth-date': '19830611' })],
    ['namesakes', person('张伟', { 'birth-date': '19800305' }), person('张伟', { 'birth-date': '19550611' })],
    ['one name in two cities', company('深圳市华宇电子科技有限公司', { phone: '0755-88888888' }), company('成都市华宇电子科技有限公司', { phone: '028-66666666' })],
    ['strangers behind one switchboard', company('深圳市华宇电子科技有限公司', { phone: '0755-88888888' }), company('深圳市明德贸易有限公司', { phone: '0755-88888888' })],
    ['a service number everybody may rent', company('深圳市华宇电子科技有限公司', { phone: '400-800-8888' }), company('北京明德贸易有限公司', { phone: '400-800-8888' })],
  ])('not %s', (_what, one, other) => expect(likely(one, other)).toBeLessThan(defaultWeights.thresholds.case))

  it.each([
    ['branch-differs', company('招商银行股份有限公司'), company('招商银行股份有限公司南山支行')],
    ['branch-differs', company('华宇贸易有限公司宁波分公司'), company('华宇贸易有限公司温州分公司')],
    ['uscc-differs', company('华宇贸易有限公司', { 'official-number': '91350100M000100Y43' }), company('华宇贸易有限公司', { 'official-number': '911100000000000004' })],
    ['resident-id-differs', person('张伟', { 'official-number': '11010519491231002X' }), person('张伟', { 'official-number': '440524188001010014' })],
    ['kinds-differ', person('华宇'), company('华宇')],
  ] as const)('%s, whatever else agrees', (veto, one, other) => {
    const { probability, veto: given } = compare(one, other, defaultWeights)
    // A number whose check digit fails is none: it proves nothing.
    if (veto === 'uscc-differs' && !(one.numbers?.[0]?.startsWith('uscc:') && other.numbers?.[0]?.startsWith('uscc:'))) return expect(given).toBeNull()
    if (veto === 'resident-id-differs' && !(one.numbers?.[0]?.startsWith('rid:') && other.numbers?.[0]?.startsWith('rid:'))) return expect(given).toBeNull()
    expect({ probability, given }).toEqual({ probability: 0, given: veto })
    return expect(vetoInWords(veto, 'zh')).toMatch(/\p{Script=Han}/u)
  })

  it.each([
    ['one name without more, as a case', company('招商银行股份有限公司'), company('招商银行股份有限公司'), 'case'],
    ['one branch by its name alone, as a case', company('招商银行股份有限公司武汉光谷支行'), company('招商银行武汉光谷支行'), 'case'],
    ['a person in pinyin, surname first, to who enters', person('王建国', { 'birth-date': '19800203' }), person('Wang Jianguo', { 'birth-date': '19800203' }), 'shown'],
  ] as const)('is shown: %s', (_what, one, other, threshold) => {
    expect(likely(one, other)).toBeGreaterThan(defaultWeights.thresholds[threshold])
    expect(blockingKeys(one).filter((key) => blockingKeys(other).includes(key))).not.toEqual([])
  })

  it('one branch told more or less fully is one', () => expect(compare(company('招商银行股份有限公司深圳南山支行'), company('招商银行南山支行'), defaultWeights).veto).toBeNull())
})

it('reasons say in words what agreed, the most telling first, and name no value', () => {
  const { reasons } = compare(person('张伟', { phone: '13800138000', 'birth-date': '1980-03-05' }), person('张玮', { phone: '13800138000', 'birth-date': '1980-03-06' }), defaultWeights)
  const words = reasons.map((reason) => [inWords(reason, 'en'), inWords(reason, 'zh')])
  expect(words[0]).toEqual(['same mobile', '手机号相同'])
  expect(inWords({ comparison: 'phone', level: 'close' }, 'en')).toBe('phone nearly the same (a digit, the area code or the extension)')
  expect(words).toEqual(expect.arrayContaining([['same surname', '姓氏相同'], ['birth date differs by a character or so', '出生日期相差一两个字符'], ['given name sounds the same', '名字读音相同'], ['a family agrees in this too', '家庭成员也会如此']]))
  expect(inWords({ comparison: 'gone', level: 'of-old' }, 'zh')).toBe('gone: of-old')
})

const names = fc.constantFrom('张伟', '张玮', '張志明', '张志强', '欧阳锋', 'John Smith', 'Smith John', 'Jon Smyth', 'Mary')
const companies = fc.constantFrom('深圳市华宇电子科技有限公司', '华宇电子科技（深圳）', '成都华宇餐饮店', '招商银行南山支行', '招商银行', 'Acme Ltd', 'Acme Trading')
const values: { [K in MatchAs]?: fc.Arbitrary<string> } = {
  phone: fc.constantFrom('13800138000', '13800138001', '0755-88888888', '0755-88888888转12', '400-800-8888'), 'birth-date': fc.constantFrom('1980-03-05', '1980-05-03', '1980-03-06', '2001-01-01'),
  email: fc.constantFrom('li@example.com', 'lii@example.com', 'li@example.org'), 'official-number': fc.constantFrom('A1234567', 'A1234576', '11010519491231002X'),
  street: fc.constantFrom('main street', 'mian street', '科技园路'), building: fc.constantFrom('the willows', 'main street', '3栋'), 'street-number': fc.constantFrom('1', '12', '21'),
  district: fc.constantFrom('南山', '福田'), city: fc.constantFrom('深圳', '成都'), province: fc.constantFrom('广东', '四川'), postcode: fc.constantFrom('518000', '518001'),
}
const fields: fc.Arbitrary<Fields> = fc.record(values, { requiredKeys: [] })
const anyone = fc.oneof(fc.tuple(fc.constant('individual' as const), names, fields), fc.tuple(fc.constant('organisation' as const), companies, fields))
const featuresOfOne = ([kind, name, given]: [MatchProfile['kind'], string, Fields]) => featuresOf(profile(kind, name, given))

const agreed: Fields = { 'birth-date': '1990-07-08', email: 'both@example.com', 'official-number': 'Z9', 'street-number': '7', district: '罗湖', postcode: '518777' }

describe('whatever the records', () => {
  it('comparing is the same both ways, and again', () => fc.assert(fc.property(anyone, anyone, (one, other) => {
    const [first, second] = [featuresOfOne(one), featuresOfOne(other)]
    expect(compare(second, first, defaultWeights)).toEqual(compare(first, second, defaultWeights))
  })))

  it('the order of the fields changes nothing', () => fc.assert(fc.property(anyone, ([kind, name, given]) => {
    const stated = profile(kind, name, given)
    const turned = { ...stated, fields: stated.fields.toReversed() }
    expect(featuresOf(turned)).toEqual(featuresOf(stated))
    expect(blockingKeys(featuresOf(turned))).toEqual(blockingKeys(featuresOf(stated)).toSorted())
  })))

  it('one more value in which both agree never lowers the score', () => fc.assert(fc.property(anyone, anyone, fc.constantFrom<MatchAs>('birth-date', 'email', 'official-number', 'street-number', 'district', 'postcode'), (one, other, added) => {
    fc.pre(one[0] === other[0] && one[2][added] === undefined && other[2][added] === undefined)
    const value = agreed[added] ?? ''
    const withIt = (record: typeof one) => featuresOf(profile(record[0], record[1], { ...record[2], [added]: value }))
    const before = compare(featuresOfOne(one), featuresOfOne(other), defaultWeights)
    // A postcode in common takes the place of the province, which follows from it.
    if (added === 'postcode') fc.pre(one[2].province === undefined)
    expect(compare(withIt(one), withIt(other), defaultWeights).score).toBeGreaterThanOrEqual(before.score - 1e-9)
  })))
})
