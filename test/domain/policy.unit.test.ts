import { describe, expect, it, test } from 'vitest'
import { defaultPolicies } from '../../src/domain/policy/defaults.ts'
import { policyKindNames, policyKinds, type PolicyKind } from '../../src/domain/policy/kinds.ts'
import { define, DefinePolicy, policy, revise, RevisePolicy, type PolicyEvent } from '../../src/domain/policy/policy.ts'
import { byAdmin, given, label, type Refused } from '../support/given.ts'

type Value = PolicyEvent['data']['value']
const value = (kind: PolicyKind, more: object = {}): Value => JSON.parse(JSON.stringify({ ...defaultPolicies[kind], ...more }))
const defined = (kind: PolicyKind): PolicyEvent => ({ type: 'PolicyDefined', data: { policy: kind, version: 1, value: value(kind) } })
const revised = (version: number, given: Value): PolicyEvent => ({ type: 'PolicyRevised', data: { policy: 'ownership', version, value: given, reason: 'the board decided so' } })
const defining = (kind: PolicyKind, given = value(kind)) => ({ policy: kind, value: given })
const revising = (kind: PolicyKind, given: Value) => ({ policy: kind, value: given, reason: 'the board decided so' })

describe.each(policyKindNames)('the %s policy', (kind) => {
  test('has a default that fits its schema, and comes into force as version 1', () => {
    given(policy, []).when(define, defining(kind), byAdmin()).then([defined(kind)])
  })
  test('is defined once: the same again changes nothing', () => {
    given(policy, [defined(kind)]).when(define, defining(kind), byAdmin()).then([])
    given(policy, [defined(kind)]).when(define, defining(kind, {}), byAdmin()).then({ rejected: 'policy-exists' })
  })
  test('takes no more and no less than its schema', () => {
    given(policy, []).when(define, defining(kind, value(kind, { colour: 'red' })), byAdmin()).then({ rejected: 'invalid-policy' })
    given(policy, []).when(define, defining(kind, {}), byAdmin()).then({ rejected: 'invalid-policy' })
    given(policy, [defined(kind)]).when(revise, revising(kind, {}), byAdmin()).then({ rejected: 'invalid-policy' })
  })
  test('cannot be revised before it is defined', () => {
    given(policy, []).when(revise, revising(kind, value(kind)), byAdmin()).then({ rejected: 'policy-not-found' })
  })
})

describe('revising a policy', () => {
  const shorter = { backdatingDays: 30 }
  test('makes the next version, with a reason', () => {
    given(policy, [defined('ownership')]).when(revise, revising('ownership', shorter), byAdmin()).then([revised(2, shorter)])
    given(policy, [defined('ownership'), revised(2, shorter)]).when(revise, revising('ownership', value('ownership')), byAdmin()).then([revised(3, value('ownership'))])
    expect(RevisePolicy.safeParse(defining('ownership')).success).toBe(false)
  })
  test('to what is in force changes nothing', () => {
    given(policy, [defined('ownership'), revised(2, shorter)]).when(revise, revising('ownership', shorter), byAdmin()).then([])
  })
  test('is for the kinds of policy there are', () => {
    expect(DefinePolicy.safeParse({ policy: 'weather', value: {} }).success).toBe(false)
    expect(Object.keys(policyKinds)).toEqual([...policyKindNames])
  })
})

// Each policy's own rules; every fault of a policy is named at once, where it stands.
const word = (name: string) => ({ name, labels: label })
const [firstStage, secondStage] = defaultPolicies.stages.stages
const [firstClass] = defaultPolicies.complaints.classes
const [firstLevel] = defaultPolicies.complaints.levels
it.each<[string, PolicyKind, object, string[]]>([
  ['two stages of one name', 'stages', { stages: [firstStage, firstStage, secondStage], moves: [] }, ['value/stages']],
  ['a first stage that is none', 'stages', { initial: 'growth' }, ['value/initial']],
  ['moves from or to stages there are not', 'stages', { moves: [{ from: 'target', to: 'growth', kind: 'progress', reasonRequired: false }] }, ['value/moves']],
  ['no stage at all, and a move of no kind', 'stages', { stages: [], moves: [{ from: 'target', to: 'target', kind: 'jump', reasonRequired: 'no' }] }, ['value/stages', 'value/moves/0/kind', 'value/moves/0/reasonRequired']],
  ['a stage whose name is not a word', 'stages', { initial: 'Target!' }, ['value/initial']],
  ['a completeness beyond measure', 'stages', { stages: [{ ...firstStage, completeness: 101 }, { ...secondStage, completeness: 0.5 }] }, ['value/stages/0/completeness', 'value/stages/1/completeness']],
  ['two rungs of one name, and two bases', 'tiers', { tiers: [1, 2].map(() => ({ ...word('gold'), channel: 'automated' })), bases: [word('spend'), word('spend')] }, ['value/bases', 'value/tiers']],
  ['a ladder without rungs', 'tiers', { tiers: [] }, ['value/tiers']],
  ['a channel nobody knows', 'tiers', { tiers: [{ ...word('gold'), channel: 'telepathy' }] }, ['value/tiers/0/channel']],
  ['a time before today that is none', 'ownership', { backdatingDays: -1 }, ['value/backdatingDays']],
  ['parts of a day', 'ownership', { backdatingDays: 0.5 }, ['value/backdatingDays']],
  ['a whole name shown to all', 'visibility', { nameCharacters: 11, identifierLookupsPerMinute: 0 }, ['value/nameCharacters', 'value/identifierLookupsPerMinute']],
  ['two classes of one name, and levels that skip', 'complaints', { classes: [firstClass, firstClass], levels: [firstLevel, { ...firstLevel, level: 3 }] }, ['value/classes', 'value/levels']],
  ['a penalty of nothing, and a deadline at once', 'penalties', { amounts: { ...defaultPolicies.penalties.amounts, duplicate: { amount: 0, currency: 'CNY' } }, deadlineDays: 0 }, ['value/amounts/duplicate/amount', 'value/deadlineDays']],
  ['a penalty for what is no fault', 'penalties', { amounts: { ...defaultPolicies.penalties.amounts, rude: null } }, ['value/amounts']],
  ['a role without complaints', 'complaints', { levels: [{ ...firstLevel, role: 'auditor' }] }, ['value/levels/0/role']],
])('a policy with %s is refused', (_what, kind, fault, paths) => {
  const named: Refused = { rejected: 'invalid-policy', errors: expect.arrayContaining(paths.map((path) => expect.objectContaining({ path }))) }
  given(policy, []).when(define, defining(kind, value(kind, fault)), byAdmin()).then(named)
  given(policy, [defined(kind)]).when(revise, revising(kind, value(kind, fault)), byAdmin()).then(named)
})
