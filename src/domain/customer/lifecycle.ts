import { z } from 'zod'
import { noChange, personal, type Context, type Decision } from '../decider.ts'
import { policyReference, templateOf } from '../organisation/organisation.ts'
import { reject } from '../rejection.ts'
import { Id, InstantInput, Money, Reason } from '../values.ts'
import type { Customer } from './customer.ts'
import { subject, type CustomerEvent } from './events.ts'
import { incomplete, missingAt, notFound } from './profile.ts'

// Commands.
const Word = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'a lower-case word, with hyphens')
export const ChangeStage = z.strictObject({ customerId: Id, to: Word, reason: Reason.optional() })
const Evidence = z.union([z.string().trim().min(1).max(2000), z.record(z.string().max(64), z.union([z.string().max(2000), z.number(), z.boolean()]))])
  .describe('What the change rests on: in words, or as facts by name')
const TierChange = z.strictObject({ customerId: Id, to: Word, basis: Word, evidence: Evidence })
export const UpgradeTier = TierChange
export const DowngradeTier = TierChange

const incompleteAt = (state: Customer, stage: string, { organisation }: Context) => {
  const inForce = templateOf(organisation, state.category)
  const missing = inForce ? missingAt(state, stage, inForce, organisation) : []
  return missing.length > 0 ? incomplete(missing) : undefined
}

// Decisions.
export const changeStage = (state: Customer, command: z.infer<typeof ChangeStage>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const { stages, moves } = context.organisation.policies.stages.value
  const { to, reason } = command
  if (!stages.some((stage) => stage.name === to)) return reject('unknown-reference', 'The stage policy has no such stage.', { errors: [{ path: 'to', message: `must be one of ${stages.map((stage) => stage.name).join(', ')}` }] })
  if (state.stage === to) return noChange
  const move = moves.find((one) => one.from === state.stage && one.to === to)
  if (!move) return reject('move-not-allowed', `A customer cannot go from ${state.stage} to ${to}.`, { extensions: { from: state.stage, to, allowed: moves.filter((one) => one.from === state.stage).map((one) => one.to) } })
  if (move.reasonRequired && reason === undefined) return reject('reason-required', `Going from ${state.stage} to ${to} is a ${move.kind} and needs a reason.`, { errors: [{ path: 'reason', message: 'is required for this move' }] })
  return incompleteAt(state, to, context) ?? {
    events: [{ type: 'StageChanged', data: { from: state.stage, to, move: move.kind, cause: 'command', reason: reason === undefined ? null : personal(subject(command.customerId), reason) } }],
    policies: [policyReference(context.organisation, 'stages')],
  }
}

const changeTier = (direction: 'up' | 'down') => (state: Customer, command: z.infer<typeof TierChange>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const { tiers, bases } = context.organisation.policies.tiers.value
  const ladder = tiers.map((tier) => tier.name)
  const errors = [
    ...(ladder.includes(command.to) ? [] : [{ path: 'to', message: `must be one of ${ladder.join(', ')}` }]),
    ...(bases.some((basis) => basis.name === command.basis) ? [] : [{ path: 'basis', message: `must be one of ${bases.map((basis) => basis.name).join(', ')}` }]),
  ]
  if (errors.length > 0) return reject('unknown-reference', 'The tier policy has no such tier or basis.', { errors })
  if (state.tier === command.to) return noChange
  const steps = ladder.indexOf(command.to) - ladder.indexOf(state.tier)
  const extensions = { from: state.tier, to: command.to, ladder }
  if (direction === 'up' && steps < 0) return reject('not-an-upgrade', `${command.to} is below ${state.tier}.`, { extensions })
  if (direction === 'down' && steps > 0) return reject('not-a-downgrade', `${command.to} is above ${state.tier}.`, { extensions })
  const data = { from: state.tier, to: command.to, basis: command.basis, evidence: personal(subject(command.customerId), command.evidence) }
  return incompleteAt(state, state.stage, context) ?? {
    events: [direction === 'up' ? { type: 'TierUpgraded', data } : { type: 'TierDowngraded', data }],
    policies: [policyReference(context.organisation, 'tiers'), policyReference(context.organisation, 'stages')],
  }
}

export const upgradeTier = changeTier('up')
export const downgradeTier = changeTier('down')

// What facts do by themselves. Such a move is never refused for missing fields: the customer is then incomplete.
export const ActivateByPurchase = z.strictObject({ customerId: Id, purchaseId: z.string().min(1).max(100), at: InstantInput })
export const AssessSpend = z.strictObject({ customerId: Id, spend: z.array(Money).max(50), purchases: z.int().min(0) })

/** The first purchase makes a deal of a target or prospect: from when it was bought, but not before the stage it leaves began. */
export const activateByPurchase = (state: Customer, command: z.infer<typeof ActivateByPurchase>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const { onPurchase } = context.organisation.policies.stages.value
  if (!onPurchase?.from.includes(state.stage) || onPurchase.to === state.stage) return noChange
  const at = command.at < state.stageSince ? state.stageSince : command.at
  return {
    events: [{ type: 'StageChanged', data: { from: state.stage, to: onPurchase.to, move: 'progress', cause: 'purchase', reason: null, purchaseId: command.purchaseId } }],
    effectiveAt: at,
    policies: [policyReference(context.organisation, 'stages')],
  }
}

/** The highest tier the spend is enough for is granted, or proposed, as the policy says; never a lower one than it has. */
export const assessSpend = (state: Customer, command: z.infer<typeof AssessSpend>, context: Context): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const { tiers, onSpend } = context.organisation.policies.tiers.value
  const rank = (tier: string) => tiers.findIndex((one) => one.name === tier)
  const reached = onSpend.filter((rule) => rank(rule.tier) > rank(state.tier) && command.spend.some((sum) => sum.currency === rule.threshold.currency && sum.amount >= rule.threshold.amount))
  const highest = (mode: 'grant' | 'propose') => reached.filter((rule) => rule.mode === mode).toSorted((a, b) => rank(b.tier) - rank(a.tier))[0]
  const grant = highest('grant')
  const propose = highest('propose')
  const dataOf = (from: string, { tier, threshold }: (typeof onSpend)[number]) => {
    const spend = command.spend.find((sum) => sum.currency === threshold.currency) ?? threshold
    return { from, to: tier, basis: 'spend', evidence: personal(subject(command.customerId), { spend: spend.amount, threshold: threshold.amount, currency: spend.currency, purchases: command.purchases }) }
  }
  const held = grant?.tier ?? state.tier
  const events: CustomerEvent[] = [
    ...(grant ? [{ type: 'TierUpgraded' as const, data: dataOf(state.tier, grant) }] : []),
    ...(propose && rank(propose.tier) > rank(held) && !state.proposedTiers.has(propose.tier) ? [{ type: 'TierUpgradeProposed' as const, data: dataOf(held, propose) }] : []),
  ]
  return events.length === 0 ? noChange : { events, policies: [policyReference(context.organisation, 'tiers')] }
}
