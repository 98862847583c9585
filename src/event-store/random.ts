import { randomFillSync } from 'node:crypto'
import { v7 } from 'uuid'

const POOL = 16 * 1024
const pool = Buffer.allocUnsafe(POOL)
let used = POOL

/** Random bytes from the operating system's generator, drawn many at a time: a call for each few costs more than all else in sealing. */
export const randomBytesOf = (count: number): Buffer => {
  if (used + count > POOL) {
    randomFillSync(pool)
    used = 0
  }
  const drawn = Buffer.from(pool.subarray(used, used + count))
  // What has been given out stays with who asked for it.
  pool.fill(0, used, used + count)
  used += count
  return drawn
}

/** A UUIDv7 (RFC 9562, section 5.7): the time in ms, the rest at random. */
export const drawId = (): string => v7({ random: randomBytesOf(16) })
