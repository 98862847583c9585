import { customer } from '../../domain/customer/customer.ts'
import { streamName as customerStream } from '../../domain/customer/events.ts'
import { activateByPurchase, assessSpend } from '../../domain/customer/lifecycle.ts'
import type { Context, Decision } from '../../domain/decider.ts'
import { domainEvent, type DomainEvent } from '../../domain/events.ts'
import { netSpend, purchases, streamName } from '../../domain/purchases/purchases.ts'
import { isRejection } from '../../domain/rejection.ts'
import type { RecordedEvent } from '../../event-store/port.ts'
import type { ProcessLog } from '../../event-store/process-log.ts'
import { load } from '../load.ts'
import type { Runtime } from '../runtime.ts'
import { dispatch, type Intent } from './dispatch.ts'
import { duplicatesFound } from './duplicate-detection.ts'

/** What a process does about an event. Adding a reaction is a function and a line in `reactions`. */
type React = (runtime: Runtime, event: DomainEvent, stored: RecordedEvent) => Promise<Intent[]>
type Reaction = { process: string; kinds: readonly string[]; react: React }

/** A purchase makes a deal of a target or prospect, and speaks for a tier. Only what would change something is sent. */
const purchaseMade: React = async (runtime, one, stored) => {
  if (one.kind !== 'purchases' || one.event.type !== 'PurchaseRecorded') return []
  const customerId = one.id
  const { purchaseId, at } = one.event.data
  const bought = await load(runtime, purchases, streamName(customerId))
  const { state } = await load(runtime, customer, customerStream(customerId))
  const context: Context = {
    now: runtime.now().toISOString(), caller: { actor: '', role: 'system', employeeId: null, onBehalfOf: null }, organisation: runtime.organisation.current(),
    commandId: '', newId: (what) => what, identityOf: runtime.keyedHash.identity,
  }
  const activation = { customerId, purchaseId, at }
  const assessment = { customerId, spend: [...netSpend(bought.state)].map(([currency, amount]) => ({ amount, currency })), purchases: bought.state.purchases.size }
  return [
    ...(changes(activateByPurchase(state, activation, context)) ? [{ command: 'activate-by-purchase', key: `activate/${customerId}/${purchaseId}`, body: activation, causationId: stored.id, correlationId: stored.metadata.$correlationId }] : []),
    ...(changes(assessSpend(state, assessment, context)) ? [{ command: 'assess-spend', key: `spend/${customerId}/${bought.head.revision}`, body: assessment, causationId: stored.id, correlationId: stored.metadata.$correlationId }] : []),
  ]
}

const changes = (decision: Decision<unknown>): boolean => !isRejection(decision) && decision.events.length > 0

export const reactions: readonly Reaction[] = [
  { process: 'purchase-reactions', kinds: ['purchases'], react: purchaseMade },
  { process: 'duplicate-detection', kinds: ['customer'], react: duplicatesFound },
]

/**
 * Follows the log and reacts to each event, from where the process stood: after a crash some events are seen again,
 * and the commands they lead to do nothing. Ends when the signal aborts; throws what is to be tried again.
 */
export const followReactions = async (runtime: Runtime, log: ProcessLog, { process, kinds, react }: Reaction, signal: AbortSignal): Promise<void> => {
  for await (const batch of runtime.store.subscribe({ after: await log.position(process), kinds, signal })) {
    for (const stored of await runtime.codec.decode(batch.events)) {
      const event = domainEvent(stored)
      for (const intent of event ? await react(runtime, event, stored) : []) await dispatch(runtime, log, process, intent)
      if (signal.aborted) return
    }
    await log.advance(process, batch.position)
  }
}
