import { describe, expect, test } from 'vitest'
import { personal } from '../../../src/domain/decider.ts'
import { regionOf, regionsAround } from '../../../src/domain/handover/region.ts'

const about = (value: string) => personal('customer-c', value)

describe('where a customer is', () => {
  test.each([
    [{ address: about('广东省深圳市南山区科技园路 12 号') }, '广东/深圳'],
    [{ address: '深圳市福田区' }, '广东/深圳'],
    [{ address: about('上海市浦东新区世纪大道 1 号') }, '上海'],
    [{ region: '广东', address: about('北京市海淀区') }, '广东'],
    [{ province: '浙江省', city: '杭州市', address: about('北京市') }, '浙江/杭州'],
    [{ region: '华南', address: about('厦门湖里') }, '福建/厦门'],
    [{ address: about('12 Main Street, London') }, null],
    [{ address: null }, null],
    [{ address: { erased: true as const } }, null],
    [{ source: 'referral' }, undefined],
  ])('%j: %s', (fields, region) => {
    expect(regionOf(fields)).toBe(region)
  })
  test('a city lies in its province, a province in nothing wider', () => {
    expect([regionsAround('广东/深圳'), regionsAround('广东'), regionsAround('/某市')]).toEqual([['广东/深圳', '广东'], ['广东'], ['/某市']])
  })
})
