import { pinyin } from 'pinyin-pro'

const plain = (text: string): string => text.normalize('NFKC').toLowerCase().replace(/\s+/g, '')

/**
 * The ways a name may be looked for: as written, in pinyin, by initials of the pinyin. A surname is read as one
 * (单 Shàn, 曾 Zēng): the reading common in other words is kept beside it where it differs.
 */
const nameForms = (name: string): string[] => {
  const forms = new Set([plain(name)])
  if (/\p{Script=Han}/u.test(name)) {
    for (const mode of ['head', 'off'] as const) {
      const syllables = pinyin(name, { toneType: 'none', type: 'array', surname: mode, nonZh: 'consecutive', v: true })
      forms.add(plain(syllables.join('')))
      forms.add(plain(syllables.map((syllable) => syllable.slice(0, 1)).join('')))
    }
  }
  return [...forms]
}

/** Everything a search for a part of it shall find, a line each, sorted so that a replay makes the same text. */
export const searchText = (names: readonly string[], numbers: readonly string[]): string =>
  [...new Set([...names.flatMap(nameForms), ...numbers.map(plain)])].filter((line) => line !== '').sort().join('\n')

/** A search term in the form `searchText` is in. Only a phone number loses its separators: names may hold hyphens. */
export const searchTerm = (text: string): string => {
  const term = plain(text)
  return /^[+\d()\-./]+$/.test(term) ? term.replace(/[()\-./]/g, '') : term
}

/** The term as a pattern for LIKE: what LIKE would take for a wildcard is itself. */
export const likePattern = (term: string): string => `%${term.replace(/[\\%_]/g, '\\$&')}%`
