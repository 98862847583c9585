import { describe, expect, it, test } from 'vitest'
import type { z } from 'zod'
import { customer } from '../../../src/domain/customer/customer.ts'
import { nearMatchRule, type FoundNearMatches } from '../../../src/domain/customer/near-matches.ts'
import { create, CreateCustomer } from '../../../src/domain/customer/profile.ts'
import { by, bySystem, claimed, created, given, organisation, person, sealed, withCategory, withPolicy } from '../../support/given.ts'

const reasons = [{ comparison: 'phone', level: 'same', bits: 11.2 }, { comparison: 'given', level: 'close', bits: 3.1 }] as const
const likely = (customerId: string, probability: number) => ({ customerId, score: Math.log2(probability / (1 - probability)), probability, reasons })
const found: FoundNearMatches = { weightsVersion: 3, candidates: [likely('first', 0.97), likely('second', 0.8), likely('third', 0.4)] }
const ruled = (nearMatch: 'off' | 'warn' | 'block', threshold = 0.75) => withPolicy('duplicates', { default: { nearMatch, threshold } })
const policyVersion = organisation.policies.duplicates.version + 1

const entry = (nearMatch: 'off' | 'warn' | 'block', more: Partial<z.input<typeof CreateCustomer>> = {}, nearMatches: FoundNearMatches = found, as = by) =>
  given(customer, []).when(create, CreateCustomer.parse({ customerId: 'c', category: 'individual-retail', name: person.name, ...more }), as('clerk', { organisation: ruled(nearMatch), nearMatches }))
const recordOf = (ids: readonly string[], decision: 'warned' | 'acknowledged') => ({
  weightsVersion: 3, policyVersion, decision,
  candidates: found.candidates.filter(({ customerId }) => ids.includes(customerId)).map(({ customerId, score }) => ({ customerId, score, reasons: [...reasons] })),
})
const entered = (more: Parameters<typeof created>[0]) => [created(more), claimed('clerk', { basis: 'first-entry' })]

describe('near matches at entry', () => {
  test('where the policy warns, the customer is entered, and those above the threshold are in the event and in a warning', () => {
    const { decision, then } = entry('warn')
    then(entered({ nearMatches: recordOf(['first', 'second'], 'warned') }))
    expect(decision).toMatchObject({ warnings: [{ warning: 'near-match', candidates: [
      { customerId: 'first', probability: 0.97, reasons: [{ comparison: 'phone', level: 'same', en: 'same phone', zh: '电话相同' }, { comparison: 'given', level: 'close' }] }, { customerId: 'second' },
    ] }] })
  })

  test('where it blocks, the entry is refused with them, until each is acknowledged', () => {
    entry('block').then({ rejected: 'near-duplicate', extensions: { candidates: [{ customerId: 'first' }, { customerId: 'second' }] } })
    entry('block', { acknowledgement: { candidates: ['first', 'third'], reason: person.said } }).then({ rejected: 'near-duplicate' })
    const { decision, then } = entry('block', { acknowledgement: { candidates: ['second', 'first'], reason: person.said } })
    then(entered({ nearMatches: { ...recordOf(['first', 'second'], 'acknowledged'), reason: sealed(person.said) } }))
    expect(decision).toMatchObject({ warnings: [] })
  })

  test('an acknowledgement where the policy only warns is kept as well', () => {
    entry('warn', { acknowledgement: { candidates: ['first', 'second'], reason: person.said } }).then(entered({ nearMatches: { ...recordOf(['first', 'second'], 'acknowledged'), reason: sealed(person.said) } }))
    entry('warn', { acknowledgement: { candidates: ['first'], reason: person.said } }).then(entered({ nearMatches: recordOf(['first', 'second'], 'warned') }))
  })

  test('nobody above the threshold, or a policy that is off: entered as ever', () => {
    entry('off').then(entered({}))
    entry('block', {}, { weightsVersion: 3, candidates: [likely('third', 0.4)] }).then(entered({}))
  })

  test('a look that could not be made is told and kept', () => {
    const { decision, then } = entry('warn', {}, 'unavailable')
    then(entered({ nearMatches: { weightsVersion: null, policyVersion, candidates: [], decision: 'unavailable' } }))
    expect(decision).toMatchObject({ warnings: [{ warning: 'near-matches-unknown' }] })
  })

  test('a system may leave the look out, and the event says so; a person may not', () => {
    entry('block', { nearMatchCheck: false }, found, bySystem).then(entered({ nearMatches: { weightsVersion: null, policyVersion, candidates: [], decision: 'switched-off' } }))
    entry('block', { nearMatchCheck: false }).then({ rejected: 'not-permitted' })
  })
})

describe('the rule of a category', () => {
  const general = { nearMatch: 'warn', threshold: 0.5 } as const
  const categories = { supplier: { nearMatch: 'block', threshold: 0.9 } } as const
  const policy = withPolicy('duplicates', { default: general, categories })
  it('is its own, else that of the nearest above it, else the general one', () => {
    expect(nearMatchRule(policy, 'supplier-software')).toEqual({ nearMatch: 'block', threshold: 0.9 })
    expect(nearMatchRule(policy, 'enterprise')).toEqual({ nearMatch: 'warn', threshold: 0.5 })
    const own = withPolicy('duplicates', { default: general, categories: { ...categories, 'supplier-software': { nearMatch: 'off', threshold: 1 } } })
    expect(nearMatchRule(own, 'supplier-software').nearMatch).toBe('off')
    expect(nearMatchRule(withCategory({ categoryId: 'toString' }, policy), 'toString').nearMatch).toBe('warn')
  })
})
