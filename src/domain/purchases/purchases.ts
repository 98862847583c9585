import { z } from 'zod'
import type { Customer } from '../customer/customer.ts'
import { subject } from '../customer/events.ts'
import { eventParser, noChange, personal, Personal, type Context, type Decider, type Decision, type EventOf, type Instant } from '../decider.ts'
import { reject } from '../rejection.ts'
import { Id, InstantInput, Money, Reason, sameValue, ShopId } from '../values.ts'

/** What one customer bought: one stream for each customer, beside the customer's own. */
export const streamName = (customerId: string): string => `purchases-${customerId}`

const Line = z.object({ product: z.string(), quantity: z.number(), amount: Money })

const Refund = z.object({ refundId: z.string(), at: z.string(), amount: Money, reason: Personal(z.string()).nullable() })

// Events. These names and shapes are the storage format: add, never change. The event's effective time is the purchase's.
export const events = {
  PurchaseRecorded: z.object({ purchaseId: z.string(), at: z.string(), amount: Money, lines: z.array(Line), channel: z.string().nullable() }),
  RefundRecorded: z.object({ refundId: z.string(), purchaseId: z.string(), at: z.string(), amount: Money, reason: Personal(z.string()).nullable() }),
  /** The reversal of a merge gave a purchase, with its refunds, to the other of the two; it is told whole where it came to. */
  PurchaseGivenAway: z.object({ purchaseId: z.string(), to: z.string(), mergeId: z.string() }),
  PurchaseTakenOver: z.object({ purchaseId: z.string(), at: z.string(), amount: Money, lines: z.array(Line), channel: z.string().nullable(), refunds: z.array(Refund), from: z.string(), mergeId: z.string() }),
}
export type PurchasesEvent = EventOf<typeof events>

// State: only what decisions need.
type Purchase = { at: Instant; amount: Money; lines: z.infer<typeof Line>[]; channel: string | null; refunded: number; /** Whose it is since it was given away: here it is only remembered. */ givenTo: string | null }
export type Purchases = {
  purchases: ReadonlyMap<string, Purchase>
  refunds: ReadonlyMap<string, { purchaseId: string; amount: Money; at: Instant }>
}

export const purchases: Decider<Purchases, PurchasesEvent> = {
  kind: 'purchases',
  events,
  parse: eventParser(events),
  initialState: { purchases: new Map(), refunds: new Map() },
  evolve: (state, event) => {
    switch (event.type) {
      case 'PurchaseRecorded': {
        const { purchaseId, at, amount, lines, channel } = event.data
        return { ...state, purchases: new Map(state.purchases).set(purchaseId, { at, amount, lines, channel, refunded: 0, givenTo: null }) }
      }
      case 'RefundRecorded': {
        const { refundId, purchaseId, at, amount } = event.data
        const purchase = state.purchases.get(purchaseId)
        return {
          purchases: purchase ? new Map(state.purchases).set(purchaseId, { ...purchase, refunded: purchase.refunded + amount.amount }) : state.purchases,
          refunds: new Map(state.refunds).set(refundId, { purchaseId, amount, at }),
        }
      }
      case 'PurchaseGivenAway': {
        const { purchaseId, to } = event.data
        const purchase = state.purchases.get(purchaseId)
        return purchase ? { ...state, purchases: new Map(state.purchases).set(purchaseId, { ...purchase, givenTo: to }) } : state
      }
      case 'PurchaseTakenOver': {
        const { purchaseId, at, amount, lines, channel, refunds } = event.data
        return {
          purchases: new Map(state.purchases).set(purchaseId, { at, amount, lines, channel, refunded: refunds.reduce((sum, refund) => sum + refund.amount.amount, 0), givenTo: null }),
          refunds: new Map([...state.refunds, ...refunds.map((refund) => [refund.refundId, { purchaseId, amount: refund.amount, at: refund.at }] as const)]),
        }
      }
    }
  },
}

/** The purchases that are this customer's: not those it has given away. */
export const ownPurchases = ({ purchases: all }: Purchases): ReadonlyMap<string, Purchase> => new Map([...all].filter(([, { givenTo }]) => givenTo === null))

/** What was bought less what was given back, by currency, in minor units. */
export const netSpend = (state: Purchases): Map<string, number> => {
  const spend = new Map<string, number>()
  for (const { amount, refunded } of ownPurchases(state).values()) spend.set(amount.currency, (spend.get(amount.currency) ?? 0) + amount.amount - refunded)
  return spend
}

// Commands.
const Sum = Money.refine((money) => money.amount >= 0, { path: ['amount'], message: 'must not be negative' })
const Channel = z.string().trim().min(1).max(40)
export const RecordPurchase = z
  .strictObject({
    customerId: Id,
    purchaseId: ShopId.describe('The shop’s own id: the same one is recorded once'),
    at: InstantInput.describe('When it was bought'),
    amount: Sum.optional(),
    lines: z.array(z.strictObject({ product: z.string().trim().min(1).max(200), quantity: z.number().positive(), amount: Sum })).max(1000).default([]),
    channel: Channel.optional(),
  })
  .superRefine((purchase, context) => {
    const currencies = new Set([...purchase.lines.map((line) => line.amount.currency), ...(purchase.amount ? [purchase.amount.currency] : [])])
    const total = purchase.lines.reduce((sum, line) => sum + line.amount.amount, 0)
    if (currencies.size === 0) context.addIssue({ code: 'custom', path: ['amount'], message: 'is required, or lines from which it follows' })
    if (currencies.size > 1) context.addIssue({ code: 'custom', path: ['lines'], message: 'must be of one currency' })
    else if (purchase.amount && purchase.lines.length > 0 && total !== purchase.amount.amount) context.addIssue({ code: 'custom', path: ['amount'], message: 'must be the sum of the lines' })
    if (!Number.isSafeInteger(total)) context.addIssue({ code: 'custom', path: ['lines'], message: 'add up to more than can be counted' })
  })
export const RecordRefund = z.strictObject({ customerId: Id, refundId: ShopId, purchaseId: ShopId, at: InstantInput, amount: Sum, reason: Reason.optional() })

// Decisions. Late and out-of-order entry is normal: only the future is refused.
const unknownCustomer = (customer: Customer | null) => (customer?.status === 'entered' ? undefined : reject('customer-not-found', 'No customer has this id.'))
const future = (at: Instant, now: Instant) => (at > now ? reject('invalid-effective-time', 'It lies in the future.', { errors: [{ path: 'at', message: 'must not be in the future' }] }) : undefined)

export const recordPurchase = (state: Purchases, command: z.infer<typeof RecordPurchase>, context: Context, customer: Customer | null): Decision<PurchasesEvent> => {
  const unknown = unknownCustomer(customer)
  if (unknown) return unknown
  const { purchaseId, at, lines } = command
  const amount = command.amount ?? { amount: lines.reduce((sum, line) => sum + line.amount.amount, 0), currency: lines[0]?.amount.currency ?? 'CNY' }
  const channel = command.channel ?? null
  const known = state.purchases.get(purchaseId)
  if (known) return sameValue({ at: known.at, amount: known.amount, lines: known.lines, channel: known.channel }, { at, amount, lines, channel }) ? noChange : reject('purchase-exists', 'A purchase with this id was recorded before, with other particulars.')
  return future(at, context.now) ?? { events: [{ type: 'PurchaseRecorded', data: { purchaseId, at, amount, lines, channel } }], effectiveAt: at }
}

export const recordRefund = (state: Purchases, command: z.infer<typeof RecordRefund>, context: Context, customer: Customer | null): Decision<PurchasesEvent> => {
  const unknown = unknownCustomer(customer)
  if (unknown) return unknown
  const { refundId, purchaseId, at, amount, reason } = command
  const known = state.refunds.get(refundId)
  if (known) return sameValue(known, { purchaseId, amount, at }) ? noChange : reject('refund-exists', 'A refund with this id was recorded before, with other particulars.')
  const purchase = state.purchases.get(purchaseId)
  if (!purchase) return reject('purchase-not-found', 'This customer has no purchase with this id.')
  if (purchase.givenTo !== null) return reject('purchase-not-found', 'The purchase was given to another customer when a merge was reversed: send the refund for that one.', { extensions: { customerId: purchase.givenTo } })
  if (amount.currency !== purchase.amount.currency) return reject('refund-too-large', `The purchase was in ${purchase.amount.currency}.`, { errors: [{ path: 'amount/currency', message: `must be ${purchase.amount.currency}` }] })
  const left = purchase.amount.amount - purchase.refunded
  if (amount.amount > left) return reject('refund-too-large', 'Never more is given back than was bought.', { extensions: { refundable: { amount: left, currency: purchase.amount.currency } } })
  return future(at, context.now) ?? { events: [{ type: 'RefundRecorded', data: { refundId, purchaseId, at, amount, reason: reason === undefined ? null : personal(subject(command.customerId), reason) } }], effectiveAt: at }
}
