/**
 * Whether a text is the canonical form (RFC 8785) of the JSON value it is read as: the same as reading it, writing it
 * anew with `canonical` and comparing, in a third of the time, since nothing is built. Never throws.
 */
export const isCanonicalText = (text: string): boolean => {
  try {
    return afterValue(text, 0) === text.length
  } catch {
    // Nested deeper than anything that could have been written.
    return false
  }
}

const NOT = -1
const [QUOTE, BACKSLASH, COMMA, COLON, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x2c, 0x3a, 0x5b, 0x5d, 0x7b, 0x7d]

/** Each of these answers where what begins at `at` ends, or NOT where it is not canonical. */
const afterValue = (text: string, at: number): number => {
  switch (text.charCodeAt(at)) {
    case QUOTE:
      return afterString(text, at)
    case OPEN_OBJECT:
      return afterObject(text, at)
    case OPEN_LIST:
      return afterList(text, at)
    case 0x74:
      return text.startsWith('true', at) ? at + 4 : NOT
    case 0x66:
      return text.startsWith('false', at) ? at + 5 : NOT
    case 0x6e:
      return text.startsWith('null', at) ? at + 4 : NOT
    default:
      return afterNumber(text, at)
  }
}

const afterString = (text: string, at: number): number => {
  for (let place = at + 1; place < text.length; place += 1) {
    const code = text.charCodeAt(place)
    if (code === QUOTE) return place + 1
    if (code === BACKSLASH) {
      place = lastOfEscape(text, place)
      if (place === NOT) return NOT
    } else if (code < 0x20) return NOT
    else if (code >= 0xd800 && code <= 0xdfff) {
      const next = text.charCodeAt(place + 1)
      if (code > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return NOT
      place += 1
    }
  }
  return NOT
}

/** An escape is for what cannot stand there itself, and in its shortest form. */
const lastOfEscape = (text: string, at: number): number => {
  if ('"\\bfnrt'.includes(text.charAt(at + 1))) return text.length > at + 1 ? at + 1 : NOT
  const code = /^u00([01][0-9a-f])$/.exec(text.slice(at + 1, at + 6))?.[1]
  return code === undefined || ['08', '09', '0a', '0c', '0d'].includes(code) ? NOT : at + 5
}

const afterNumber = (text: string, at: number): number => {
  let end = at
  while (isOfNumber(text.charCodeAt(end))) end += 1
  const written = text.slice(at, end)
  const value = Number(written)
  return written !== '' && Number.isFinite(value) && String(value) === written ? end : NOT
}
const isOfNumber = (code: number): boolean => (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2b || code === 0x2e || code === 0x65

const afterList = (text: string, at: number): number => {
  if (text.charCodeAt(at + 1) === CLOSE_LIST) return at + 2
  for (let place = at; ;) {
    place = afterValue(text, place + 1)
    if (place === NOT) return NOT
    const code = text.charCodeAt(place)
    if (code === CLOSE_LIST) return place + 1
    if (code !== COMMA) return NOT
  }
}

const afterObject = (text: string, at: number): number => {
  if (text.charCodeAt(at + 1) === CLOSE_OBJECT) return at + 2
  let before: string | undefined
  for (let place = at; ;) {
    const end = text.charCodeAt(place + 1) === QUOTE ? afterString(text, place + 1) : NOT
    if (end === NOT || text.charCodeAt(end) !== COLON) return NOT
    const key = keyIn(text.slice(place + 2, end - 1))
    if (before !== undefined && !(before < key)) return NOT
    before = key
    place = afterValue(text, end + 1)
    if (place === NOT) return NOT
    const code = text.charCodeAt(place)
    if (code === CLOSE_OBJECT) return place + 1
    if (code !== COMMA) return NOT
  }
}
const keyIn = (written: string): string => (written.includes('\\') ? String(JSON.parse(`"${written}"`)) : written)
