import { describe, expect, it } from 'vitest'
import { mutations, scenarios, search } from './slots.model.ts'

/* What the model of the slots' protocol says. The same ways through the real code: slots.unit.test.ts. */

describe('in every interleaving, with attempts that stop anywhere, no more is held or claimed than the limit allows, and no room is lost', () => {
  it.each(scenarios)('$name', (scenario) => {
    const { states, fault, way } = search(scenario)
    expect(fault, way.map(({ who, says }) => `${who} ${says}`).join('\n')).toBeUndefined()
    expect(states).toBeGreaterThan(400)
  })
})

describe('and every step is needed: somewhere it fails', () => {
  it.each(mutations)('%s', (mutation) => {
    expect(scenarios.find((scenario) => search(scenario, mutation).fault !== undefined)).toBeDefined()
  })
})
