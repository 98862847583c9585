import { describe, expect, it, test } from 'vitest'
import { customer } from '../../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../../src/domain/customer/events.ts'
import { changeStage, ChangeStage, downgradeTier, upgradeTier, UpgradeTier } from '../../../src/domain/customer/lifecycle.ts'
import { by, complete, completeContact, contactAdded, contactRemoved, created, given, inForce, label, organisation, person, refusedAt, sealed, sealedOf, staged, templateVersions, withPolicy } from '../../support/given.ts'

const at = (stage: string, more: Parameters<typeof created>[0] = {}) => created({ fields: complete, stage, ...more })

// Written from the issue: where one may go from each stage, and what kind of move that is.
const table: Record<string, Record<string, string>> = {
  target: { prospect: 'progress', active: 'progress', lost: 'setback' },
  prospect: { active: 'progress', lost: 'setback', target: 'correction' },
  active: { dormant: 'setback', lost: 'setback' },
  dormant: { active: 'won-back', lost: 'setback' },
  lost: { prospect: 'won-back', active: 'won-back' },
}
const stages = Object.keys(table)
const pairs = stages.flatMap((from) => stages.filter((to) => to !== from).map((to) => ({ from, to, kind: table[from]?.[to] })))
const policies = inForce('stages')

describe('exactly the moves listed are allowed', () => {
  it.each(pairs.filter(({ kind }) => kind !== undefined))('from $from to $to, a $kind', ({ from, to, kind = '' }) => {
    given(customer, [at(from)]).when(changeStage, { customerId: 'c', to, reason: person.said }).then([staged(from, to, kind, person.said)], { policies })
    if (kind !== 'correction') given(customer, [at(from)]).when(changeStage, { customerId: 'c', to }).then([staged(from, to, kind)], { policies })
  })
  it.each(pairs.filter(({ kind }) => kind === undefined))('not from $from to $to, and the refusal says where to', ({ from, to }) => {
    given(customer, [at(from)]).when(changeStage, { customerId: 'c', to, reason: person.said }).then({ rejected: 'move-not-allowed', extensions: { from, to, allowed: expect.toSatisfy((allowed: string[]) => allowed.toSorted().join() === Object.keys(table[from] ?? {}).toSorted().join()) } })
  })
  it.each(stages)('being %s, staying so is a no-op', (stage) => {
    given(customer, [at(stage)]).when(changeStage, { customerId: 'c', to: stage, reason: person.said }).then([])
  })
  test('back to target only as a correction, and with a reason', () => {
    given(customer, [at('prospect')]).when(changeStage, { customerId: 'c', to: 'target' }).then(refusedAt('reason-required', 'reason'))
    expect(ChangeStage.safeParse({ customerId: 'c', to: 'target', reason: ' ' }).success).toBe(false)
  })
  test('to no stage the policy has not; the refusal lists those it has', () => {
    given(customer, [at('target')]).when(changeStage, { customerId: 'c', to: 'growth' }).then({ rejected: 'unknown-reference', errors: [{ path: 'to', message: 'must be one of target, prospect, active, dormant, lost' }] })
  })
  test('of nobody is not found', () => {
    given(customer, []).when(changeStage, { customerId: 'c', to: 'prospect' }).then({ rejected: 'customer-not-found' })
  })
})

describe('a customer that becomes active must be complete', () => {
  const role = (contactId: string) => ({ role: 'insider', email: sealedOf(contactId, person.contactEmail) })
  const incomplete = (stage: string): CustomerEvent[] => [
    at(stage, { fields: { importance: 'A', address: sealed('无') }, contacts: [{ contactId: 'a', name: sealedOf('a', person.contact), fields: {} }, { contactId: 'b', name: sealedOf('b', person.newContact), fields: completeContact('b') }] }),
    contactAdded('d', role('d')),
  ]
  const missing = ['fields/address', 'fields/source', 'contacts/a/fields/title', 'contacts/a/fields/role', 'contacts/a/fields/mobile', 'contacts/a/fields/email', 'contacts/d/fields/title', 'contacts/d/fields/mobile']
  it.each(['target', 'prospect', 'dormant', 'lost'])('coming from %s: every missing field is named at once, its contacts\' included', (stage) => {
    given(customer, incomplete(stage)).when(changeStage, { customerId: 'c', to: 'active' }).then(refusedAt('invalid-fields', ...missing))
  })
  test('also an enterprise, whose category asks for more', () => {
    given(customer, [at('target', { category: 'enterprise' })]).when(changeStage, { customerId: 'c', to: 'active' }).then(refusedAt('invalid-fields', 'fields/companyPhone', 'fields/numberOfComputers'))
    given(customer, [at('target', { category: 'supplier-software', template: [...templateVersions['supplier-software']], fields: {} })]).when(changeStage, { customerId: 'c', to: 'active' })
      .then(refusedAt('invalid-fields', 'fields/address', 'fields/companyPhone', 'fields/importance', 'fields/source'))
  })
  test('a contact that was removed is not asked for anything', () => {
    given(customer, [at('target'), contactAdded('k'), contactRemoved('k')]).when(changeStage, { customerId: 'c', to: 'active' }).then([staged('target', 'active', 'progress')])
  })
  it.each([['target', 'prospect'], ['prospect', 'lost'], ['active', 'dormant'], ['active', 'lost'], ['dormant', 'lost'], ['lost', 'prospect']])('going from %s to %s it need not be', (from, to) => {
    expect(given(customer, incomplete(from)).when(changeStage, { customerId: 'c', to }).decision).toHaveProperty('events')
  })
})

describe('another organisation has other stages', () => {
  const growth = by('clerk', {
    organisation: withPolicy('stages', {
      initial: 'growth', stages: ['growth', 'maturity', 'decline'].map((name, index) => ({ name, labels: label, completeness: index })),
      moves: [{ from: 'growth', to: 'maturity', kind: 'progress', reasonRequired: true }, { from: 'maturity', to: 'decline', kind: 'setback', reasonRequired: false }],
    }),
  })
  test('and its moves count from the version that has them', () => {
    given(customer, [at('growth')]).when(changeStage, { customerId: 'c', to: 'maturity', reason: person.said }, growth).then([staged('growth', 'maturity', 'progress', person.said)], { policies: [{ name: 'stages', version: 5 }] })
    given(customer, [at('growth')]).when(changeStage, { customerId: 'c', to: 'maturity' }, growth).then(refusedAt('reason-required', 'reason'))
    given(customer, [at('maturity')]).when(changeStage, { customerId: 'c', to: 'growth' }, growth).then({ rejected: 'move-not-allowed', extensions: { allowed: ['decline'] } })
    given(customer, [at('growth')]).when(changeStage, { customerId: 'c', to: 'active' }, growth).then({ rejected: 'unknown-reference' })
  })
  test('a customer at a stage the policy has no more goes nowhere by itself', () => {
    given(customer, [at('dormant')]).when(changeStage, { customerId: 'c', to: 'growth' }, growth).then({ rejected: 'move-not-allowed', extensions: { allowed: [] } })
  })
})

describe('tiers', () => {
  const ladder = ['standard', 'preferred', 'premier']
  const evidence = { document: person.evidence, amount: 1_000_000 }
  const change = (to: string) => ({ customerId: 'c', to, basis: 'balance', evidence })
  const tiered = (type: 'TierUpgraded' | 'TierDowngraded', from: string, to: string, more: { basis?: string; evidence?: unknown } = {}): CustomerEvent => ({ type, data: { from, to, basis: 'balance', evidence: sealed(JSON.parse(JSON.stringify(more.evidence ?? evidence))), ...(more.basis === undefined ? {} : { basis: more.basis }) } })
  const above = ladder.flatMap((low, index) => ladder.slice(index + 1).map((high) => ({ low, high })))

  it.each(above)('upgrade goes up, from $low to $high, and downgrade down; each with its basis and its evidence', ({ low, high }) => {
    given(customer, [created({ tier: low })]).when(upgradeTier, change(high)).then([tiered('TierUpgraded', low, high)], { policies: inForce('tiers', 'stages') })
    given(customer, [created({ tier: high })]).when(downgradeTier, change(low), by('manager')).then([tiered('TierDowngraded', high, low)], { policies: inForce('tiers', 'stages') })
  })
  it.each(above)('neither goes the other way, from $low to $high, and the refusal shows the ladder', ({ low, high }) => {
    given(customer, [created({ tier: high })]).when(upgradeTier, change(low)).then({ rejected: 'not-an-upgrade', extensions: { from: high, to: low, ladder } })
    given(customer, [created({ tier: low })]).when(downgradeTier, change(high), by('manager')).then({ rejected: 'not-a-downgrade', extensions: { from: low, to: high, ladder } })
  })
  it.each(ladder)('being %s, becoming so is a no-op', (tier) => {
    given(customer, [created({ tier })]).when(upgradeTier, change(tier)).then([])
    given(customer, [created({ tier })]).when(downgradeTier, change(tier), by('manager')).then([])
  })
  it.each(['spend', 'membership-card', 'balance', 'approval', 'correction'])('may rest on %s, with evidence in words or in facts', (basis) => {
    given(customer, [created()]).when(upgradeTier, { ...change('premier'), basis, evidence: person.evidence }).then([tiered('TierUpgraded', 'standard', 'premier', { basis, evidence: person.evidence })])
  })
  test('rest on nothing the policy does not know, and lead to no rung it has not; both are named', () => {
    given(customer, [created()]).when(upgradeTier, { ...change('platinum'), basis: 'sympathy' }).then({ rejected: 'unknown-reference', errors: [
      { path: 'basis', message: 'must be one of spend, membership-card, balance, approval, correction' }, { path: 'to', message: 'must be one of standard, preferred, premier' },
    ] })
    given(customer, [created()]).when(downgradeTier, { ...change('standard'), basis: 'sympathy' }, by('manager')).then(refusedAt('unknown-reference', 'basis'))
  })
  test('never change without evidence', () => {
    for (const body of [{ evidence: undefined }, { evidence: ' ' }, { basis: undefined }, { evidence: { nested: { deep: 1 } } }]) expect(UpgradeTier.safeParse({ ...change('premier'), ...body }).success).toBe(false)
  })
  test('check the record again: what the template asks for by now is named', () => {
    const active = [at('active', { fields: { ...complete, source: null } }), contactAdded('k', { ...completeContact('k'), title: null })]
    given(customer, active).when(upgradeTier, change('premier')).then(refusedAt('invalid-fields', 'fields/source', 'contacts/k/fields/title'))
    given(customer, active).when(downgradeTier, change('standard'), by('manager')).then([])
    given(customer, [at('dormant', { fields: {} })]).when(upgradeTier, change('premier')).then([tiered('TierUpgraded', 'standard', 'premier')])
  })
  test('of nobody are not found', () => {
    given(customer, []).when(upgradeTier, change('premier')).then({ rejected: 'customer-not-found' })
    given(customer, []).when(downgradeTier, change('premier'), by('manager')).then({ rejected: 'customer-not-found' })
  })
  test('are the rungs of the policy in force', () => {
    const tiers = { bases: organisation.policies.tiers.value.bases, tiers: ['bronze', 'silver'].map((name) => ({ name, labels: label, channel: 'automated' as const })) }
    const other = by('manager', { organisation: withPolicy('tiers', tiers) })
    given(customer, [created({ tier: 'bronze' })]).when(upgradeTier, change('silver'), other).then([tiered('TierUpgraded', 'bronze', 'silver')], { policies: [{ name: 'tiers', version: 6 }, ...inForce('stages')] })
    given(customer, [created({ tier: 'silver' })]).when(downgradeTier, change('standard'), other).then(refusedAt('unknown-reference', 'to'))
  })
})
