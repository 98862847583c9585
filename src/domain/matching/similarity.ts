import { jaroWinkler } from '@skyra/jaro-winkler'

/** Whether one slip leads from one text to the other: a character wrong, missing, added, or two neighbours exchanged. */
export const isOneSlip = (one: string, other: string): boolean => {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one]
  if (long.length - short.length > 1 || short === long) return false
  let at = 0
  while (at < short.length && short.charCodeAt(at) === long.charCodeAt(at)) at += 1
  if (short.length < long.length) return short.slice(at) === long.slice(at + 1)
  if (short.slice(at + 1) === long.slice(at + 1)) return true
  return short.charCodeAt(at) === long.charCodeAt(at + 1) && short.charCodeAt(at + 1) === long.charCodeAt(at) && short.slice(at + 2) === long.slice(at + 2)
}

/** Jaro–Winkler, 0 to 1; the same whichever comes first. */
export const similarity = (one: string, other: string): number => {
  if (one === other) return 1
  // Nothing so different in length comes near any threshold used.
  if (one.length === 0 || other.length === 0 || Math.max(one.length, other.length) > 4 * Math.min(one.length, other.length)) return 0
  return one < other ? jaroWinkler(one, other) : jaroWinkler(other, one)
}
