import { v5 as uuidv5 } from 'uuid'
import { z } from 'zod'
import { eventParser, Personal, type Decider, type EventOf, type Instant } from '../decider.ts'
import { StoredReason } from '../duplicate-case/duplicate-case.ts'
import { Money, NAMESPACE } from '../values.ts'

/** A record somebody reports 客户举报: one stream for each record and kind of fault, which goes through rounds. */
export const kind = 'recordReport'
export const streamName = (reportId: string): string => `${kind}-${reportId}`

export const faults = ['duplicate', 'wrong-category', 'incomplete'] as const
export type Fault = (typeof faults)[number]

/** Derived from what is reported, so that reports of one fault at once are one; of duplicates the pair, whichever is named first. */
export const reportIdOf = ({ customerId, kind: fault, duplicateOf }: { customerId: string; kind: Fault; duplicateOf?: string | undefined }): string =>
  uuidv5(JSON.stringify([fault, ...[customerId, ...(duplicateOf === undefined ? [] : [duplicateOf])].sort()]), NAMESPACE)

const FreeText = Personal(z.string())
/** A refused attempt that is cited: who tried, when, and what it was refused with. */
const CitedAttempt = z.object({ attemptId: z.string(), at: z.string(), actor: z.string(), onBehalfOf: z.string().nullable(), problem: z.string() })
export type CitedAttempt = z.infer<typeof CitedAttempt>
/** Why ownership stays where it is although the report is upheld. */
const unmoved = ['owner-unknown', 'owner-departed', 'held-already', 'merged-since'] as const
export type Unmoved = (typeof unmoved)[number]

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  RecordReported: z.object({
    /** Of duplicates the one entered later; `duplicateOf` is the earlier one. */
    customerId: z.string(), kind: z.enum(faults), duplicateOf: z.string().nullable(),
    /** Of a wrong category: the one it is in, and the right one. */
    category: z.object({ in: z.string(), right: z.string() }).nullable(),
    /** Of an incomplete record: where it lacks what is required, and the template that requires it. */
    missing: z.array(z.string()), template: z.array(z.object({ categoryId: z.string(), version: z.number().int() })),
    /** Of duplicates: how alike the two are, in bits. */
    match: z.object({ score: z.number(), reasons: z.array(StoredReason), weightsVersion: z.number().int() }).nullable(),
    attempts: z.array(CitedAttempt),
    /** Who is answerable: the employee who entered the record; null when a system did, for nobody. */
    against: z.string().nullable(),
    reporterId: z.string().nullable(),
    note: FreeText,
    /** What is new since it was dismissed. */
    newEvidence: FreeText.nullable(),
    deadlineAt: z.string(),
  }),
  /** Nobody judged it in time. */
  ReportOverdue: z.object({ deadlineAt: z.string() }),
  ReportUpheld: z.object({
    against: z.string().nullable(), penalty: Money.nullable(), noPenalty: z.enum(['nobody-answerable', 'policy']).nullable(),
    /** Where ownership of the later entry was asked for: to whom it goes, or why it stays. */
    dispute: z.object({ to: z.string().nullable(), unmoved: z.enum(unmoved).nullable() }).nullable(),
    reason: FreeText,
  }),
  ReportDismissed: z.object({ reason: FreeText }),
}
export type RecordReportEvent = EventOf<typeof events>

// State: only what decisions need.
export type Reported = {
  status: 'open' | 'overdue' | 'upheld' | 'dismissed'
  customerId: string
  kind: Fault
  duplicateOf: string | null
  against: string | null
  reporterId: string | null
  deadlineAt: Instant
  reportedBy: string
  /** What this round is about: the pair, the category it is in, each field that is missing. */
  about: readonly string[]
  /** What was upheld in any round: it is not judged, and not fined, again. */
  upheld: ReadonlySet<string>
  /** Whether the round that was upheld decided on ownership as well. */
  disputed: boolean
}
export type RecordReport = { status: 'none' } | Reported

type Described = { kind: Fault; category: { in: string } | null; missing: readonly string[] }

/** What a report is about, in words that are the same exactly when the fault is. */
export const aboutOf = ({ kind: fault, category, missing }: Described): string[] => {
  switch (fault) {
    case 'duplicate':
      return ['duplicate']
    case 'wrong-category':
      return category ? [category.in] : []
    case 'incomplete':
      return [...missing]
  }
}

export const recordReport: Decider<RecordReport, RecordReportEvent> = {
  kind,
  events,
  parse: eventParser(events),
  initialState: { status: 'none' },
  evolve: (state, event) => {
    if (event.type === 'RecordReported') {
      const { customerId, duplicateOf, against, reporterId, deadlineAt } = event.data
      return {
        status: 'open', customerId, kind: event.data.kind, duplicateOf, against, reporterId, deadlineAt, reportedBy: event.commandId, about: aboutOf(event.data),
        upheld: state.status === 'none' ? new Set() : state.upheld, disputed: false,
      }
    }
    if (state.status === 'none') return state
    switch (event.type) {
      case 'ReportOverdue':
        return { ...state, status: 'overdue' }
      case 'ReportUpheld':
        return { ...state, status: 'upheld', upheld: new Set([...state.upheld, ...state.about]), disputed: event.data.dispute !== null }
      case 'ReportDismissed':
        return { ...state, status: 'dismissed' }
    }
  },
}
