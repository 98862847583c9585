import { ownerOf } from '../domain/customer/customer.ts'
import { earlierOf } from '../domain/customer/group.ts'
import { abandonMerge, completeMerge, decideMerge, ownerByItself, type Claim } from '../domain/customer/merging.ts'
import { settleAnew, undoMerge } from '../domain/customer/reversing.ts'
import type { Position } from '../event-store/port.ts'
import { firstEntryOf, groupAt, groupOf, type LoadedGroup } from './group.ts'
import { handOverBeside } from './handing-over-beside.ts'
import { handOver } from './handing-over.ts'
import { beginningOf, causedBy, isReversal, isStart, stepOf, untilDone } from './merge-steps.ts'
import type { Runtime } from './runtime.ts'

/**
 * What follows from a merge that was started and a reversal that was decided: an append on one stream after the other,
 * each at the revision just read. Whoever comes upon one that stands still takes it on: the caller's own command, or the
 * process that follows the log; several at once do what one would. docs/architecture.md says why no ring can come about.
 */
export type Outcome = { outcome: 'merged' | 'abandoned'; absorbedId: string; position: Position; revision: number }

const claimOf = async (runtime: Runtime, group: LoadedGroup, ownerId: string | null) => {
  const entry = await firstEntryOf(runtime, group)
  return { entry, claim: { customerId: entry.customerId, ownerId } }
}
const inOrderOfEntry = (claims: readonly Awaited<ReturnType<typeof claimOf>>[]): Claim[] =>
  claims.toSorted((one, other) => (earlierOf(one.entry, other.entry) === one.entry ? -1 : 1)).map(({ claim }) => claim)

const without = (group: LoadedGroup, absorbedId: string): LoadedGroup => ({ ...group, members: group.members.filter((member) => member.customerId !== absorbedId) })

/** Whose the two records are that become one, the earlier entered first. */
export const claimsOn = async (runtime: Runtime, survivor: LoadedGroup, absorbed: LoadedGroup): Promise<Claim[]> => inOrderOfEntry([
  await claimOf(runtime, without(survivor, absorbed.customerId), ownerOf(survivor.state)),
  await claimOf(runtime, absorbed, ownerOf(absorbed.state)),
])

/** Brings a started merge to its end: it comes about, or is abandoned. Undefined when none of that id was started. */
export const settleMerge = async (runtime: Runtime, survivorId: string, mergeId: string): Promise<Outcome | undefined> => {
  const start = await beginningOf(runtime, survivorId, isStart, mergeId)
  if (!start) return undefined
  const { absorbedId } = start.event.data
  const step = stepOf(runtime, causedBy(start.stored))
  return untilDone(runtime, async () => {
    const survivor = await groupAt(runtime, survivorId)
    const absorbed = await groupAt(runtime, absorbedId)
    const decided = absorbed.state.decided.get(mergeId)
    if (decided === undefined) {
      // Only what the absorbed decides closes the merge on the survivor: it is open still.
      await step(absorbed.loaded, decideMerge(absorbed.state, { mergeId, into: survivorId, absorbedId }))
      return undefined
    }
    if (survivor.state.openMerge?.mergeId !== mergeId) return { outcome: decided === 'declined' ? 'abandoned' : 'merged', absorbedId, position: laterOf(survivor, absorbed), revision: survivor.state.visibleRevision }
    const next = decided === 'declined'
      ? abandonMerge(survivor.state, { mergeId, absorbedId })
      : completeMerge(survivor.state, { mergeId, absorbedId }, await claimsOn(runtime, survivor, absorbed))
    await step(survivor.loaded, next)
    return undefined
  })
}

const laterOf = (one: LoadedGroup, other: LoadedGroup): Position => (one.loaded.position > other.loaded.position ? one.loaded.position : other.loaded.position)

/** Whose a survivor is by those it is made of now: by itself, and each that it has absorbed. */
export const claimsLeft = async (runtime: Runtime, survivor: LoadedGroup): Promise<Claim[]> => {
  const left = [await claimOf(runtime, { ...survivor, members: [] }, ownerByItself(survivor.state))]
  for (const member of survivor.members) left.push(await claimOf(runtime, member, ownerOf(member.state)))
  return inOrderOfEntry(left)
}

/** What a survivor lost by a reversal, those it is part of itself have lost as well: who owns each is settled anew, from below. */
const settleAbove = async (runtime: Runtime, customerId: string, mergeId: string, step: ReturnType<typeof stepOf>): Promise<void> => {
  const into = (await groupAt(runtime, customerId)).state.absorption?.into
  if (into === undefined) return
  await untilDone(runtime, async () => {
    const survivor = await groupAt(runtime, into)
    const settled = settleAnew(survivor.state, mergeId, await claimsLeft(runtime, survivor))
    if (settled.length === 0) return true
    await step(survivor.loaded, settled)
    return undefined
  })
  await settleAbove(runtime, into, mergeId, step)
}

/** Brings a reversal to its end: on the survivor, and what was given is the other's. Answers from where it can be read, and the revision of the customer given back. */
export const settleReversal = async (runtime: Runtime, absorbedId: string, mergeId: string): Promise<{ position: Position; revision: number } | undefined> => {
  const reversal = await beginningOf(runtime, absorbedId, isReversal, mergeId)
  if (!reversal) return undefined
  const { from, give } = reversal.event.data
  await settleMerge(runtime, from, mergeId)
  const step = stepOf(runtime, causedBy(reversal.stored))
  await untilDone(runtime, async () => {
    const survivor = await groupAt(runtime, from)
    if (survivor.state.merges.get(absorbedId)?.mergeId !== mergeId) return true
    await step(survivor.loaded, undoMerge(survivor.state, { mergeId, absorbedId, give }, await claimsLeft(runtime, survivor)))
    return undefined
  })
  await settleAbove(runtime, from, mergeId, step)
  await handOver(runtime, reversal)
  const beside = await handOverBeside(runtime, reversal)
  const absorbed = await groupAt(runtime, absorbedId)
  const positions = [beside, laterOf(await groupAt(runtime, from), absorbed), (await groupOf(runtime, from)).loaded.position]
  return { position: positions.reduce((last, one) => (one > last ? one : last)), revision: absorbed.state.visibleRevision }
}
