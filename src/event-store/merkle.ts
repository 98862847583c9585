import { hash as digestOf } from 'node:crypto'

/*
 * The Merkle tree of RFC 6962 (section 2.1; RFC 9162 words the verification) over the hashes of the log's events, in
 * log order: leaf n is the event of ordinal n + 1. Where an event stands is bound by its place in the tree.
 */

const LEAF = 0
const NODE = 1
// Written over for each hash: a buffer, or a hash object, of its own would cost as much as the hashing.
const leaf = Buffer.alloc(1 + 32, LEAF)
const node = Buffer.alloc(1 + 2 * 32, NODE)

export const leafHash = (content: Uint8Array): Buffer => {
  if (content.length !== 32) return digestOf('sha256', Buffer.concat([Buffer.of(LEAF), content]), 'buffer')
  leaf.set(content, 1)
  return digestOf('sha256', leaf, 'buffer')
}
export const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => {
  if (left.length !== 32 || right.length !== 32) return digestOf('sha256', Buffer.concat([Buffer.of(NODE), left, right]), 'buffer')
  node.set(left, 1)
  node.set(right, 33)
  return digestOf('sha256', node, 'buffer')
}
/** The root of no leaves: the hash of nothing. */
export const emptyRoot = (): Buffer => digestOf('sha256', '', 'buffer')
/** The leaf of an event: made of its hash, which binds its stream, revision and content. */
export const leafOf = (eventHash: string): Buffer => leafHash(Buffer.from(eventHash, 'hex'))

/** A tree that leaves are only added to, as the roots of its whole subtrees, the largest first: as many as its size has bits set. */
export type Range = { size: number; peaks: readonly Buffer[] }
export const emptyRange: Range = { size: 0, peaks: [] }

/** Appends leaves one by one, in memory of the order of log n. `merge` makes a node of two. */
const makeGrowth = <Node>(merge: (left: Node, right: Node) => Node, from: { size: number; peaks: readonly Node[] }) => {
  const peaks = [...from.peaks]
  let { size } = from
  return {
    append: (leaf: Node): void => {
      let node = leaf
      // As in counting: each bit that carries joins two subtrees of one size.
      for (let n = size; n % 2 === 1; n = (n - 1) / 2) {
        const left = peaks.pop()
        if (left !== undefined) node = merge(left, node)
      }
      peaks.push(node)
      size += 1
    },
    peaks: (): readonly Node[] => peaks,
    size: (): number => size,
    root: (): Node | undefined => peaks.reduceRight<Node | undefined>((right, left) => (right === undefined ? left : merge(left, right)), undefined),
  }
}

/** A tree that grows on from a range: its root at any size passed, and the range to go on from another time. */
export const growFrom = (range: Range) => {
  const growth = makeGrowth<Buffer>(nodeHash, range)
  return {
    append: growth.append,
    size: growth.size,
    root: (): Buffer => growth.root() ?? emptyRoot(),
    range: (): Range => ({ size: growth.size(), peaks: [...growth.peaks()] }),
  }
}

/** A node, and the paths that lead through it: each gets the other side of every join. */
type Watched = { hash: Buffer; paths: Buffer[][] }

const mergeWatched = (left: Watched, right: Watched): Watched => {
  for (const path of left.paths) path.push(right.hash)
  for (const path of right.paths) path.push(left.hash)
  return { hash: nodeHash(left.hash, right.hash), paths: left.paths.length + right.paths.length === 0 ? none : [...left.paths, ...right.paths] }
}
const none: Buffer[][] = []

/** A tree grown from its first leaf on, of which some paths are wanted. They are whole once `root` has been called, and then no leaf may follow. */
export const makeProver = () => {
  const growth = makeGrowth<Watched>(mergeWatched, { size: 0, peaks: [] })
  return {
    append: (leaf: Buffer): void => growth.append({ hash: leaf, paths: none }),
    /** Appends a leaf and answers what will be its inclusion path (RFC 6962, 2.1.1). */
    appendWatched: (leaf: Buffer): Buffer[] => {
      const path: Buffer[] = []
      growth.append({ hash: leaf, paths: [path] })
      return path
    },
    /** What will be the consistency proof (RFC 6962, 2.1.2) from the tree as it is now. */
    watchGrowth: (): Buffer[] => {
      const last = growth.peaks().at(-1)
      const path: Buffer[] = []
      if (!last) return path
      // A tree of 2^k leaves is a node of every larger one: its root is known to who verifies.
      if (growth.peaks().length > 1) path.push(last.hash)
      last.paths = [...last.paths, path]
      return path
    },
    size: growth.size,
    root: (): Buffer => growth.root()?.hash ?? emptyRoot(),
  }
}

const half = (n: number): number => Math.floor(n / 2)
const same = (one: Uint8Array | undefined, other: Uint8Array): boolean => one !== undefined && Buffer.compare(one, other) === 0

/** Whether `path` shows that `leaf` stands at `index` (from 0) in the tree of that size and root (RFC 9162, 2.1.3.2). */
export const isIncluded = (leaf: Buffer, index: number, size: number, path: readonly Buffer[], root: Buffer): boolean => {
  if (index < 0 || index >= size) return false
  let at = index
  let last = size - 1
  let hash = leaf
  for (const other of path) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(other, hash)
      while (at % 2 === 0 && at !== 0) {
        at = half(at)
        last = half(last)
      }
    } else hash = nodeHash(hash, other)
    at = half(at)
    last = half(last)
  }
  return last === 0 && same(hash, root)
}

/** Whether `path` shows that the tree of the second size begins with all of the first (RFC 9162, 2.1.4.2). */
export const isConsistent = (first: { size: number; root: Buffer }, second: { size: number; root: Buffer }, path: readonly Buffer[]): boolean => {
  if (first.size > second.size || first.size < 1) return false
  if (first.size === second.size) return path.length === 0 && same(first.root, second.root)
  const isPower = Number.isInteger(Math.log2(first.size))
  const [start, ...others] = isPower ? [first.root, ...path] : path
  if (start === undefined) return false
  let at = first.size - 1
  let last = second.size - 1
  while (at % 2 === 1) {
    at = half(at)
    last = half(last)
  }
  let [one, two] = [start, start]
  for (const other of others) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      one = nodeHash(other, one)
      two = nodeHash(other, two)
      while (at % 2 === 0 && at !== 0) {
        at = half(at)
        last = half(last)
      }
    } else two = nodeHash(two, other)
    at = half(at)
    last = half(last)
  }
  return last === 0 && same(one, first.root) && same(two, second.root)
}
