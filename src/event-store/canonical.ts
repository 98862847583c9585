import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'

/** The one text form of a JSON value, byte for byte: RFC 8785 (JSON Canonicalization Scheme). */
export const canonical = (value: unknown): string => {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('only JSON values have a canonical form')
  return text
}

/** SHA-256 of a UTF-8 text, in lower-case hex. */
export const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex')
