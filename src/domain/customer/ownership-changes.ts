import type { Instant, Recorded } from '../decider.ts'
import type { CustomerEvent } from './events.ts'

/** `corrects`: the revision of the change it stands in for. */
export type OwnershipChange = { at: Instant; revision: number; ownerId: string | null; corrects?: number }

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

/**
 * With a change instead of another: in its very place when it takes effect at the same time, so that what came after
 * it at that instant still does; else at the time of its own.
 */
export const withCorrection = (changes: OwnershipChanges, change: OwnershipChange): OwnershipChanges => {
  const all = listed(changes)
  const index = all.findIndex((one) => one.revision === change.corrects)
  if (index < 0) return withChange(changes, change)
  if (all[index]?.at === change.at) return linked(all.with(index, change))
  return withChange(linked(all.toSpliced(index, 1)), change)
}
const linked = (all: readonly OwnershipChange[]): OwnershipChanges => all.reduce<OwnershipChanges>((before, change) => ({ change, before }), null)

/** The changes of owner after an event of the customer; the same list where it changes none. */
export const ownershipAfter = (changes: OwnershipChanges, event: Recorded<CustomerEvent>): OwnershipChanges => {
  const { effectiveAt: at, revision } = event
  switch (event.type) {
    case 'CustomerCreated':
    case 'OwnershipReleased':
      return withChange(changes, { at, revision, ownerId: null })
    case 'OwnershipClaimed':
    case 'OwnershipAssigned':
    case 'OwnershipTransferred':
    case 'OwnershipSettled':
    case 'MergeReversed':
      return withChange(changes, { at, revision, ownerId: event.data.ownerId })
    case 'OwnershipCorrected':
      return withCorrection(changes, { at, revision, ownerId: event.data.ownerId, corrects: event.data.correctsRevision })
    default:
      return changes
  }
}

/** The latest change for which it holds. */
export const latestWhere = (changes: OwnershipChanges, holds: (change: OwnershipChange) => boolean): OwnershipChange | undefined => {
  for (let at = changes; at !== null; at = at.before) if (holds(at.change)) return at.change
  return undefined
}

/** The latest change that gave it to somebody. */
export const lastOwned = (changes: OwnershipChanges): OwnershipChange | undefined => latestWhere(changes, ({ ownerId }) => ownerId !== null)

/** All of them, the first first. */
export const listed = (changes: OwnershipChanges): OwnershipChange[] => {
  const all: OwnershipChange[] = []
  for (let at = changes; at !== null; at = at.before) all.push(at.change)
  return all.reverse()
}
