import type { Instant, Recorded } from '../decider.ts'
import type { CustomerEvent, StoredFields, Take } from './events.ts'

// What a customer's stream says of merges, as survivor and as absorbed. docs/architecture.md gives the protocol.
export type Merge = { mergeId: string; absorbedId: string; take: Take }
/** Whose value counts for a field; null in `field`: for the name. Null in `from`: its own, changed by hand since. */
export type Choice = { field: string | null; from: string | null }

export type Merging = {
  /** When it was first entered; `stated`: elsewhere, at a time that was told. */
  entry: { at: Instant; stated: boolean }
  /** By which merge it is part of which other. */
  absorption: { mergeId: string; into: string } | null
  /** When it was part of another, so that nobody held it by itself. Open while it is. */
  absences: readonly { from: Instant; to: Instant | null }[]
  /** As absorbed: how each merge of it was decided. */
  decided: ReadonlyMap<string, 'absorbed' | 'declined' | 'reversed'>
  /** As survivor: a merge that is not decided yet. While there is one, it cannot be absorbed. */
  openMerge: Merge | null
  /** As survivor: the merges in force by whom they absorbed, in order. */
  merges: ReadonlyMap<string, Merge>
  /** In order; the last that still can be followed counts. */
  choices: readonly Choice[]
  /** Revisions of the changes of owner that merges and reversals made. */
  settlements: ReadonlySet<number>
}

export const neverMerged: Merging = { entry: { at: '', stated: false }, absorption: null, absences: [], decided: new Map(), openMerge: null, merges: new Map(), choices: [], settlements: new Set() }

type MergeEvent = Extract<CustomerEvent, { type: `Merge${string}` | 'CustomerAbsorbed' | 'CustomerMerged' | 'OwnershipSettled' }>

export const applyMerge = (state: Merging, event: Recorded<MergeEvent>): Partial<Merging> => {
  switch (event.type) {
    case 'MergeStarted': {
      const { mergeId, absorbedId, take } = event.data
      return { openMerge: { mergeId, absorbedId, take } }
    }
    case 'MergeAbandoned':
      return { openMerge: null }
    case 'CustomerMerged':
      return state.openMerge ? { openMerge: null, merges: new Map(state.merges).set(state.openMerge.absorbedId, state.openMerge), choices: [...state.choices, ...choicesOf(state.openMerge)] } : {}
    case 'MergeUndone': {
      const merges = new Map(state.merges)
      merges.delete(event.data.absorbedId)
      return { merges, choices: merges.size === 0 ? [] : state.choices.filter((choice) => choice.from !== event.data.absorbedId) }
    }
    case 'CustomerAbsorbed':
      return { absorption: { mergeId: event.data.mergeId, into: event.data.into }, absences: [...state.absences, { from: event.effectiveAt, to: null }], decided: new Map(state.decided).set(event.data.mergeId, 'absorbed') }
    case 'MergeDeclined':
      return { decided: new Map(state.decided).set(event.data.mergeId, 'declined') }
    case 'MergeReversed':
      return { absorption: null, absences: state.absences.map((one) => ({ ...one, to: one.to ?? event.effectiveAt })), decided: new Map(state.decided).set(event.data.mergeId, 'reversed') }
    case 'OwnershipSettled':
      return { settlements: new Set(state.settlements).add(event.revision) }
  }
}

/** What the merge takes of the absorbed. What it keeps of the survivor needs no choice: the absorbed is passed over. */
export const choicesOf = ({ absorbedId, take }: Merge): Choice[] => [
  ...(take.name === absorbedId ? [{ field: null, from: absorbedId }] : []),
  ...Object.entries(take.fields).flatMap(([field, from]) => (from === absorbedId ? [{ field, from }] : [])),
]

/** What is written on a survivor counts from then on, also where it clears what an absorbed customer has. */
export const chosenByHand = (state: Merging, change: { name?: unknown; fields: StoredFields }): Partial<Merging> =>
  state.merges.size === 0 ? {} : {
    choices: [...state.choices, ...(change.name === undefined ? [] : [{ field: null, from: null }]), ...Object.keys(change.fields).map((field) => ({ field, from: null }))],
  }
