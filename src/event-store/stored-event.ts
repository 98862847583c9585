import { z } from 'zod'
import { kindOf, type JsonObject, type Metadata } from './port.ts'

/** What either store holds of an event, checked when it is read: a hand in the store is found here at the latest. */
// What JSON.parse gave holds nothing but JSON: to look at all of it again would cost more than all else in reading.
const isData = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value)
export const StoredData = z.custom<JsonObject>(isData, 'must be an object')

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): boolean => typeof value === 'string'
const isTextOrAbsent = (value: unknown): boolean => value === undefined || typeof value === 'string'
const isPolicy = (value: unknown): boolean => isRecord(value) && isText(value['name']) && Number.isInteger(value['version'])

// Looked at by hand for the same reason, name by name: a list of names takes four times as long, and this is done for
// each event read. What a later version or a forger added stays, at every level: the hash is computed over all of it.
const isMetadata = (value: unknown): value is Metadata =>
  isRecord(value) && Number.isInteger(value['schemaVersion'])
  && isText(value['commandId']) && isText(value['commandHash']) && isText(value['actor']) && isText(value['$correlationId']) && isText(value['$causationId'])
  && isText(value['recordedAt']) && isText(value['prevHash']) && isText(value['hash'])
  && isTextOrAbsent(value['onBehalfOf']) && isTextOrAbsent(value['traceparent']) && isTextOrAbsent(value['effectiveAt'])
  && (value['policies'] === undefined || (Array.isArray(value['policies']) && value['policies'].every(isPolicy)))
export const StoredMetadata = z.custom<Metadata>(isMetadata, 'must be the metadata of an event')

/** The same, for the many that are read to be folded. @throws TypeError */
export const storedData = (value: unknown): JsonObject => {
  if (!isData(value)) throw new TypeError('data must be an object')
  return value
}
/** @throws TypeError */
export const storedMetadata = (value: unknown): Metadata => {
  if (!isMetadata(value)) throw new TypeError('these are not the metadata of an event')
  return value
}

/** The longest a stream name may be, and what it may hold. */
export const checkStreamName = (stream: string): void => {
  if (!/^[a-z][A-Za-z]*-[\w.~-]{1,200}$/.test(stream) || kindOf(stream) === '') throw new TypeError(`not a stream name: ${JSON.stringify(stream)}`)
}

/** A kind is one word: nothing to escape, in SQL or in a pattern. */
export const checkKinds = (kinds: readonly string[]): void => {
  if (!kinds.every((kind) => /^[a-zA-Z]+$/.test(kind))) throw new TypeError(`a stream kind is one word: ${kinds.join(', ')}`)
}
