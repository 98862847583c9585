import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { makeUpcasting } from '../../src/domain/upcasters.ts'

const V1 = z.object({ owner: z.string() })
const V2 = z.object({ ownerId: z.string() })

describe('an event type that has changed its shape twice', () => {
  const { schemaVersionOf, upcast } = makeUpcasting({
    PortfolioNamed: [
      (data) => ({ ownerId: V1.parse(data).owner }),
      (data) => ({ ...V2.parse(data), basis: 'unknown' }),
    ],
  })

  it('is at version 3; others are at version 1', () => {
    expect(schemaVersionOf('PortfolioNamed')).toBe(3)
    expect(['CustomerCreated', 'constructor', '__proto__'].map(schemaVersionOf)).toEqual([1, 1, 1])
  })

  it('reads as today’s shape from whatever version it was written in, one step after the other, and leaves what is stored alone', () => {
    const stored = Object.freeze({ owner: 'zhou' })
    expect(upcast('PortfolioNamed', 1, stored)).toEqual({ ownerId: 'zhou', basis: 'unknown' })
    expect(upcast('PortfolioNamed', 2, { ownerId: 'zhou' })).toEqual({ ownerId: 'zhou', basis: 'unknown' })
    expect(upcast('PortfolioNamed', 3, { ownerId: 'zhou', basis: 'claim' })).toEqual({ ownerId: 'zhou', basis: 'claim' })
  })

  it('is refused where it was written by a later version of the program', () => {
    expect(() => upcast('PortfolioNamed', 4, {})).toThrow('PortfolioNamed has version 4, this program knows 3: it is older than the log')
    expect(() => upcast('CustomerCreated', 2, {})).toThrow('older than the log')
  })
})
