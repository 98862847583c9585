import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyRange, growFrom, isConsistent, isIncluded, leafHash, makeProver } from '../../src/event-store/merkle.ts'

// The definitions of RFC 6962, section 2.1, word for word and with nothing of Kehu's own.
const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
const split = (n: number): number => {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}
const rootOf = (entries: readonly Buffer[]): Buffer => {
  const [first] = entries
  if (!first) return sha256()
  if (entries.length === 1) return sha256(Buffer.of(0), first)
  const k = split(entries.length)
  return sha256(Buffer.of(1), rootOf(entries.slice(0, k)), rootOf(entries.slice(k)))
}
const pathOf = (m: number, entries: readonly Buffer[]): Buffer[] => {
  if (entries.length === 1) return []
  const k = split(entries.length)
  return m < k ? [...pathOf(m, entries.slice(0, k)), rootOf(entries.slice(k))] : [...pathOf(m - k, entries.slice(k)), rootOf(entries.slice(0, k))]
}
const proofOf = (m: number, entries: readonly Buffer[], whole = true): Buffer[] => {
  if (m === entries.length) return whole ? [] : [rootOf(entries)]
  const k = split(entries.length)
  return m <= k ? [...proofOf(m, entries.slice(0, k), whole), rootOf(entries.slice(k))] : [...proofOf(m - k, entries.slice(k), false), rootOf(entries.slice(0, k))]
}
const hex = (hashes: readonly Buffer[]) => hashes.map((hash) => hash.toString('hex'))

/** The eight entries with which Certificate Transparency's own implementations are tested, and the roots of the first n. */
const entries = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map((text) => Buffer.from(text, 'hex'))
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

const grown = (from: readonly Buffer[], range = emptyRange) => {
  const tree = growFrom(range)
  for (const entry of from) tree.append(leafHash(entry))
  return tree
}
const anEntry = fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes))

describe('the Merkle tree', () => {
  it.each(roots.map((root, size) => ({ size, root })))('of $size known entries has the known root', ({ size, root }) => {
    expect(grown(entries.slice(0, size)).root().toString('hex')).toBe(root)
    expect(rootOf(entries.slice(0, size)).toString('hex')).toBe(root)
  })

  it('has the root RFC 6962 defines, at every size, grown at once or in two goes', () => {
    fc.assert(fc.property(fc.array(anEntry, { maxLength: 70 }), fc.nat(70), (all, stop) => {
      const first = grown(all.slice(0, stop))
      const { size, peaks } = first.range()
      expect(peaks).toHaveLength(size.toString(2).replaceAll('0', '').length)
      expect(grown(all.slice(stop), { size, peaks }).root()).toEqual(rootOf(all))
    }))
  })

  it('proves where each leaf stands, by the path RFC 6962 defines, and nothing else', () => {
    fc.assert(fc.property(fc.array(anEntry, { minLength: 1, maxLength: 40 }), fc.nat(), fc.nat(), (all, pick, other) => {
      const index = pick % all.length
      const prover = makeProver()
      const paths = all.map((entry) => prover.appendWatched(leafHash(entry)))
      const root = prover.root()
      const path = paths[index] ?? []
      const leaf = leafHash(all[index] ?? Buffer.of())
      expect(hex(path)).toEqual(hex(pathOf(index, all)))
      expect(isIncluded(leaf, index, all.length, path, root)).toBe(true)
      expect(isIncluded(leafHash(Buffer.from('another')), index, all.length, path, root)).toBe(false)
      expect(isIncluded(leaf, index, all.length, [...path, root], root)).toBe(false)
      expect(isIncluded(leaf, all.length, all.length, path, root)).toBe(false)
      const elsewhere = other % all.length
      const sameEntry = Buffer.compare(all[elsewhere] ?? Buffer.of(), all[index] ?? Buffer.of()) === 0
      if (elsewhere !== index && !sameEntry) expect(isIncluded(leaf, elsewhere, all.length, path, root)).toBe(false)
      if (path.length > 0) expect(isIncluded(leaf, index, all.length, path.slice(1), root)).toBe(false)
    }))
  })

  it('proves that it only grew, by the proof RFC 6962 defines, and nothing else', () => {
    fc.assert(fc.property(fc.array(anEntry, { minLength: 1, maxLength: 40 }), fc.nat(), (all, pick) => {
      const size = 1 + (pick % all.length)
      const prover = makeProver()
      let proof: Buffer[] = []
      for (const entry of all) {
        prover.append(leafHash(entry))
        if (prover.size() === size && size < all.length) proof = prover.watchGrowth()
      }
      const second = { size: all.length, root: prover.root() }
      const first = { size, root: rootOf(all.slice(0, size)) }
      expect(hex(proof)).toEqual(hex(proofOf(size, all)))
      expect(isConsistent(first, second, proof)).toBe(true)
      const changed = all.with(size - 1, Buffer.from('changed'))
      expect(isConsistent({ size, root: rootOf(changed.slice(0, size)) }, second, proof)).toBe(false)
      expect(isConsistent(first, { size: all.length, root: rootOf(changed) }, proof)).toBe(false)
      expect(isConsistent(first, second, [...proof, second.root])).toBe(false)
      expect(isConsistent({ ...first, size: all.length + 1 }, second, proof)).toBe(false)
    }))
  })
})
