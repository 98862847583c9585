import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../../src/domain/matching/address.ts'
import { matchDate } from '../../../src/domain/matching/birth-date.ts'
import { parseCompanyName } from '../../../src/domain/matching/company-name.ts'
import { soundOf, splitName } from '../../../src/domain/matching/person-name.ts'
import { matchPhone } from '../../../src/domain/matching/phone.ts'
import { arabicNumber, plainText } from '../../../src/domain/matching/text.ts'

describe('text is compared in one form', () => {
  it.each([
    ['Ｈｕａｗｅｉ（深圳）', 'huawei(深圳)'],
    ['臺灣積體電路', '台湾积体电路'],
    ['王\u200b小　明 ', '王小 明'],
    ['Müller-Lüdenscheidt', 'muller-ludenscheidt'],
    ['Strauß', 'strauss'],
    ['暂无', ''],
    ['N/A', ''],
  ])('%s', (written, plain) => expect(plainText(written)).toBe(plain))
})

describe('a person’s name is taken apart', () => {
  it.each([
    ['张伟', '伟', '张'],
    ['張偉先生', '伟', '张'],
    ['欧阳 锋', '锋', '欧阳'],
    ['司马', '马', '司'],
    ['王（小）明', '明', '王'],
    ['John Smith', 'john', 'smith'],
    ['Dr. Mary Jane O’Neill', 'mary jane', 'oneill'],
    ['Smith, John', 'john', 'smith'],
    ['Cher', undefined, 'cher'],
  ])('%s', (written, given, surname) => expect(splitName(written)).toEqual({ ...(given && { given }), surname }))

  it.each([['单', 'shan'], ['曾', 'zeng'], ['仇', 'qiu'], ['解', 'xie'], ['查', 'zha'], ['欧阳', 'ouyang']])('the surname %s is read %s', (surname, sound) => expect(soundOf(surname, 'surname')).toBe(sound))
  it('names that sound alike in English have one code', () => expect(soundOf('smyth', 'surname')).toBe(soundOf('smith', 'surname')))
})

describe('a company’s name is taken apart', () => {
  it.each([
    ['深圳市华宇电子科技有限公司', { core: '华宇', region: { province: '广东', city: '深圳' }, trade: '电子科技', form: 'limited' }],
    ['華宇電子科技（深圳）有限公司', { core: '华宇', region: { province: '广东', city: '深圳' }, trade: '电子科技', form: 'limited' }],
    ['广东省深圳市华宇 电子科技', { core: '华宇', region: { province: '广东', city: '深圳' }, trade: '电子科技' }],
    ['北京华宇集团股份有限公司', { core: '华宇', region: { province: '北京' }, form: 'stock' }],
    ['上海明德投资（有限合伙）', { core: '明德', region: { province: '上海' }, trade: '投资', form: 'partnership' }],
    ['广州市宏发建材商行', { core: '宏发', region: { province: '广东', city: '广州' }, trade: '建材', form: 'shop' }],
    ['招商银行股份有限公司深圳南山支行', { core: '招商银行', region: {}, branch: '深圳南山支行' }],
    ['招商银行南山支行', { core: '招商银行', region: {}, branch: '南山支行' }],
    ['杭州华宇贸易有限公司宁波分公司', { core: '华宇', region: { province: '浙江', city: '杭州' }, trade: '贸易', form: 'limited', branch: '宁波分公司' }],
    ['The Acme Trading Co., Ltd.', { core: 'acme trading', region: {}, form: 'limited' }],
    ['Müller GmbH', { core: 'muller', region: {}, form: 'limited' }],
  ])('%s', (written, parts) => expect(parseCompanyName(written)).toEqual({ ...parts, aliases: [] }))
})

describe('a phone number is compared in one form', () => {
  it.each([
    ['１３８-0013-8000', { number: '+8613800138000', isMobile: true }],
    ['+86 138 0013 8000', { number: '+8613800138000', isMobile: true }],
    ['(0755) 8888 8888', { number: '+8675588888888', isMobile: false }],
    ['0755-88888888转12', { number: '+8675588888888;12', isMobile: false }],
    ['400-800-8888', undefined],
    ['95588', undefined],
    ['123', undefined],
  ])('%s', (written, number) => expect(matchPhone(written)).toEqual(number))
})

it.each([['三十二', '32'], ['十', '10'], ['十二', '12'], ['二十', '20'], ['一百零五', '105'], ['三百二十一', '321'], ['三二', '32'], ['32', '32'], ['a3', 'a3']])('the number %s', (written, number) => expect(arabicNumber(written)).toBe(number))

it.each([['1980年3月5日', '19800305'], ['1980/3/5', '19800305'], ['1980-03-05', '19800305'], ['19800305', '19800305'], ['05.03.1980', '19800305']])('the date %s', (written, date) => expect(matchDate(written)).toBe(date))

describe('an address is taken apart', () => {
  it.each([
    ['广东省深圳市南山区科技园路12号3栋201室', { province: '广东', city: '深圳', district: '南山', street: '科技园路', streetNumber: '12', building: '3栋201室' }],
    ['深圳南山区科技园路１２号', { province: '广东', city: '深圳', district: '南山', street: '科技园路', streetNumber: '12' }],
    ['北京市朝阳区建国门外大街1号国贸大厦A座', { province: '北京', district: '朝阳', street: '建国门外大街', streetNumber: '1', building: '国贸大厦a座' }],
    ['12 Main Street, The Willows', { streetNumber: '12', street: 'main street', building: 'the willows' }],
  ])('%s', (written, place) => expect(parseAddress(written)).toEqual(place))
})
