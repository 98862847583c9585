import { LRUCache } from 'lru-cache'
import type { Decider } from '../domain/decider.ts'
import type { Loaded } from './load.ts'

/**
 * A stream as it was last known, by the decider that folded it, and about how many bytes of events that took. It was
 * so at that revision, and streams only grow: an append at that revision is as safe as one after a fresh read, for it
 * fails when others were quicker. What is not an append (a refusal, a no-op) must not rest on it: `load` reads on.
 */
export type Fold = { decider: object; loaded: Loaded<unknown>; bytes: number }
export type Folds = {
  get: (stream: string) => Fold | undefined
  set: (stream: string, fold: Fold) => void
  drop: (stream: string) => void
  /** Events are known to follow what is known of a stream: it is good for reading on from, and for nothing else. */
  isBehind: (stream: string) => boolean
}

const MOST_BYTES = 64 * 1024 * 1024
/** Besides: whoever has been erased by another process shall not stay in memory for long. */
const KEPT_MS = 5 * 60_000

/** What commands have lately come upon, in bounded memory. */
export const makeFolds = (mostBytes = MOST_BYTES): Folds => {
  const folds = new LRUCache<string, Fold>({ maxSize: mostBytes, sizeCalculation: ({ bytes }) => 1024 + bytes, ttl: KEPT_MS, ttlResolution: 250 })
  return {
    get: (stream) => folds.get(stream),
    set: (stream, fold) => {
      // Of two commands on one stream the later may be done first.
      if ((folds.peek(stream)?.loaded.head.revision ?? -1) <= fold.loaded.head.revision) folds.set(stream, fold)
    },
    drop: (stream) => {
      folds.delete(stream)
    },
    isBehind: () => false,
  }
}

const isBy = <State, Event>(fold: Fold | undefined, decider: Decider<State, Event>): fold is Fold & { loaded: Loaded<State> } => fold?.decider === decider

/** What is known of a stream. */
export const recall = <State, Event>(folds: Folds | undefined, decider: Decider<State, Event>, stream: string): (Fold & { loaded: Loaded<State> }) | undefined => {
  const fold = folds?.get(stream)
  return isBy(fold, decider) ? fold : undefined
}

const isRecord = (value: object): value is Record<string, unknown> => !Array.isArray(value)

/** About how much memory a JSON value takes. */
export const sizeOfJson = (value: unknown): number => {
  if (typeof value === 'string') return 16 + value.length * 2
  if (typeof value !== 'object' || value === null) return 16
  let size = 32
  if (Array.isArray(value)) for (const item of value) size += sizeOfJson(item)
  else if (isRecord(value)) for (const key in value) size += key.length + sizeOfJson(value[key])
  return size
}
