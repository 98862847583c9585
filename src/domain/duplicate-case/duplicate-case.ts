import { v5 as uuidv5 } from 'uuid'
import { z } from 'zod'
import { eventParser, Personal, type Decider, type EventOf } from '../decider.ts'
import { NAMESPACE } from '../values.ts'

/** Two customers that may be one 疑似重复: one stream for each pair. */
export const kind = 'duplicateCase'
export const streamName = (caseId: string): string => `${kind}-${caseId}`

/** A pair is the same whichever is named first. */
export const pairOf = ([one, other]: readonly [string, string]): [string, string] => (one < other ? [one, other] : [other, one])
/** Derived from the pair, so that a pair has one case for ever, whoever opens it. */
export const caseIdOf = (customerIds: readonly [string, string]): string => uuidv5(JSON.stringify(pairOf(customerIds)), NAMESPACE)

const FreeText = Personal(z.string())
/** What the matcher found of one comparison, as a code, and what it weighs in bits. */
export const StoredReason = z.object({ comparison: z.string(), level: z.string(), bits: z.number() })

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  DuplicateCaseOpened: z.object({
    customerIds: z.tuple([z.string(), z.string()]), openedBy: z.enum(['detection', 'person']), score: z.number().nullable(), reasons: z.array(StoredReason), weightsVersion: z.number().int().nullable(), note: FreeText.nullable(),
  }),
  DuplicateCaseConfirmed: z.object({ note: FreeText.nullable() }),
  DuplicateCaseDismissed: z.object({ reason: FreeText }),
  /** The two have been merged: by this case, or by another way. */
  DuplicateCaseMerged: z.object({ mergeId: z.string() }),
}
export type DuplicateCaseEvent = EventOf<typeof events>

// State: only what decisions need.
export type DuplicateCase = { status: 'none' } | { status: 'open' | 'confirmed' | 'dismissed' | 'merged'; customerIds: readonly [string, string]; openedBy: string; mergeId: string | null }

export const duplicateCase: Decider<DuplicateCase, DuplicateCaseEvent> = {
  kind,
  events,
  parse: eventParser(events),
  initialState: { status: 'none' },
  evolve: (state, event) => {
    if (event.type === 'DuplicateCaseOpened') return { status: 'open', customerIds: event.data.customerIds, openedBy: event.commandId, mergeId: null }
    if (state.status === 'none') return state
    switch (event.type) {
      case 'DuplicateCaseConfirmed':
        return { ...state, status: 'confirmed' }
      case 'DuplicateCaseDismissed':
        return { ...state, status: 'dismissed' }
      case 'DuplicateCaseMerged':
        return { ...state, status: 'merged', mergeId: event.data.mergeId }
    }
  },
}
