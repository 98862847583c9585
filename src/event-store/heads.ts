import { Buffer } from 'node:buffer'
import { streamDigest } from './stream-digest.ts'

/** Where a stream ends: the revision and hash of its last event, and when that was recorded (ms since 1970). */
export type CompactHead = { revision: number; hash: string; recordedAt: number }

/** Heads of any number of streams in little memory: some 60 bytes each, twice as much at most while the table has grown. */
export type Heads = { get: (stream: string) => CompactHead | undefined; set: (stream: string, head: CompactHead) => void; size: () => number }

const KEY = 16
const HASH = 32

/** A hash table in typed arrays: objects would take five times as much. Streams are told apart by 128 bits of the SHA-256 of their names. */
export const makeHeads = (): Heads => {
  let capacity = 1024
  let size = 0
  let keys = Buffer.alloc(capacity * KEY)
  let hashes = Buffer.alloc(capacity * HASH)
  // Counted from 1: a revision of 0 is an empty place.
  let revisions = new Int32Array(capacity)
  let times = new Float64Array(capacity)

  const slotOf = (key: Buffer): number => {
    for (let slot = key.readUInt32LE(0) % capacity; ; slot = (slot + 1) % capacity) {
      if (revisions[slot] === 0 || key.compare(keys, slot * KEY, (slot + 1) * KEY) === 0) return slot
    }
  }
  const put = (slot: number, key: Buffer, hash: Buffer, revision: number, time: number): void => {
    key.copy(keys, slot * KEY)
    hash.copy(hashes, slot * HASH)
    revisions[slot] = revision
    times[slot] = time
  }
  const grow = (): void => {
    const old = { capacity, keys, hashes, revisions, times }
    capacity *= 2
    keys = Buffer.alloc(capacity * KEY)
    hashes = Buffer.alloc(capacity * HASH)
    revisions = new Int32Array(capacity)
    times = new Float64Array(capacity)
    for (let slot = 0; slot < old.capacity; slot += 1) {
      const revision = old.revisions[slot] ?? 0
      if (revision === 0) continue
      const key = old.keys.subarray(slot * KEY, (slot + 1) * KEY)
      put(slotOf(key), key, old.hashes.subarray(slot * HASH, (slot + 1) * HASH), revision, old.times[slot] ?? 0)
    }
  }
  // A head is looked at and then set: its key is made once.
  let last = { stream: '', key: Buffer.alloc(KEY) }
  const keyOf = (stream: string): Buffer => {
    if (stream !== last.stream) last = { stream, key: Buffer.from(streamDigest(stream).slice(0, 2 * KEY), 'hex') }
    return last.key
  }

  return {
    get: (stream) => {
      const slot = slotOf(keyOf(stream))
      const revision = revisions[slot] ?? 0
      return revision === 0 ? undefined : { revision: revision - 1, hash: hashes.toString('hex', slot * HASH, (slot + 1) * HASH), recordedAt: times[slot] ?? 0 }
    },
    set: (stream, { revision, hash, recordedAt }) => {
      if (size > capacity * 0.7) grow()
      const key = keyOf(stream)
      const slot = slotOf(key)
      if (revisions[slot] === 0) size += 1
      put(slot, key, Buffer.from(hash, 'hex'), revision + 1, recordedAt)
    },
    size: () => size,
  }
}
