import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { isOfProfile } from '../../src/domain/customer/of-profile.ts'
import { domainEvent, type DomainEvent } from '../../src/domain/events.ts'
import { evolveHolding, isOfHoldings, toHoldingRow } from '../../src/projections/handovers/holding.ts'
import { begin, step } from '../../src/projections/lifecycle/stays.ts'
import { evolve } from '../../src/projections/protection/fold.ts'

const folder = new URL('../golden/', import.meta.url)
const Golden = z.array(z.object({ stored: z.looseObject({ stream: z.string(), revision: z.number(), type: z.string(), data: z.unknown(), metadata: z.looseObject({ schemaVersion: z.number(), recordedAt: z.string(), actor: z.string(), commandId: z.string() }) }) }))
type OfCustomer = Extract<DomainEvent, { kind: 'customer' }>
/** Every event of a customer in the golden files. */
const events = readdirSync(folder).flatMap((file) => Golden.parse(JSON.parse(readFileSync(new URL(file, folder), 'utf8')))).flatMap(({ stored }): OfCustomer[] => {
  const one = domainEvent(stored)
  return one?.kind === 'customer' ? [one] : []
})
const [created] = events.flatMap(({ event }) => (event.type === 'CustomerCreated' ? [event] : []))
const begun = () => created ?? expect.fail('nobody is created in the golden files')

describe('what is passed over unread', () => {
  it('is what says who a customer is, of which there is each in the golden files', () => {
    expect([...new Set(events.map(({ event }) => event).filter(isOfProfile).map(({ type }) => type))].toSorted()).toEqual(['ContactAdded', 'ContactChanged', 'ContactRemoved', 'IdentifierAdded', 'IdentifierReleased', 'ProfileChanged'])
  })

  it.each(events.filter(({ event }) => isOfProfile(event)).map(({ event }) => event))('$type changes nothing of the lifecycle, nor of protection', (event) => {
    expect(step(begin('c-1', begun()).standing, event)).toBeUndefined()
    const before = evolve('c-1', undefined, begun())
    expect(evolve('c-1', before, event)).toBe(before)
  })

  it.each(events.filter(({ event }) => !isOfHoldings(event)).map(({ event }) => event))('$type changes nothing of a holding', (event) => {
    const before = evolveHolding('c-1', undefined, begun(), 1n) ?? expect.fail('not begun')
    const after = evolveHolding('c-1', before, event, 2n) ?? expect.fail('gone')
    expect(toHoldingRow(after)).toEqual(toHoldingRow(before))
  })

  it('is a changed profile for holdings only where it says nothing of where the customer is', () => {
    const changed = (fields: Record<string, string>) => ({ ...begun(), type: 'ProfileChanged' as const, data: { fields, template: [{ categoryId: 'individual-retail', version: 1 }] } })
    expect(['province', 'city', 'region', 'address'].map((key) => isOfHoldings(changed({ [key]: '湖北省武汉市' })))).toEqual([true, true, true, true])
    expect(isOfHoldings(changed({ notes: '武汉' }))).toBe(false)
  })
})
