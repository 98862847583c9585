import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { canonical } from './canonical.ts'
import type { Json, JsonObject } from './port.ts'
import { randomBytesOf } from './random.ts'

/**
 * Personal values inside event data. In memory a decider writes `{ personal: subject, value }`; in the log it is
 * `{ sealed: 1, key: subject, nonce, ciphertext }`; once the subject's key is destroyed it reads `{ erased: true }`.
 */
export type SubjectKey = Secret | 'destroyed'
/** Node takes a key object five times as fast as the same bytes in a Buffer. */
export type Secret = Buffer | KeyObject
const secretOf = (key: Secret): KeyObject => (Buffer.isBuffer(key) ? createSecretKey(key) : key)
export type SubjectKeys = ReadonlyMap<string, SubjectKey>

export class MissingKey extends Error {
  override name = 'MissingKey'
}
/** Nothing new may be written about a subject whose key was destroyed. */
export class SubjectErased extends Error {
  override name = 'SubjectErased'
}

const isPersonal = (value: JsonObject): value is { personal: string; value: Json } =>
  typeof value['personal'] === 'string' && 'value' in value && Object.keys(value).length === 2
const isSealed = (value: JsonObject): value is { sealed: 1; key: string; nonce: string; ciphertext: string } =>
  value['sealed'] === 1 && typeof value['key'] === 'string' && typeof value['nonce'] === 'string' && typeof value['ciphertext'] === 'string'

type Visit = (value: JsonObject, path: string) => Json | undefined

/** A JSON value with each object replaced for which `visit` answers; what holds none of them is not copied. Paths are JSON pointers (RFC 6901). */
const rewrite = (value: Json, visit: Visit, path: string): Json => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value.map((item, index) => (typeof item === 'object' ? rewrite(item, visit, `${path}/${index}`) : item))
    return items.some((item, index) => item !== value[index]) ? items : value
  }
  return visit(value, path) ?? rewriteEntries(value, visit, path)
}
const rewriteEntries = (value: JsonObject, visit: Visit, path: string): JsonObject => {
  let rewritten = value
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'object' || item === null) continue
    const after = rewrite(item, visit, `${path}/${/[~/]/.test(key) ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key}`)
    if (after !== item) rewritten = { ...rewritten, [key]: after }
  }
  return rewritten
}
const rewriteObject = (data: JsonObject, visit: Visit): JsonObject => rewriteEntries(data, visit, '')

/** The subjects whose keys are needed to seal (`personal`) or to open (`sealed`) this data. */
export const subjectsOf = (data: JsonObject): string[] => {
  const found: string[] = []
  // The event's own object is never a value itself: only what is in it.
  for (const key in data) collectSubjects(data[key], found)
  return found
}
const collectSubjects = (value: Json | undefined, found: string[]): void => {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) for (const item of value) collectSubjects(item, found)
  else {
    const subject = isPersonal(value) ? value.personal : isSealed(value) ? value.key : undefined
    if (subject === undefined) for (const key in value) collectSubjects(value[key], found)
    else if (!found.includes(subject)) found.push(subject)
  }
}

const associated = (stream: string, eventId: string, path: string): Buffer => Buffer.from(canonical([stream, eventId, path]), 'utf8')

const keyOf = (keys: SubjectKeys, subject: string): SubjectKey => {
  const key = keys.get(subject)
  if (key === undefined) throw new MissingKey(`the keyring has no row for ${subject}: was it restored from an older copy than the log?`)
  return key
}

/** AES-256-GCM (NIST SP 800-38D), random 96-bit nonce, 128-bit tag appended to the ciphertext. */
export const encrypt = (key: Secret, plain: string, aad: Buffer, nonce: Buffer = randomBytesOf(12)): { nonce: string; ciphertext: string } => {
  const cipher = createCipheriv('aes-256-gcm', secretOf(key), nonce).setAAD(aad)
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return { nonce: nonce.toString('base64'), ciphertext: sealed.toString('base64') }
}
export const decrypt = (key: Secret, sealed: { nonce: string; ciphertext: string }, aad: Buffer): string => {
  const bytes = Buffer.from(sealed.ciphertext, 'base64')
  // The length is named, or a text cut down to four bytes would pass for a tag.
  const decipher = createDecipheriv('aes-256-gcm', secretOf(key), Buffer.from(sealed.nonce, 'base64'), { authTagLength: 16 }).setAAD(aad)
  decipher.setAuthTag(bytes.subarray(-16))
  return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8')
}

/** Seals every personal value of an event. The result is sealed once: a retry must send the same bytes. */
export const seal = (stream: string, eventId: string, data: JsonObject, keys: SubjectKeys): JsonObject =>
  rewriteObject(data, (value, path): Json | undefined => {
    if (!isPersonal(value)) return undefined
    const key = keyOf(keys, value.personal)
    if (key === 'destroyed') throw new SubjectErased(`${value.personal} has been erased`)
    return { sealed: 1, key: value.personal, ...encrypt(key, canonical(value.value), associated(stream, eventId, path)) }
  })

/** Opens every sealed value; one whose key was destroyed reads `{ erased: true }`. */
export const open = (stream: string, eventId: string, data: JsonObject, keys: SubjectKeys): JsonObject =>
  rewriteObject(data, (value, path): Json | undefined => {
    if (!isSealed(value)) return undefined
    const key = keyOf(keys, value.key)
    if (key === 'destroyed') return { erased: true }
    try {
      return { personal: value.key, value: JSON.parse(decrypt(key, value, associated(stream, eventId, path))) }
    } catch (error) {
      throw new Error(`the sealed value at ${path} of event ${eventId} in ${stream} cannot be opened`, { cause: error })
    }
  })
