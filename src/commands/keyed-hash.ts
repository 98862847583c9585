import { hash } from 'node:crypto'
import { NAMESPACE } from '../domain/values.ts'
import { canonical } from '../event-store/canonical.ts'

export { NAMESPACE }

/**
 * Values that must be compared without being known, under the identity key, which never changes.
 * HMAC-SHA-256 (RFC 2104), the purpose first so that one use cannot stand for another.
 */
export type KeyedHash = {
  /** Names the identity stream of a normalised identifier: `<kind>-v1-<hex>`. */
  identity: (kind: string, value: string) => string
  /** Tells whether two commands are the same without keeping the first. */
  command: (content: unknown) => string
  /** A search term in the record of reads. */
  term: (value: string) => string
}

/**
 * HMAC-SHA-256 (RFC 2104) in lower-case hex, for one key and many short texts. Its two hashes are made by Node's
 * one-shot function, which takes a third of the time of its Hmac object; tests hold it to that.
 */
const hmacSha256 = (key: Buffer): ((text: string) => string) => {
  const block = Buffer.alloc(64)
  if (key.length > block.length) throw new TypeError('a key has 64 bytes at the most')
  key.copy(block)
  const inner = block.map((byte) => byte ^ 0x36)
  const outer = block.map((byte) => byte ^ 0x5c)
  return (text) => hash('sha256', Buffer.concat([outer, hash('sha256', Buffer.concat([inner, Buffer.from(text, 'utf8')]), 'buffer')]), 'hex')
}

export const makeKeyedHash = (identityKey: Buffer): KeyedHash => {
  const hmac = hmacSha256(identityKey)
  return {
    identity: (kind, value) => `${kind}-v1-${hmac(`identity ${kind} v1\n${value}`)}`,
    command: (content) => hmac(`command v1\n${canonical(content)}`),
    term: (value) => hmac(`term v1\n${value}`),
  }
}

/** UUIDv5 (RFC 9562, section 5.5) of a name in a namespace that is a UUID itself. Each command needs two: Node's own hash makes them ten times as fast as the package. */
const uuidv5 = (name: string, namespace: string): string => {
  const digest = hash('sha1', Buffer.concat([Buffer.from(namespace.replaceAll('-', ''), 'hex'), Buffer.from(name, 'utf8')]), 'buffer')
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x50
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80
  const hex = digest.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

/** The same caller, command and key always make the same id. */
export const commandIdOf = (actor: string, command: string, key: string): string => uuidv5(canonical([actor, command, key]), NAMESPACE)

/** An id for what a command makes: the same however often the command is tried. */
export const derivedId = (commandId: string, what: string): string => uuidv5(what, commandId)
