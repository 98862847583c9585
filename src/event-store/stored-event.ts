import { z } from 'zod'
import { kindOf, type JsonObject } from './port.ts'

/** What either store holds of an event, checked when it is read: a hand in the store is found here at the latest. */
// What JSON.parse gave holds nothing but JSON: to look at all of it again would cost more than all else in reading.
export const StoredData = z.custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'must be an object')

// Loose at every level: what a later version or a forger added stays, and the hash is computed over all of it.
export const StoredMetadata = z.looseObject({
  schemaVersion: z.number().int(),
  commandId: z.string(),
  commandHash: z.string(),
  actor: z.string(),
  onBehalfOf: z.string().optional(),
  $correlationId: z.string(),
  $causationId: z.string(),
  traceparent: z.string().optional(),
  recordedAt: z.string(),
  effectiveAt: z.string().optional(),
  policies: z.array(z.looseObject({ name: z.string(), version: z.number().int() })).optional(),
  prevHash: z.string(),
  hash: z.string(),
})

/** The longest a stream name may be, and what it may hold. */
export const checkStreamName = (stream: string): void => {
  if (!/^[a-z][A-Za-z]*-[\w.~-]{1,200}$/.test(stream) || kindOf(stream) === '') throw new TypeError(`not a stream name: ${JSON.stringify(stream)}`)
}

/** A kind is one word: nothing to escape, in SQL or in a pattern. */
export const checkKinds = (kinds: readonly string[]): void => {
  if (!kinds.every((kind) => /^[a-zA-Z]+$/.test(kind))) throw new TypeError(`a stream kind is one word: ${kinds.join(', ')}`)
}
