import type { Holdings } from '../domain/portfolio/limits.ts'
import type { Position } from '../event-store/port.ts'

export type HoldingsAsked = {
  /** Customers at these stages do not count. */
  uncountedStages: readonly string[]
  /** Customers of whom it is asked whether the employee holds them, whether or not they count. */
  among: readonly string[]
  /** The answer is at least as late. */
  after: Position
}

/** Why holdings cannot be counted: the name of the problem the caller is told. */
export type CannotCount = 'model-building' | 'not-caught-up'

/**
 * Counts whom an employee holds now; customers absorbed by others not counted. main.ts hands it in; it answers from a
 * read model, once that has come to the position asked for.
 */
export type CountHoldings = (employeeId: string, asked: HoldingsAsked) => Promise<Holdings | CannotCount>
