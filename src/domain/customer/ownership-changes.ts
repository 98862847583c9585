import type { Instant } from '../decider.ts'

export type OwnershipChange = { at: Instant; revision: number; ownerId: string | null }

/**
 * Changes of owner by effective time, ties by revision, the latest first in hand. A list that shares what comes before:
 * one more change copies nothing, however many there were, and an earlier state keeps its own.
 */
export type OwnershipChanges = { change: OwnershipChange; before: OwnershipChanges } | null

/** With a change at its place: behind those of the same time or earlier, before later ones. */
export const withChange = (changes: OwnershipChanges, change: OwnershipChange): OwnershipChanges => {
  const later: OwnershipChange[] = []
  let before = changes
  for (; before !== null && before.change.at > change.at; before = before.before) later.push(before.change)
  return later.reduceRight<OwnershipChanges>((rest, one) => ({ change: one, before: rest }), { change, before })
}

/** The latest change for which it holds. */
export const latestWhere = (changes: OwnershipChanges, holds: (change: OwnershipChange) => boolean): OwnershipChange | undefined => {
  for (let at = changes; at !== null; at = at.before) if (holds(at.change)) return at.change
  return undefined
}

/** All of them, the first first. */
export const listed = (changes: OwnershipChanges): OwnershipChange[] => {
  const all: OwnershipChange[] = []
  for (let at = changes; at !== null; at = at.before) all.push(at.change)
  return all.reverse()
}
