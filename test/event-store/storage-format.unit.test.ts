import { createCipheriv, createDecipheriv, createHash, createHmac, createPrivateKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { commandIdOf, derivedId, makeKeyedHash, NAMESPACE } from '../../src/commands/keyed-hash.ts'
import { domainEvent, eventSchemas } from '../../src/domain/events.ts'
import { streamName as identityStream } from '../../src/domain/identity/identity.ts'
import { canonical } from '../../src/event-store/canonical.ts'
import { chain, chainFault, emptyHead, eventHash } from '../../src/event-store/chain.ts'
import { fingerprint } from '../../src/event-store/keyring.ts'
import { emptyRange, growFrom, isConsistent, isIncluded, leafOf } from '../../src/event-store/merkle.ts'
import { streamKey } from '../../src/event-store/postgres/rows.ts'
import { encrypt, open, seal } from '../../src/event-store/sealing.ts'
import { endorsementText, headText, isSigned, makeRootKey, rootText } from '../../src/event-store/signed-root.ts'
import type { Json } from '../../src/event-store/port.ts'
import vectors from './vectors.json' with { type: 'json' }

const document = readFileSync(new URL('../../docs/storage-format.md', import.meta.url), 'utf8')

// A verifier as a stranger would write it from docs/storage-format.md, with nothing of Kehu's own.
const jcs = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(jcs).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  // JavaScript compares strings by UTF-16 code units, as RFC 8785 asks.
  return `{${Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => `${JSON.stringify(key)}:${jcs(item)}`).join(',')}}`
}
const sha256 = (text: string) => createHash('sha256').update(Buffer.from(text, 'utf8')).digest('hex')
const hmac = (keyHex: string, message: string) => createHmac('sha256', Buffer.from(keyHex, 'hex')).update(Buffer.from(message, 'utf8')).digest('hex')
const asUuid = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')
const uuid5 = (namespace: string, name: string) => {
  const hash = createHash('sha1').update(Buffer.from(namespace.replaceAll('-', ''), 'hex')).update(name, 'utf8').digest()
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80
  return asUuid(hash.toString('hex'))
}
const gcmSeal = (keyHex: string, nonce: string, plaintext: string, associatedData: string) => {
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(keyHex, 'hex'), Buffer.from(nonce, 'base64')).setAAD(Buffer.from(associatedData, 'utf8'))
  return Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64')
}
const gcmOpen = (key: Buffer, nonce: string, ciphertext: string, associatedData: string) => {
  const bytes = Buffer.from(ciphertext, 'base64')
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64'), { authTagLength: 16 }).setAAD(Buffer.from(associatedData, 'utf8'))
  decipher.setAuthTag(bytes.subarray(-16))
  return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8')
}

describe('the storage format', () => {
  it('has one text for a JSON value', () => {
    const { value, text } = vectors.canonicalJson
    expect(jcs(value)).toBe(text)
    expect(canonical(value)).toBe(text)
  })

  it('keys a stream in Postgres by the hash of its name', () => {
    const { stream, uuid } = vectors.streamKey
    expect(asUuid(sha256(stream))).toBe(uuid)
    expect(streamKey(stream)).toBe(uuid)
  })

  it('begins a chain with the hash of the stream’s name', () => {
    const { stream, hash } = vectors.firstPrevHash
    expect(sha256(stream)).toBe(hash)
    expect(emptyHead(stream).hash).toBe(hash)
  })

  it('hashes stream, revision and the whole event', () => {
    const { stream, revision, event, preimage, hash } = vectors.eventHash
    expect(jcs({ stream, revision, ...event })).toBe(preimage)
    expect(sha256(preimage)).toBe(hash)
    expect(eventHash(stream, revision, event)).toBe(hash)
    const chained = chain(stream, revision, event)
    expect(chained).toEqual({ ...event, metadata: { ...event.metadata, hash } })
    expect(chainFault({ ...chained, stream, revision, position: 1n }, emptyHead(stream))).toBeUndefined()
  })

  it('has an example of an event that today’s program reads', () => {
    const { stream, revision, event } = vectors.eventHash
    const { subject, subjectKey } = vectors.sealing
    const data = open(stream, event.id, event.data, new Map([[subject, Buffer.from(subjectKey, 'hex')]]))
    expect(data).toMatchObject({ name: { personal: subject, value: vectors.sealing.value } })
    expect(domainEvent({ stream, revision, type: event.type, data, metadata: event.metadata })).toMatchObject({ kind: 'customer', event: { type: 'CustomerCreated', data } })
  })

  it('seals a personal value with AES-256-GCM, held to stream, event and path', () => {
    const { subject, subjectKey, nonceHex, stream, eventId, path, value, plaintext, associatedData, sealed } = vectors.sealing
    const nonce = Buffer.from(nonceHex, 'hex')
    expect(jcs(value)).toBe(plaintext)
    expect(jcs([stream, eventId, path])).toBe(associatedData)
    expect(nonce.toString('base64')).toBe(sealed.nonce)
    expect(gcmSeal(subjectKey, sealed.nonce, plaintext, associatedData)).toBe(sealed.ciphertext)
    expect(encrypt(Buffer.from(subjectKey, 'hex'), canonical(value), Buffer.from(associatedData, 'utf8'), nonce)).toEqual({ nonce: sealed.nonce, ciphertext: sealed.ciphertext })
    expect(open(stream, eventId, { name: sealed }, new Map([[subject, Buffer.from(subjectKey, 'hex')]]))).toEqual({ name: { personal: subject, value } })
  })

  it('names the place of a sealed value by a JSON pointer', () => {
    const { data, path } = vectors.path
    const { stream, eventId, subject, subjectKey } = vectors.sealing
    const key = Buffer.from(subjectKey, 'hex')
    const sealed: Json = seal(stream, eventId, data, new Map([[subject, key]]))
    const [nonce, ciphertext] = ['nonce', 'ciphertext'].map((name) => new RegExp(`"${name}":"([^"]*)"`).exec(JSON.stringify(sealed))?.[1] ?? '')
    expect(gcmOpen(key, nonce ?? '', ciphertext ?? '', jcs([stream, eventId, path]))).toBe('"x"')
  })

  it('wraps a subject’s key with the master key, held to the subject', () => {
    const { masterKey, wrappedBy, subject, subjectKey, plaintext, associatedData, nonce, wrapped } = vectors.keyWrap
    expect(associatedData).toBe(subject)
    expect(Buffer.from(subjectKey, 'hex').toString('base64')).toBe(plaintext)
    expect(gcmSeal(masterKey, nonce, plaintext, associatedData)).toBe(wrapped)
    // What the keyring itself writes is compared in keyring.int.test.ts.
    expect(encrypt(Buffer.from(masterKey, 'hex'), plaintext, Buffer.from(subject, 'utf8'), Buffer.from(nonce, 'base64'))).toEqual({ nonce, ciphertext: wrapped })
    expect(fingerprint(Buffer.from(masterKey, 'hex'))).toBe(wrappedBy)
  })

  it('names a key by its fingerprint', () => {
    const key = Buffer.from(vectors.fingerprint.key, 'hex')
    expect(createHash('sha256').update(key).digest('hex').slice(0, 16)).toBe(vectors.fingerprint.fingerprint)
    expect(fingerprint(key)).toBe(vectors.fingerprint.fingerprint)
  })

  it('stands a keyed hash for an identifier, a command and a search term', () => {
    const { identity, commandHash, term } = vectors
    const keyedHash = makeKeyedHash(Buffer.from(identity.identityKey, 'hex'))

    expect(`identity ${identity.kind} v1\n${identity.value}`).toBe(identity.message)
    expect(`${identity.kind}-v1-${hmac(identity.identityKey, identity.message)}`).toBe(identity.identity)
    expect(keyedHash.identity(identity.kind, identity.value)).toBe(identity.identity)
    expect(`identity-${identity.identity}`).toBe(identity.stream)
    expect(identityStream(identity.identity)).toBe(identity.stream)

    expect(`command v1\n${jcs(commandHash.content)}`).toBe(commandHash.message)
    expect(hmac(commandHash.identityKey, commandHash.message)).toBe(commandHash.hash)
    expect(keyedHash.command(commandHash.content)).toBe(commandHash.hash)

    expect(`term v1\n${term.value}`).toBe(term.message)
    expect(hmac(term.identityKey, term.message)).toBe(term.hash)
    expect(keyedHash.term(term.value)).toBe(term.hash)
  })

  it('derives the id of a command from caller, name and key, and ids of what it makes from that', () => {
    const { commandId, derivedId: derived } = vectors
    expect(NAMESPACE).toBe(commandId.namespace)
    expect(jcs([commandId.caller, commandId.command, commandId.key])).toBe(commandId.name)
    expect(uuid5(commandId.namespace, commandId.name)).toBe(commandId.uuid)
    expect(commandIdOf(commandId.caller, commandId.command, commandId.key)).toBe(commandId.uuid)
    expect(uuid5(derived.commandId, derived.what)).toBe(derived.uuid)
    expect(derivedId(derived.commandId, derived.what)).toBe(derived.uuid)
  })
})

describe('the roots', () => {
  const bytes = (hex: string) => Buffer.from(hex, 'hex')
  const digest = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest('hex')
  const { merkleRoot, rootSignature, rootKeyEndorsement, headSignature } = vectors

  it('are those of a Merkle tree over the events’ hashes', () => {
    const { hashes, leaves, root, index, path, firstRoot, growth } = merkleRoot
    const [one = '', two = '', three = ''] = leaves
    expect(hashes.map((each) => digest(Buffer.of(0), bytes(each)))).toEqual(leaves)
    expect(digest(Buffer.of(1), bytes(digest(Buffer.of(1), bytes(one), bytes(two))), bytes(three))).toBe(root)
    const tree = growFrom(emptyRange)
    for (const each of hashes) tree.append(leafOf(each))
    expect(tree.root().toString('hex')).toBe(root)
    expect(isIncluded(leafOf(hashes[index] ?? ''), index, hashes.length, path.map(bytes), bytes(root))).toBe(true)
    expect(isConsistent({ size: 1, root: bytes(firstRoot) }, { size: hashes.length, root: bytes(root) }, growth.map(bytes))).toBe(true)
  })

  it('their keys, and the last event of a stream are signed with Ed25519', () => {
    const { seedHex, publicKey, fingerprint: name, logId, size, signedAt, text, signature } = rootSignature
    const { root } = merkleRoot
    const secret = createPrivateKey({ key: Buffer.concat([bytes('302e020100300506032b657004220420'), bytes(seedHex)]), format: 'der', type: 'pkcs8' })
    expect(digest(Buffer.from(publicKey, 'base64'))).toBe(name)
    const statements = [
      [text, { type: 'kehu root v1', logId, size, root, signedAt }, rootText({ logId, size, root, signedAt }), signature],
      [rootKeyEndorsement.text, { type: 'kehu root key v1', logId, publicKey: rootKeyEndorsement.publicKey }, endorsementText(logId, rootKeyEndorsement.publicKey), rootKeyEndorsement.signature],
      [headSignature.text, { type: 'kehu head v1', logId, size, root, stream: vectors.eventHash.stream, revision: 0, hash: vectors.eventHash.hash }, headText({ logId, size, root, stream: vectors.eventHash.stream, revision: 0, hash: vectors.eventHash.hash }), headSignature.signature],
    ] as const
    for (const [preimage, statement, ours, signed] of statements) {
      expect([jcs(statement), ours]).toEqual([preimage, preimage])
      expect(sign(null, Buffer.from(preimage), secret).toString('base64')).toBe(signed)
    }
    expect(makeRootKey(secret.export({ type: 'pkcs8', format: 'pem' }).toString())).toMatchObject({ key: name, publicKey })
    expect(isSigned({ logId, size, root, signedAt, key: name, publicKey, signature })).toBe(true)
  })
})

describe('docs/storage-format.md', () => {
  /** Every value in a vector that is not itself made of values. */
  const leaves = (value: unknown): (string | number)[] => {
    if (typeof value === 'string' || typeof value === 'number') return [value]
    return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : []
  }

  it.each(Object.entries(vectors))('states the test vector %s', (_name, vector) => {
    for (const leaf of leaves(vector)) {
      const written = typeof leaf === 'number' ? String(leaf) : leaf
      const escaped = JSON.stringify(written).slice(1, -1)
      expect(document.includes(written) || document.includes(escaped), `${written} is not in the document`).toBe(true)
    }
  })

  const types = Object.entries(eventSchemas).flatMap(([kind, schemas]) => Object.entries(schemas).map(([type, schema]) => ({ type, kind, schema })))

  it.each(types)('says what $type on a $kind stream means, and names its fields', ({ type, kind, schema }) => {
    expect(document).toContain(`### \`${kind}-`)
    const row = document.split('\n').find((line) => line.startsWith(`| \`${type}\` | `))
    expect(row?.split(' | ')).toHaveLength(3)
    expect(schema).toBeInstanceOf(z.ZodObject)
    for (const field of schema instanceof z.ZodObject ? Object.keys(schema.shape) : []) expect(row).toContain(`\`${field}\``)
  })

  it('names no event that is not there', () => {
    const known = new Set<string | undefined>(types.map(({ type }) => type))
    const named = [...document.matchAll(/^\| `([A-Z][A-Za-z]+)` \|/gm)].map(([, type]) => type)
    expect(named.filter((type) => !known.has(type))).toEqual([])
    expect(new Set(named).size).toBe(named.length)
  })
})
