import type { Codec } from '../event-store/codec.ts'
import type { EventStore } from '../event-store/port.ts'
import type { Folds } from './folds.ts'
import type { HandoverBook } from './handover-book.ts'
import type { CountHoldings } from './holdings.ts'
import type { KeyedHash } from './keyed-hash.ts'
import type { NearMatchFinder } from './near-matches.ts'
import type { FindAttempts } from './report-placing.ts'
import type { LiveOrganisation } from './organisation.ts'
import type { ComplaintFinder } from './protection-facts.ts'

/** What the command path works with; main.ts hands it in, tests hand in their own clock and waits. */
export type Runtime = {
  store: EventStore
  codec: Codec
  organisation: LiveOrganisation
  keyedHash: KeyedHash
  /** The time of day, for what is recorded. */
  now: () => Date
  /** Milliseconds that only ever grow, for how long one waits. */
  elapsed: () => number
  sleep: (ms: number) => Promise<void>
  /** How long a writer waits for another's reservation before it fences it, in ms. */
  reservationWaitMs: number
  /** Streams as they were last known: what is decided on them is appended at that revision, or decided again. */
  folds?: Folds
  /** Looks for customers that are like another; without it nobody looks. */
  nearMatches?: NearMatchFinder
  /** Counts whom an employee holds; without it nothing is gained where the policy limits that. */
  holdings?: CountHoldings
  /** Looks up refused attempts; without it none can be cited. */
  findAttempts?: FindAttempts
  /** The complaints of a customer; without it they are looked for in the whole log. */
  findComplaints?: ComplaintFinder
  /** What handovers read; without it a dry run tells nothing of them. */
  handovers?: HandoverBook
  /** Told of every command that was handled, for metrics. */
  observe?: (command: string, outcome: string, seconds: number) => void
}
