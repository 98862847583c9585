import type { Problem } from '../commands/problem.ts'

/** A refusal on its way to the caller. */
export class ProblemError extends Error {
  override name = 'ProblemError'
  readonly problem: Problem
  readonly headers: Record<string, string>
  constructor(given: Problem, headers: Record<string, string> = {}) {
    super(given.title)
    this.problem = given
    this.headers = headers
  }
}
