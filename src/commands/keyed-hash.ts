import { createHmac } from 'node:crypto'
import { v5 as uuidv5 } from 'uuid'
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

export const makeKeyedHash = (identityKey: Buffer): KeyedHash => {
  const hmac = (purpose: string, text: string) => createHmac('sha256', identityKey).update(`${purpose}\n${text}`, 'utf8').digest('hex')
  return {
    identity: (kind, value) => `${kind}-v1-${hmac(`identity ${kind} v1`, value)}`,
    command: (content) => hmac('command v1', canonical(content)),
    term: (value) => hmac('term v1', value),
  }
}

/** The same caller, command and key always make the same id. */
export const commandIdOf = (actor: string, command: string, key: string): string => uuidv5(canonical([actor, command, key]), NAMESPACE)

/** An id for what a command makes: the same however often the command is tried. */
export const derivedId = (commandId: string, what: string): string => uuidv5(what, commandId)
