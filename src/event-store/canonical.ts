import { hash } from 'node:crypto'

/**
 * The one text form of a JSON value, byte for byte: RFC 8785 (JSON Canonicalization Scheme). Strings and numbers as
 * ECMAScript writes them, keys in the order of their UTF-16 code units; properties that are undefined are left out.
 * Every event is hashed in this form, so it is written for speed: keys are put in order, and the engine writes the
 * text. Tests hold it to a library that follows the RFC step by step.
 * @throws TypeError for what JSON cannot say: undefined, NaN, infinities, lone surrogates
 */
export const canonical = (value: unknown): string => {
  const ordered = inOrder(value)
  const text = ordered === NOT_BY_ENGINE ? written(value) : JSON.stringify(ordered)
  // The engine writes a lone surrogate as an escape of this form; a text may hold one in its own right.
  if (text.includes('\\ud')) checkSurrogates(value)
  return text
}

/** The value with the keys of all its objects in the order a reader of the canonical form finds them; undefined where objects cannot have them so. */
export const ordered = <Value extends object>(value: Value): Value | undefined => {
  const found = inOrder(value)
  // Copied or not, it is the same value: only its keys come in another order.
  return found === NOT_BY_ENGINE ? undefined : (found as Value)
}

/** What the engine cannot write in order: it puts keys like 10 and 9 first, and by number, and takes __proto__ for something else. */
const NOT_BY_ENGINE = Symbol('not by the engine')
const engineWrites = (key: string): boolean => {
  const first = key.charCodeAt(0)
  return !(first >= DIGIT_0 && first <= DIGIT_9) && key !== '__proto__'
}
const [DIGIT_0, DIGIT_9] = [0x30, 0x39]

const isRecord = (value: object): value is Record<string, unknown> => !Array.isArray(value)

/** The value itself where the keys of all its objects are in order, else a copy in which they are. */
const inOrder = (value: unknown): unknown => {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (Array.isArray(value)) return itemsInOrder(value)
  if (typeof value === 'object' && isRecord(value)) return keysInOrder(value)
  throw new TypeError('only JSON values have a canonical form')
}

const itemsInOrder = (items: readonly unknown[]): unknown => {
  let copy: unknown[] | undefined
  for (const [at, item] of items.entries()) {
    const ordered = inOrder(item ?? null)
    if (ordered === NOT_BY_ENGINE) return ordered
    if (ordered !== item) (copy ??= [...items])[at] = ordered
  }
  return copy ?? items
}

const keysInOrder = (value: Record<string, unknown>): unknown => {
  const keys = Object.keys(value)
  let sorted = true
  for (const [at, key] of keys.entries()) {
    if (!engineWrites(key)) return NOT_BY_ENGINE
    if (at > 0 && key < (keys[at - 1] ?? '')) sorted = false
  }
  if (!sorted) keys.sort()
  let copy: Record<string, unknown> | undefined = sorted ? undefined : {}
  for (const key of keys) {
    const item = value[key]
    const ordered = item === undefined ? item : inOrder(item)
    if (ordered === NOT_BY_ENGINE) return ordered
    if (ordered !== item) copy ??= { ...value }
    if (copy) copy[key] = ordered
  }
  return copy ?? value
}

/** The same, key by key. */
const written = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item: unknown) => canonical(item ?? null)).join(',')}]`
  const entries = Object.entries(value).filter(([, item]) => item !== undefined).sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`
}

const checkSurrogates = (value: unknown): void => {
  if (typeof value === 'string' && !value.isWellFormed()) throw new TypeError('a lone surrogate has no canonical form')
  if (typeof value !== 'object' || value === null) return
  for (const [key, item] of Object.entries(value)) {
    checkSurrogates(key)
    checkSurrogates(item)
  }
}

/** SHA-256 of a UTF-8 text, in lower-case hex. */
export const sha256 = (text: string): string => hash('sha256', text, 'hex')
