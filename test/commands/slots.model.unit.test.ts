import { describe, expect, it } from 'vitest'
import { mutations, scenarios, search } from './slots.model.ts'
import { ways } from './slots.ways.ts'

/* What the model of the slots' protocol says. The same ways through the real code: slots.unit.test.ts. */

describe('in every interleaving, with attempts that stop anywhere, no more is held or claimed than the limit allows, and no room is lost', () => {
  it.each(scenarios)('$name', (scenario) => {
    const { states, fault, way } = search(scenario)
    expect(fault, way.map(({ who, says }) => `${who} ${says}`).join('\n')).toBeUndefined()
    expect(states).toBeGreaterThan(400)
  })
})

describe('and every step is needed: without it there is a way to a fault', () => {
  it.each(mutations)('%s', (mutation) => {
    // Where it is shortest, so that it is found soon.
    const [nearest] = scenarios.filter(({ name }) => ways[name]?.[mutation] !== undefined).toSorted((one, other) => (ways[one.name]?.[mutation]?.length ?? 0) - (ways[other.name]?.[mutation]?.length ?? 0))
    expect(nearest && search(nearest, mutation).fault).toBeDefined()
  })
})
