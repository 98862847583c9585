import { blockingKeys } from './blocking.ts'
import type { Features } from './features.ts'

/** A block with more records than this is not looked through: its key tells nobody apart. */
export const BLOCK_CAP = 100

/** Which records bear a key, for the keys that two to `cap` of them bear. */
export const blocksOf = (records: readonly Features[], keysOf: (features: Features) => readonly string[] = blockingKeys, cap = BLOCK_CAP): Map<string, number[]> => {
  const blocks = new Map<string, number[]>()
  records.forEach((features, index) => {
    for (const key of keysOf(features)) {
      const block = blocks.get(key)
      if (block) block.push(index)
      else blocks.set(key, [index])
    }
  })
  for (const [key, block] of blocks) if (block.length < 2 || block.length > cap) blocks.delete(key)
  return blocks
}

/** Every pair of records that share a block, once, the earlier record first; of records chosen by `from` only. */
export function* candidatePairs(records: readonly Features[], from: (index: number) => boolean = () => true, cap = BLOCK_CAP): Generator<readonly [number, number]> {
  const blocks = blocksOf(records, blockingKeys, cap)
  for (const [one, features] of records.entries()) {
    if (!from(one)) continue
    const others = new Set(blockingKeys(features).flatMap((key) => blocks.get(key) ?? []))
    for (const other of others) if (other > one) yield [one, other]
  }
}
