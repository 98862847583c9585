import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { likePattern, searchTerm, searchText } from '../../../src/projections/customer-lookup/search.ts'

/** LIKE, as Postgres has it: % is any text, _ any character, and a backslash makes the next one itself. */
const like = (text: string, pattern: string): boolean => {
  const parts = [...pattern.matchAll(/\\(.)|(%)|(_)|([^\\%_])/gsu)].map(([, escaped, any, one, plain]) => {
    if (any !== undefined) return '.*'
    return one !== undefined ? '.' : (escaped ?? plain ?? '').replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('')}$`, 'su').test(text)
}
const finds = (q: string, names: string[], numbers: string[] = []) => like(searchText(names, numbers), likePattern(searchTerm(q)))

describe('a name is found', () => {
  it.each<[string, string]>([
    ['王小明', '王小明'], ['王小明', '小明'], ['王小明', '王 小明'], ['王小明', 'wangxiaoming'], ['王小明', 'Wang Xiaoming'], ['王小明', 'xiaom'], ['王小明', 'wxm'], ['王小明', 'XM'], ['王小明', 'ＷＸＭ'], ['王小明', 'ｗａｎｇ'],
    ['欧阳娜娜', 'ouyang'], ['欧阳娜娜', 'oynn'], ['吕布', 'lvbu'], ['重庆银行股份有限公司', 'chongqingyinhang'], ['重庆银行股份有限公司', 'cqyh'], ['长安汽车', 'changan'],
    ['ＡＢＣ公司', 'abc公司'], ['ABC公司', 'ＡＢＣ'], ['IBM中国', 'ibmzhongguo'], ['O\'Brien Ltd', 'o\'brien'], ['腾讯科技（深圳）有限公司', '科技(深圳)'], ['腾讯科技（深圳）有限公司', '腾讯科技深圳'],
    ['7-11便利店', '7-11'], ['7-11便利店', '7-11便利'], ['360-Test', '360-t'], ['Café', 'CAFE\u0301'], ['𠮷野家', '𠮷野'], ['𠮷野家', 'yejia'],
  ])('%s by %s', (name, q) => {
    expect(finds(q, [name])).toBe(true)
  })
  it.each<[string, string[], string[]]>([
    ['单雄信', ['shanxiongxin', 'sxx'], ['danxiongxin', 'dxx']], ['曾国藩', ['zengguofan', 'zgf'], ['cengguofan', 'cgf']], ['仇英', ['qiuying', 'qy'], ['chouying', 'cy']],
    ['解缙', ['xiejin', 'xj'], ['jiejin', 'jj']], ['查良镛', ['zhaliangyong', 'zly'], ['chaliangyong', 'cly']], ['朴树', ['piaoshu'], ['pushu']], ['区志航', ['ouzhihang', 'ozh'], ['quzhihang']], ['尉迟恭', ['yuchigong', 'ycg'], []],
  ])('%s, its surname read as one, and as the character is read elsewhere', (name, asSurname, elsewhere) => {
    for (const q of [...asSurname, ...elsewhere]) expect(finds(q, [name]), q).toBe(true)
  })
  it.each([['王小明', 'wangxiaohong'], ['王小明', '王明'], ['王小明', 'wm'], ['单雄信', 'chan'], ['王小明', '-']])('%s not by %s', (name, q) => {
    expect(finds(q, [name])).toBe(false)
  })
  test('by any part of it, however long', () => {
    const character = fc.constantFrom(...'王小明单曾仇解查欧阳重庆银行𠮷aZ１7-.()（）%_\\ \'ＡＢｃé')
    fc.assert(fc.property(fc.array(character, { minLength: 1, maxLength: 12 }), fc.nat(), fc.nat(), (characters, from, length) => {
      const part = characters.slice(from % characters.length).slice(0, 1 + length % characters.length).join('')
      fc.pre(part.trim() !== '')
      expect(finds(part, [characters.join('')])).toBe(true)
    }), { seed: 20260303, numRuns: 500 })
  })
  test('one name of several, and never two of them together', () => {
    expect(finds('李雷', ['王小明', '李雷'])).toBe(true)
    expect(finds('明李', ['王小明', '李雷'])).toBe(false)
  })
})

describe('a number is found', () => {
  const mobile = '+8613800138000'
  const landline = '+861062345678;ext=12'
  it.each<[string, string]>([
    [mobile, '13800138000'], [mobile, '138 0013 8000'], [mobile, '138-0013-8000'], [mobile, '(138) 0013.8000'], [mobile, '１３８００１３'], [mobile, '0138'], [mobile, '+86 138'], [mobile, '8000'],
    [landline, '62345678'], [landline, '6234-5678'], [landline, '010-6234'], [landline, '(010) 62345678'], [landline, '+86 10'], ['+442079460958', '7946 0958'], ['+442079460958', '+44 20'],
  ])('%s by %s', (number, q) => {
    expect(finds(q, ['王小明'], [number])).toBe(true)
  })
  it.each<[string, string]>([[mobile, '1380013800013'], [mobile, '139'], [landline, '0216234'], ['+442079460958', '02079460958']])('%s not by %s', (number, q) => {
    expect(finds(q, ['王小明'], [number])).toBe(false)
  })
})

describe('what LIKE takes for a wildcard is itself', () => {
  it.each(['%', '_', '\\', '%_\\', '50%', 'a_b', '\\%'])('%s', (q) => {
    expect(finds(q, [`x${q}y`])).toBe(true)
    expect(finds(q, ['王小明 abcd 50 axb'], ['+8613800138000'])).toBe(false)
  })
  test('signs alone find only what holds them', () => {
    for (const q of ['-', '()', '.', '+/-']) expect(finds(q, ['王小明'], ['+8613800138000'])).toBe(false)
    expect(finds('-', ['7-11'])).toBe(true)
  })
})

test('the text is the same for the same names and numbers, in any order, and one that every database can keep', () => {
  fc.assert(fc.property(fc.array(fc.string({ unit: 'grapheme' })), fc.array(fc.constantFrom('+8613800138000', '+442079460958')), (names, numbers) => {
    const text = searchText(names, numbers)
    expect(searchText(names.toReversed(), [...numbers, ...numbers])).toBe(text)
    expect(text.isWellFormed()).toBe(true)
    expect(text.split('\n')).toEqual([...new Set(text.split('\n'))].sort())
  }), { seed: 20260303 })
  expect(searchText([], [])).toBe('')
})
