import { pinyin } from 'pinyin-pro'
import { doubleMetaphone } from 'double-metaphone'
import { compactText, isHan, plainText, wordsOf } from './text.ts'

// The compound surnames still borne in any number.
const compound = new Set(['欧阳', '太史', '端木', '上官', '司马', '东方', '独孤', '南宫', '万俟', '闻人', '夏侯', '诸葛', '尉迟', '公羊', '赫连', '澹台', '皇甫', '宗政', '濮阳', '公冶', '太叔', '申屠', '公孙', '慕容', '仲孙', '钟离', '长孙', '宇文', '司徒', '鲜于', '司空', '闾丘', '令狐', '轩辕', '呼延', '东郭', '西门', '百里', '公西', '乐正', '拓跋', '夹谷', '第五', '梁丘', '左丘', '南门', '东门'])
const titles = new Set(['mr', 'mrs', 'ms', 'miss', 'dr', 'prof', 'sir'])
const address = /(?:先生|女士|小姐|太太|同志|老师)$/u

export type PersonName = { given?: string; surname?: string }

/** A Chinese name is a surname of one character, or one of the compound ones, and the rest; others end with the surname. */
export const splitName = (written: string): PersonName => {
  const plain = plainText(written).replace(/\(.*?\)|\[.*?\]|【.*?】/g, ' ').trim()
  if (isHan(plain)) {
    const name = compactText(plain).replace(/[^\p{Script=Han}]/gu, '').replace(address, '')
    const surname = compound.has(name.slice(0, 2)) && name.length > 2 ? name.slice(0, 2) : name.slice(0, 1)
    return parts(name.slice(surname.length), surname)
  }
  const [before = '', after] = plain.split(',')
  const words = wordsOf(before).filter((word) => !titles.has(word))
  // Smith, John
  if (after !== undefined) return parts(wordsOf(after).join(' '), words.join(' '))
  return words.length === 1 ? parts('', words.join('')) : parts(words.slice(0, -1).join(' '), words.at(-1) ?? '')
}

const parts = (given: string, surname: string): PersonName => ({ ...(given && { given }), ...(surname && { surname }) })

/** One part of a name, as written in a field of its own. */
export const namePart = (written: string): string => (isHan(written) ? compactText(written).replace(/[^\p{Script=Han}]/gu, '') : wordsOf(written).filter((word) => !titles.has(word)).join(' '))

/**
 * How a name is said: its pinyin, a surname by its own reading (单 Shàn, 曾 Zēng, 仇 Qiú, 解 Xiè, 查 Zhā); for Latin
 * letters its Double Metaphone code.
 */
export const soundOf = (name: string, as: 'surname' | 'given' | 'words'): string => {
  if (isHan(name)) return pinyin(name, { toneType: 'none', type: 'array', surname: as === 'surname' ? 'all' : 'off', nonZh: 'consecutive', v: true }).join('')
  return doubleMetaphone(name.replaceAll(' ', ''))[0]
}
