import { asOne, everyone } from '../../domain/customer/group.ts'
import { activateByPurchase, assessSpend } from '../../domain/customer/lifecycle.ts'
import type { Context, Decision, Instant } from '../../domain/decider.ts'
import { domainEvent, type DomainEvent } from '../../domain/events.ts'
import { caseIdOf, duplicateCase, streamName as caseStream } from '../../domain/duplicate-case/duplicate-case.ts'
import { netSpend, ownPurchases, purchases, streamName } from '../../domain/purchases/purchases.ts'
import { isRejection } from '../../domain/rejection.ts'
import type { RecordedEvent } from '../../event-store/port.ts'
import type { ProcessLog } from '../../event-store/process-log.ts'
import { groupAt, groupOf } from '../group.ts'
import { load } from '../load.ts'
import { settleMerge, settleReversal } from '../merging.ts'
import type { Runtime } from '../runtime.ts'
import { dispatch, type Intent } from './dispatch.ts'
import { duplicatesFound, tellingTypes } from './duplicate-detection.ts'
import { departed } from './handovers.ts'
import { reportUpheld } from './report-upheld.ts'

/** What a process does about an event. Adding a reaction is a function and a line in `reactions`. */
type React = (runtime: Runtime, event: DomainEvent, stored: RecordedEvent) => Promise<Intent[]>
/**
 * `types`: the only events it reacts to; no others are read. `atOnce`: of how many it may be asked together, since what
 * follows from one says nothing of the next; one unless told.
 */
type Reaction = { process: string; kinds: readonly string[]; types?: readonly string[]; atOnce?: number; react: React }

/** A purchase makes a deal of a target or prospect, and speaks for a tier. Only what would change something is sent. */
const purchaseMade: React = async (runtime, one, stored) => {
  if (one.kind !== 'purchases' || (one.event.type !== 'PurchaseRecorded' && one.event.type !== 'PurchaseTakenOver')) return []
  return spokenFor(runtime, one.id, one.event.data, stored)
}

/** What the purchases of a customer, and of all it is made of, speak for; `purchase`: the one that is looked at, else their first. */
const spokenFor = async (runtime: Runtime, customerId: string, purchase: { purchaseId: string; at: Instant } | undefined, stored: RecordedEvent): Promise<Intent[]> => {
  const group = await groupOf(runtime, customerId)
  const state = asOne(group)
  const all = await Promise.all(everyone(group).map((member) => load(runtime, purchases, streamName(member.customerId))))
  const spend = new Map<string, number>()
  for (const bought of all) for (const [currency, amount] of netSpend(bought.state)) spend.set(currency, (spend.get(currency) ?? 0) + amount)
  const revision = all.reduce((sum, bought) => sum + bought.head.revision, 0)
  const [first] = all.flatMap(({ state: { purchases: bought } }) => [...bought].flatMap(([purchaseId, { at, givenTo }]) => (givenTo === null ? [{ purchaseId, at }] : []))).toSorted((earlier, later) => (earlier.at < later.at ? -1 : 1))
  if (!first) return []
  const { purchaseId, at } = purchase ?? first
  const context: Context = {
    now: runtime.now().toISOString(), caller: { actor: '', role: 'system', employeeId: null, onBehalfOf: null }, organisation: runtime.organisation.current(),
    commandId: '', newId: (what) => what, identityOf: runtime.keyedHash.identity,
  }
  const activation = { customerId, purchaseId, at }
  const assessment = { customerId, spend: [...spend].map(([currency, amount]) => ({ amount, currency })), purchases: all.reduce((sum, bought) => sum + ownPurchases(bought.state).size, 0) }
  return [
    ...(changes(activateByPurchase(state, activation, context)) ? [{ command: 'activate-by-purchase', key: `activate/${customerId}/${purchaseId}`, body: activation, causationId: stored.id, correlationId: stored.metadata.$correlationId }] : []),
    ...(changes(assessSpend(state, assessment, context)) ? [{ command: 'assess-spend', key: `spend/${customerId}/${revision}`, body: assessment, causationId: stored.id, correlationId: stored.metadata.$correlationId }] : []),
  ]
}

const mergeTypes = ['MergeStarted', 'CustomerMerged', 'MergeReversed', 'MergeUndone'] as const

/** A merge or reversal that stands half-way is brought to its end, and the case of the two follows. */
const mergeMoved: React = async (runtime, one, stored) => {
  if (one.kind !== 'customer') return []
  const { id, event } = one
  /** The cases of any of the survivor's with any of the absorbed's: what became one, or is no longer. */
  const casesOf = async (absorbedId: string) => {
    const theirs = everyone(await groupAt(runtime, absorbedId)).map((member) => member.customerId)
    const ours = everyone(await groupAt(runtime, id)).map((member) => member.customerId).filter((customerId) => !theirs.includes(customerId))
    const caseIds = ours.flatMap((one) => theirs.map((other) => caseIdOf([one, other])))
    return Promise.all(caseIds.map(async (caseId) => ({ caseId, state: (await load(runtime, duplicateCase, caseStream(caseId))).state })))
  }
  const cause = { causationId: stored.id, correlationId: stored.metadata.$correlationId }
  switch (event.type) {
    case 'MergeStarted':
      await settleMerge(runtime, id, event.data.mergeId)
      return []
    case 'MergeReversed':
      await settleReversal(runtime, id, event.data.mergeId)
      return []
    case 'CustomerMerged': {
      const { mergeId, absorbedId } = event.data
      const there = (await casesOf(absorbedId)).filter(({ state }) => state.status !== 'none' && state.status !== 'merged')
      const closing = there.map(({ caseId }) => ({ command: 'close-duplicate-case', key: `close/${mergeId}/${caseId}`, body: { caseId, mergeId }, ...cause }))
      // What the absorbed bought is the survivor's as well: it may make a deal of it, and speak for a tier.
      return [...closing, ...(await spokenFor(runtime, id, undefined, stored))]
    }
    case 'MergeUndone': {
      const { mergeId, absorbedId } = event.data
      const there = (await casesOf(absorbedId)).filter(({ state }) => state.status === 'merged' && state.mergeId === mergeId)
      return there.map(({ caseId }) => ({ command: 'dismiss-duplicate-case', key: `undo/${mergeId}/${caseId}`, body: { caseId, reason: 'The merge was reversed.' }, ...cause }))
    }
    default:
      return []
  }
}

const changes = (decision: Decision<unknown>): boolean => !isRejection(decision) && decision.events.length > 0

export const reactions: readonly Reaction[] = [
  { process: 'purchase-reactions', kinds: ['purchases'], react: purchaseMade },
  { process: 'merges', kinds: ['customer'], types: mergeTypes, react: mergeMoved },
  { process: 'duplicate-detection', kinds: ['customer'], types: tellingTypes, atOnce: 32, react: duplicatesFound },
  { process: 'report-judgements', kinds: ['recordReport'], types: ['ReportUpheld'], react: reportUpheld },
  { process: 'departures', kinds: ['employee'], types: ['EmployeeDeparted'], react: departed },
]

/**
 * Follows the log and reacts to each event, from where the process stood: after a crash some events are seen again,
 * and the commands they lead to do nothing. Ends when the signal aborts; throws what is to be tried again.
 */
export const followReactions = async (runtime: Runtime, log: ProcessLog, { process, kinds, types, atOnce = 1, react }: Reaction, signal: AbortSignal): Promise<void> => {
  for await (const batch of runtime.store.subscribe({ after: await log.position(process), kinds, ...(types ? { types } : {}), signal })) {
    const events = await runtime.codec.decode(batch.events)
    for (let from = 0; from < events.length; from += atOnce) {
      const found = await Promise.all(events.slice(from, from + atOnce).map(async (stored) => {
        const event = domainEvent(stored)
        return event ? react(runtime, event, stored) : []
      }))
      for (const intent of found.flat()) await dispatch(runtime, log, process, intent)
      if (signal.aborted) return
    }
    // Where it stands is not waited for: from an earlier place it would look once more.
    log.advance(process, batch.position).catch(() => undefined)
  }
}
