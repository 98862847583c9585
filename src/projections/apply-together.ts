import { makeGroup } from '../event-store/group.ts'
import { pause } from '../event-store/waiting.ts'
import { apply, applyStep, BEGINNING, step, write, type Progress, type Step } from './apply.ts'
import { moveCheckpointsAfter } from './checkpoint.ts'
import { concurrently } from './kysely.ts'

/** Events of a batch, at the most: for a longer one, what is done once in a transaction matters little. */
const FEW = 200
/** One that takes long (somebody holds its rows, or a field got another meaning for everybody) keeps the others waiting for so long, once. */
const PATIENCE_MS = 1000
/** And where that came to nothing, each goes by itself for a while: what took too long once may do so again. */
export const APART_MS = 5000

/**
 * `apply` for the read models of a process, which read the log at one pace: short batches that come together are
 * applied in one transaction, in as few trips as the longest of them takes. Where that fails each is applied by
 * itself, as if nothing had been tried, and so are the next for a while: what is wrong with one is its own affair.
 */
export const makeApplyTogether = ({ few = FEW, patienceMs = PATIENCE_MS, now = () => performance.now() } = {}): typeof apply => {
  let apartUntil = 0
  const together = makeGroup(async (steps: readonly Step[]): Promise<readonly boolean[]> => {
    const [first] = steps
    if (!first || steps.length === 1) return steps.map(() => false)
    const done = await first.db.transaction().execute(async (trx) => {
      await moveCheckpointsAfter(trx, [...BEGINNING, `set local statement_timeout = ${patienceMs}`], steps)
      // All of them have come to an end before the transaction is committed; of one that takes too long, what comes later is refused.
      await concurrently(trx, async (shared) => {
        for (const written of await inTime(patienceMs, Promise.allSettled(steps.map((one) => write(shared, one))))) if (written.status === 'rejected') throw written.reason
      })
      return true
    }).catch(() => false)
    if (!done) apartUntil = now() + APART_MS
    return steps.map(() => done)
  })

  return async (application, from, batch, options): Promise<Progress> => {
    if (options.onCommit || batch.events.length > few || now() < apartUntil) return apply(application, from, batch, options)
    const taken = await step(application, from, batch, options.ready)
    return (await together.ask(taken)) ? { checkpoint: taken.to, unknownTypes: taken.unknownTypes } : applyStep(taken)
  }
}

const inTime = async <Result>(ms: number, work: Promise<Result>): Promise<Result> => {
  const stop = new AbortController()
  const tooLong = pause(ms, stop.signal).then(() => {
    throw new Error('one of the read models takes long')
  })
  return Promise.race([work, tooLong]).finally(() => stop.abort())
}
