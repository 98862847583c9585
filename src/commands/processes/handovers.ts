import { v5 as uuidv5 } from 'uuid'
import type { Caller } from '../../domain/decider.ts'
import type { DomainEvent } from '../../domain/events.ts'
import type { RecordedEvent } from '../../event-store/port.ts'
import type { ProcessLog } from '../../event-store/process-log.ts'
import { pause } from '../../event-store/waiting.ts'
import type { HandoverBook, OpenHandover, PendingCustomer } from '../handover-book.ts'
import { makeAssign, planOf } from '../handover-plan.ts'
import { NAMESPACE } from '../keyed-hash.ts'
import { problemName } from '../problem.ts'
import type { Runtime } from '../runtime.ts'
import { handleNamed } from '../send.ts'
import { dispatch, type Intent } from './dispatch.ts'

export const PROCESS = 'handovers'

/** A departure begins a handover, whose id follows from it: once, however often it is seen. */
export const departed = async (_runtime: Runtime, one: DomainEvent, stored: RecordedEvent): Promise<Intent[]> => {
  if (one.kind !== 'employee' || one.event.type !== 'EmployeeDeparted') return []
  const handoverId = uuidv5(`departure ${stored.id}`, NAMESPACE)
  const body = { handoverId, from: one.id, handover: one.event.data.handover ?? null, startedBy: one.event.actor }
  return [{ command: 'start-handover', key: `start/${handoverId}`, body, causationId: stored.id, correlationId: stored.metadata.$correlationId }]
}

/** Customers planned at once. */
const PAGE = 2000
/** Commands under way at once: as many as the log takes in one commit without anybody waiting. */
const AT_ONCE = 128
const IDLE_MS = 1000
const NOT_YET_MS = 20

type Dependencies = { runtime: Runtime; log: ProcessLog; book: HandoverBook; pageSize?: number; idleMs?: number }

/**
 * Moves the customers of every handover, the first begun first, each in the order in which they were entered; those
 * under way at once may be recorded in another order. Whatever has been written before, by this process or one that
 * died, the read model is waited for: what it lists then is what is left. A customer is moved by a command whose key
 * follows from the handover, the holding and who takes over, and which does nothing where the holding has ended.
 */
export const runHandovers = async (dependencies: Dependencies, until: AbortSignal): Promise<void> => {
  const { runtime, book, idleMs = IDLE_MS } = dependencies
  while (!until.aborted) {
    if ((await book.open(0n))?.length === 0) {
      await pause(idleMs, until)
      continue
    }
    const open = await book.open(await runtime.store.head())
    let moved = 0
    for (const handover of open ?? []) moved += await moveOn(dependencies, handover, until)
    if (moved === 0) await pause(open ? idleMs : NOT_YET_MS, until)
  }
}

/** One pass over whom a handover has left; or its completion. Answers how much came of it. */
const moveOn = async ({ runtime, log, book, pageSize = PAGE }: Dependencies, handover: OpenHandover, until: AbortSignal): Promise<number> => {
  if (handover.remaining === 0) return completed({ runtime, log }, handover)
  await runtime.organisation.refresh()
  const organisation = runtime.organisation.current()
  const plan = await planOf(book, organisation, handover.from, handover.rule)
  if (!plan) return 0
  const assign = await makeAssign(book, plan)
  // What was refused is parked, and sent again from there.
  const parked = new Set((await log.parked(PROCESS)).map((entry) => entry.key))
  const move = (customer: PendingCustomer, to: string | null) => {
    const intent = intentOf(handover, customer, to)
    return parked.has(intent.key) ? Promise.resolve(0) : send({ runtime, log }, intent)
  }
  let moved = 0
  let next = book.pending(handover.handoverId, { after: undefined, limit: pageSize })
  for (;;) {
    const page = await next
    // Who has departed since takes nothing more: the next pass plans anew.
    if (page.length === 0 || until.aborted || runtime.organisation.current().employees !== organisation.employees) return moved
    next = book.pending(handover.handoverId, { after: page.at(-1)?.place, limit: pageSize })
    next.catch(() => undefined)
    const target = assign(page)
    const answers = await eachOf(page, (customer) => move(customer, target(customer.customerId)), until)
    for (const answer of answers) moved += answer
  }
}

const intentOf = ({ handoverId, from, cause }: OpenHandover, { customerId, heldSince }: PendingCustomer, to: string | null): Intent => ({
  command: 'hand-over-customer',
  key: `${handoverId}/${customerId}/${heldSince}/${to ?? 'pool'}`,
  body: { customerId, handoverId, from, to, basis: cause, ...(cause === 'transfer' ? { heldSince } : {}) },
})

/** Begins them in order, so many at once. What one throws is thrown when those under way have ended. */
const eachOf = async <Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>, until: AbortSignal): Promise<Result[]> => {
  const results: Result[] = []
  const rest = items.values()
  const lanes = await Promise.allSettled(Array.from({ length: AT_ONCE }, async () => {
    for (const item of rest) {
      if (until.aborted) return
      results.push(await work(item))
    }
  }))
  for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason
  return results
}

/** These pass by themselves: the next pass finds somebody else, or the holding gone. */
const passing: ReadonlySet<string> = new Set(['contention', 'employee-departed', 'unknown-reference', 'older-than-log'])

const send = async ({ runtime, log }: Pick<Dependencies, 'runtime' | 'log'>, intent: Intent): Promise<number> => {
  const caller: Caller = { actor: PROCESS, role: 'system', employeeId: null, onBehalfOf: null }
  const answer = await handleNamed(runtime, intent.command, intent.body, { caller, key: intent.key })
  if (answer.status < 400) return Array.isArray(answer.body['events']) ? answer.body['events'].length : 0
  if (!passing.has(problemName({ type: String(answer.body['type']) }))) await dispatch(runtime, log, PROCESS, intent)
  return 0
}

/** The read model has seen everything up to here, and none is left. */
const completed = async ({ runtime, log }: Pick<Dependencies, 'runtime' | 'log'>, { handoverId, rule, moved, pooled }: OpenHandover): Promise<number> =>
  send({ runtime, log }, { command: 'complete-handover', key: `complete/${handoverId}`, body: { handoverId, moved, pooled, unplaced: rule.to === 'pool' ? 0 : pooled } })
