import { LRUCache } from 'lru-cache'
import { pinyin } from 'pinyin-pro'

const plain = (text: string): string => text.normalize('NFKC').toLowerCase().replace(/\s+/g, '')
const withoutSeparators = (text: string): string => text.replace(/[()\-./]/g, '')

/**
 * The ways a name may be looked for: as written, without hyphens and the like (7-11), in pinyin, by initials of the
 * pinyin. A surname is read as one (单 Shàn, 曾 Zēng): the reading common in other words is kept beside it where it
 * differs.
 */
const nameForms = (name: string): string[] => {
  const forms = new Set([plain(name), withoutSeparators(plain(name))])
  if (/\p{Script=Han}/u.test(name)) {
    for (const mode of ['head', 'off'] as const) {
      const syllables = pinyin(name, { toneType: 'none', type: 'array', surname: mode, nonZh: 'consecutive', v: true })
      forms.add(plain(syllables.join('')))
      forms.add(plain(syllables.map(([initial = '']) => initial).join('')))
    }
  }
  return [...forms]
}

// Pinyin is slow, and a customer's names are the same at each of its events.
const known = new LRUCache<string, string[]>({ max: 20_000 })
const formsOf = (name: string): string[] => {
  const forms = known.get(name) ?? nameForms(name)
  known.set(name, forms)
  return forms
}

/** A number as it is stored, and as it is called within China: a landline with the 0 before its area code. */
const numberForms = (number: string): string[] => (number.startsWith('+86') ? [plain(number), `0${plain(number).slice(3)}`] : [plain(number)])

/** Everything a search for a part of it shall find, a line each, sorted so that a replay makes the same text. */
export const searchText = (names: readonly string[], numbers: readonly string[]): string =>
  [...new Set([...names.flatMap(formsOf), ...numbers.flatMap(numberForms)])].filter((line) => line !== '').sort().join('\n')

/** A search term in the form `searchText` is in. Only a number loses its separators: names may hold hyphens. */
export const searchTerm = (text: string): string => {
  const term = plain(text)
  return /^[+\d()\-./]+$/.test(term) && /\d/.test(term) ? withoutSeparators(term) : term
}

/** The term as a pattern for LIKE: what LIKE would take for a wildcard is itself. */
export const likePattern = (term: string): string => `%${term.replace(/[\\%_]/g, '\\$&')}%`
