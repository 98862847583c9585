import type { Selection } from '../domain/handover/handover.ts'
import type { Rule } from '../domain/handover/recipients.ts'
import type { Handed, Taker } from '../domain/handover/spread.ts'
import type { Position } from '../event-store/port.ts'

/** A handover that is under way, or that has been completed and has come upon more since. */
export type OpenHandover = { handoverId: string; from: string; cause: 'departure' | 'transfer'; rule: Rule; completed: boolean; remaining: number; moved: number; pooled: number }
/** A customer to be handed over; `place` is where to go on from. */
export type PendingCustomer = Handed & { heldSince: number; place: string }

/**
 * What handovers read: whom they still have to move, and who holds how many. main.ts hands it in; it answers from a
 * read model.
 */
export type HandoverBook = {
  /** Handovers with anything to do, the first begun first. As late as a position; undefined when it is not there yet. */
  open: (after: Position) => Promise<readonly OpenHandover[] | undefined>
  /** Customers a handover has not moved, in order of their entry, after a place. */
  pending: (handoverId: string, page: { after: string | undefined; limit: number }) => Promise<readonly PendingCustomer[]>
  /** What these employees hold. */
  takers: (employeeIds: readonly string[]) => Promise<readonly Taker[]>
  /** The rule of somebody's departure; undefined when no handover of theirs has been started. */
  ruleOfDeparture: (employeeId: string) => Promise<Rule | undefined>
  /** Whom somebody holds, in order of entry, after a place. */
  held: (from: string, only: Selection | undefined, page: { after: string | undefined; limit: number }) => Promise<readonly PendingCustomer[]>
}
