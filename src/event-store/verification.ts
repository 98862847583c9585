import { emptyHead } from './chain.ts'
import { makeHeads } from './heads.ts'
import type { LogEntry } from './log-entry.ts'
import { emptyRange, growFrom, leafOf } from './merkle.ts'
import type { SignedRoot } from './signed-root.ts'

/** Something that is not as it was recorded, and where. */
export type Finding = { kind: 'altered' | 'removed' | 'inserted' | 'moved' | 'root'; position: bigint | null; stream: string | null; revision: number | null; detail: string }

/** A root to check the log against, and where it comes from: a file is worth more than the log's own word. */
export type KnownRoot = SignedRoot & { from: string }

export type Verified = {
  events: number
  streams: number
  /** The roots that fit, and the largest of them: so many events are what was signed. */
  fitting: number
  last: KnownRoot | null
  /** Roots after one that does not fit: they cannot fit either. */
  unfitting: number
}

/** Revisions of a stream that have been passed over so far. */
type Gap = { from: number; to: number; before: LogEntry }

/**
 * Checks a log entry by entry: each event alone, the chain of each stream, positions where they have no gaps, and at
 * every signed size the root. Roots are over the hashes events claim, so that a change of content is one finding and
 * not that of every root after it as well; that the claim is true is checked for each event.
 */
export const makeVerification = (roots: readonly KnownRoot[], { dense }: { dense: boolean }, report: (finding: Finding) => void) => {
  const bySize = Map.groupBy(roots, ({ size }) => size)
  const heads = makeHeads()
  const gaps = new Map<string, Gap[]>()
  const tree = growFrom(emptyRange)
  const verified: Verified = { events: 0, streams: 0, fitting: 0, last: null, unfitting: 0 }
  let position = 0n
  /** What the last fitting root covers; and since when nothing fits. */
  let sound = { size: 0, position: 0n }
  let broken = false
  let findings = 0
  const foundAt: bigint[] = []

  const found = (kind: Finding['kind'], entry: Pick<LogEntry, 'position' | 'stream' | 'revision'>, detail: string): void => {
    findings += 1
    if (foundAt.length < 10_000) foundAt.push(entry.position)
    report({ kind, position: entry.position, stream: entry.stream, revision: entry.revision, detail })
  }

  const checkPosition = (entry: LogEntry): void => {
    if (!dense || entry.position === position + 1n) return
    const [from, to] = [position + 1n, entry.position - 1n]
    findings += 1
    foundAt.push(from)
    report({ kind: 'removed', position: from, stream: null, revision: null, detail: from === to ? `position ${from} is missing` : `positions ${from} to ${to} are missing` })
  }

  /** Fills a gap: what comes after a later revision of its stream was put elsewhere. */
  const fillsGap = ({ stream, revision }: LogEntry): boolean => {
    const open = gaps.get(stream) ?? []
    const gap = open.find(({ from, to }) => from <= revision && revision <= to)
    if (!gap) return false
    gaps.set(stream, [...open.filter((one) => one !== gap), ...[{ ...gap, to: revision - 1 }, { ...gap, from: revision + 1 }].filter(({ from, to }) => from <= to)])
    return true
  }

  const checkChain = (entry: LogEntry): void => {
    const { stream, revision } = entry
    const head = heads.get(stream) ?? { revision: -1, hash: emptyHead(stream).hash, recordedAt: 0 }
    const recordedAt = Date.parse(entry.recordedAt) || 0
    if (revision <= head.revision) {
      if (fillsGap(entry)) found('moved', entry, `it stands after revision ${head.revision} of its stream`)
      else found('inserted', entry, `its stream has a revision ${revision} before it`)
      return
    }
    if (revision > head.revision + 1) gaps.set(stream, [...(gaps.get(stream) ?? []), { from: head.revision + 1, to: revision - 1, before: entry }])
    else if (entry.fault === undefined && entry.prevHash !== head.hash) {
      found('altered', entry, revision === 0 ? 'it is the first of its stream, and chained to something else' : `revision ${revision - 1} is not the event it was chained to: that one was altered or replaced, or this one inserted`)
    } else if (entry.fault === undefined && recordedAt < head.recordedAt) found('altered', entry, 'it was recorded earlier than the event before it')
    heads.set(stream, { revision, hash: entry.hash, recordedAt })
  }

  const checkRoots = (entry: LogEntry): void => {
    for (const known of bySize.get(tree.size()) ?? []) {
      if (known.root === tree.root().toString('hex')) {
        Object.assign(verified, { fitting: verified.fitting + 1, last: known })
        sound = { size: tree.size(), position: entry.position }
        broken = false
      } else if (broken) verified.unfitting += 1
      else {
        broken = true
        const shown = foundAt.some((at) => at > sound.position && at <= entry.position)
        const where = `between the first ${sound.size} events and the first ${known.size}, ${dense ? `at positions ${sound.position + 1n} to ${entry.position}` : `after position ${sound.position}, up to ${entry.position}`}`
        findings += 1
        report({ kind: 'root', position: entry.position, stream: null, revision: null, detail: `the root signed at ${known.signedAt} over ${known.size} events (${known.from}) does not fit: ${where}, ${shown ? 'as found above' : 'events were altered, removed, inserted or moved and their chains written anew, or the ends of streams, or whole streams'}` })
      }
    }
  }

  return {
    add: (entry: LogEntry): void => {
      checkPosition(entry)
      if (entry.fault !== undefined) found('altered', entry, entry.fault)
      checkChain(entry)
      tree.append(leafOf(entry.hash))
      position = entry.position
      verified.events += 1
      checkRoots(entry)
    },
    /** What remains to be said when the log has ended. */
    end: (): Verified & { findings: number } => {
      for (const [stream, open] of gaps) {
        for (const { from, to, before } of open) found('removed', { ...before, stream, revision: from }, `${from === to ? `revision ${from} of this stream is` : `revisions ${from} to ${to} of this stream are`} missing before revision ${before.revision}, which stands at position ${before.position}`)
      }
      const beyond = roots.filter(({ size }) => size > verified.events).toSorted((a, b) => b.size - a.size)
      const [most] = beyond
      if (most) {
        findings += 1
        report({ kind: 'removed', position: null, stream: null, revision: null, detail: `a root was signed at ${most.signedAt} over ${most.size} events (${most.from}), and the log has ${verified.events}: ${most.size - verified.events} are missing, its end most likely` })
        verified.unfitting += beyond.length - 1
      }
      return { ...verified, streams: heads.size(), findings }
    },
  }
}
