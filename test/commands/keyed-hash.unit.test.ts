import { createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { v5 as uuidv5 } from 'uuid'
import { describe, expect, it } from 'vitest'
import { commandIdOf, derivedId, makeKeyedHash, NAMESPACE } from '../../src/commands/keyed-hash.ts'

describe('keyed hashes', () => {
  it('are HMAC-SHA-256 of the purpose and the value, for any key and text', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.string({ unit: 'grapheme' }), (bytes, text) => {
      const key = Buffer.from(bytes)
      const hmac = (content: string) => createHmac('sha256', key).update(content, 'utf8').digest('hex')
      const keyed = makeKeyedHash(key)
      expect(keyed.term(text)).toBe(hmac(`term v1\n${text}`))
      expect(keyed.identity('mobile', text)).toBe(`mobile-v1-${hmac(`identity mobile v1\n${text}`)}`)
      expect(keyed.command({ body: text })).toBe(hmac(`command v1\n{"body":${JSON.stringify(text)}}`))
    }))
  })

  it('want a key no longer than a block', () => {
    expect(() => makeKeyedHash(randomBytes(65))).toThrow(TypeError)
  })
})

describe('derived ids', () => {
  it('are UUIDv5, as the package makes them', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (key, what) => {
      const commandId = commandIdOf('clerk', 'create-customer', key)
      expect(commandId).toBe(uuidv5(JSON.stringify(['clerk', 'create-customer', key]), NAMESPACE))
      expect(derivedId(commandId, what)).toBe(uuidv5(what, commandId))
    }))
  })
})
