import type { ComparisonName } from './comparisons.ts'

const hashed: ReadonlySet<ComparisonName | undefined> = new Set(['mobile', 'phone', 'email'])

/**
 * The term a value counts as. Shared numbers and addresses stand in weights only as short hashes: an event names nobody's
 * phone. An extension is part of its switchboard. */
export const termOf = (comparison: ComparisonName | undefined, value: string): string => (hashed.has(comparison) ? shortHash(value.split(';')[0] ?? value) : value)

/** 53 bits (cyrb53): short, quick, and the same everywhere; it hides a value from a reader, not from who would try them all. */
const shortHash = (text: string): string => {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    high = Math.imul(high ^ unit, 2_654_435_761)
    low = Math.imul(low ^ unit, 1_597_334_677)
  }
  high = Math.imul(high ^ (high >>> 16), 2_246_822_507) ^ Math.imul(low ^ (low >>> 13), 3_266_489_909)
  low = Math.imul(low ^ (low >>> 16), 2_246_822_507) ^ Math.imul(high ^ (high >>> 13), 3_266_489_909)
  return (4_294_967_296 * (2_097_151 & low) + (high >>> 0)).toString(36)
}
