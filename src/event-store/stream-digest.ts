import { sha256 } from './canonical.ts'

const MOST_KNOWN = 50_000
const known = new Map<string, string>()

/** SHA-256 of a stream's name, in hex: what its first event is chained to, and what tables know it by. Asked for again and again. */
export const streamDigest = (stream: string): string => {
  const before = known.get(stream)
  if (before !== undefined) return before
  const digest = sha256(stream)
  if (known.size >= MOST_KNOWN) known.clear()
  known.set(stream, digest)
  return digest
}
