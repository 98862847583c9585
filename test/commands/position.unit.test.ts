import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { positionToken, readPositionToken } from '../../src/commands/position.ts'
import { emptyOrganisation } from '../../src/domain/organisation/organisation.ts'

const first = '0199f5c2-7a01-7c3e-9a55-0d1f6c2b7e10'
const second = '0199f5c2-7a01-7c3e-9a55-0d1f6c2b7e11'
const elsewhere = '0199f5c2-7a01-7c3e-9a55-0d1f6c2b7eff'
const logAt = (...places: string[]) => ({
  organisation: { current: () => ({ ...emptyOrganisation, log: places.length === 0 ? null : { logId: 'log', places, identityKey: 'print', timeZone: 'Asia/Shanghai' } }), refresh: async () => false, follow: async () => undefined },
})
const largest = 9_223_372_036_854_775_807n

describe('a position', () => {
  test('comes back as it was given', () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: largest }), (position) => {
      expect(readPositionToken(logAt(first, second), positionToken(logAt(first, second), position))).toEqual({ kind: 'here', position })
    }), { seed: 20260303 })
  })
  test('of an earlier place of this log counts as reached: a copy holds all that was there', () => {
    const before = positionToken(logAt(first), 7n)
    expect(readPositionToken(logAt(first, second), before)).toEqual({ kind: 'reached' })
    expect(readPositionToken(logAt(first), before)).toEqual({ kind: 'here', position: 7n })
  })
  test('of another log, or of a place this one moved to later, is not known here', () => {
    expect(readPositionToken(logAt(first), positionToken(logAt(elsewhere), 7n))).toEqual({ kind: 'elsewhere' })
    expect(readPositionToken(logAt(first), positionToken(logAt(first, second), 7n))).toEqual({ kind: 'elsewhere' })
  })
  it.each(['', '7', `${first}`, `${first}.`, `${first}.-7`, `${first}.7x`, `${first}.7.8`, ` ${first}.7`, `${first}.7\n`, `${first.toUpperCase()}.7`, `${first}.9223372036854775808`, `${first}.99999999999999999999`, `${first}.٧`, '.7', `${first}.0x7`, '%00'])('written %j is none', (token) => {
    expect(readPositionToken(logAt(first), token)).toEqual({ kind: 'elsewhere' })
  })
  test('is none in a log that has not been opened', () => {
    expect(readPositionToken(logAt(), `${first}.7`)).toEqual({ kind: 'elsewhere' })
    expect(readPositionToken(logAt(), positionToken(logAt(), 7n))).toEqual({ kind: 'elsewhere' })
  })
})
