import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { customer } from '../../../src/domain/customer/customer.ts'
import type { CustomerEvent } from '../../../src/domain/customer/events.ts'
import { listed } from '../../../src/domain/customer/ownership-changes.ts'
import type { Instant, Recorded } from '../../../src/domain/decider.ts'
import { isEmpty, ownershipChange, withChange, type Period } from '../../../src/projections/ownership-history/timeline.ts'
import { assigned, claimed, contactAdded, corrected, created, fold, fenced, inForce, on, person, recorded, released, shared, staged, transferred, type When } from '../../support/given.ts'

type Change = { event: Recorded<CustomerEvent>; ordinal: bigint }

/** Every row ever written: those that are known no more, and those known now. */
const historyOf = (changes: readonly Change[]): { rows: Period[]; current: readonly Period[] } => {
  let current: readonly Period[] = []
  const closed: Period[] = []
  for (const { event, ordinal } of changes) {
    const before = structuredClone(current)
    const after = withChange(current, event, ordinal)
    expect(current, 'what was known is left as it was').toEqual(before)
    closed.push(...after.closed)
    current = after.current
  }
  return { rows: [...closed, ...current], current }
}
const knownIn = (period: Period, ordinal: bigint) => period.knownFrom <= ordinal && (period.knownTo === null || ordinal < period.knownTo)
const validAt = (period: Period, at: Instant) => !isEmpty(period) && period.effectiveAt <= at && (period.to === null || at < period.to)

/** What the log told by then, folded anew: of what was not corrected, the latest change by effective time not after D, ties by place. */
const byDefinition = (changes: readonly Change[], at: Instant, knownAt: bigint) => {
  const told = new Map<number, { event: Recorded<CustomerEvent>; place: number }>()
  for (const { event, ordinal } of changes) {
    if (ordinal > knownAt || ownershipChange(event) === undefined) continue
    const named = event.type === 'OwnershipCorrected' ? told.get(event.data.correctsRevision) : undefined
    if (named) told.delete(named.event.revision)
    told.set(event.revision, { event, place: named?.event.effectiveAt === event.effectiveAt ? named.place : event.revision })
  }
  const inOrder = [...told.values()].toSorted((a, b) => (a.event.effectiveAt === b.event.effectiveAt ? a.place - b.place : a.event.effectiveAt < b.event.effectiveAt ? -1 : 1))
  const index = inOrder.findLastIndex(({ event }) => event.effectiveAt <= at)
  const change = inOrder[index]?.event
  return change && { ...ownershipChange(change), from: change.effectiveAt, to: inOrder.slice(index + 1).find(({ event }) => event.effectiveAt > at)?.event.effectiveAt ?? null, revision: change.revision }
}

const hour = (count: number): Instant => new Date(Date.parse(on(1)) + count * 3_600_000).toISOString()
const Step = fc.record({ what: fc.nat(9), who: fc.constantFrom('clerk', 'rival', 'chief'), back: fc.option(fc.nat(12), { nil: 0, freq: 2 }), gap: fc.integer({ min: 1, max: 3 }), pick: fc.nat(), moves: fc.boolean() })
/** Changes, corrections and what is neither, recorded hour by hour, effective at any hour from the entry on. */
const story: fc.Arbitrary<Change[]> = fc.array(Step, { maxLength: 12, size: 'max' }).map((steps) => {
  const changes: Change[] = [{ event: recorded(created({}, { recordedAt: hour(0) }), 0), ordinal: 1n }]
  /** What is in force: each change that none has corrected yet. */
  let inEffect = [...changes]
  steps.forEach(({ what, who, back, gap, pick, moves }, index) => {
    const when: When = { recordedAt: hour(index + 1), effectiveAt: hour(Math.max(0, index + 1 - back)), actor: who, policies: inForce('ownership') }
    const named = inEffect[pick % inEffect.length]?.event
    const correction = named && corrected(named.revision, 'clerk', pick % 3 === 0 ? null : who, { ...when, ...(moves && named.effectiveAt > hour(0) ? {} : { effectiveAt: named.effectiveAt }) })
    const events: CustomerEvent[] = [claimed(who, when), assigned(who, null, when), transferred('clerk', who, person.said, when), released(who, null, when), released(who, person.said, when), staged('target', 'prospect', 'progress'), contactAdded('k'), fenced()]
    const event = recorded({ ...(events[what] ?? correction ?? fenced()), recordedAt: hour(index + 1) }, index + 1)
    const change = { event, ordinal: (changes.at(-1)?.ordinal ?? 0n) + BigInt(gap) }
    changes.push(change)
    if (event.type === 'OwnershipCorrected') inEffect = inEffect.filter((one) => one.event.revision !== named?.revision)
    if (ownershipChange(event)) inEffect.push(change)
  })
  return changes
})
const inForceAmong = (changes: readonly Change[]) => {
  const corrections = new Set(changes.flatMap(({ event }) => (event.type === 'OwnershipCorrected' ? [event.data.correctsRevision] : [])))
  return changes.flatMap(({ event }) => (ownershipChange(event) && !corrections.has(event.revision) ? [event.revision] : []))
}

describe('the history of who owned a customer', () => {
  test('tells for every instant, as known at every point of the log, what the events known then tell', () => {
    fc.assert(fc.property(story, (changes) => {
      const { rows } = historyOf(changes)
      const last = changes.at(-1)?.ordinal ?? 0n
      for (let knownAt = 0n; knownAt <= last + 1n; knownAt += 1n) {
        for (let at = -1; at <= changes.length; at += 1) {
          const found = rows.filter((row) => knownIn(row, knownAt) && validAt(row, hour(at)))
          expect(found.length).toBeLessThanOrEqual(1)
          const [row] = found
          expect(row && { ownerId: row.ownerId, basis: row.basis, reason: row.reason, from: row.effectiveAt, to: row.to, revision: row.revision }).toEqual(byDefinition(changes, hour(at), knownAt))
        }
      }
    }), { seed: 20260303, numRuns: 150 })
  })
  test('never has two rows that overlap on both time axes', () => {
    fc.assert(fc.property(story, (changes) => {
      const { rows } = historyOf(changes)
      const before = <T extends string | bigint>(end: T | null, start: T) => end !== null && end <= start
      const overlap = (a: Period, b: Period) => !isEmpty(a) && !isEmpty(b) && !before(a.to, b.effectiveAt) && !before(b.to, a.effectiveAt) && !before(a.knownTo, b.knownFrom) && !before(b.knownTo, a.knownFrom)
      rows.forEach((row, index) => {
        for (const other of rows.slice(index + 1)) expect(overlap(row, other)).toBe(false)
        expect(row.knownTo === null || row.knownFrom < row.knownTo).toBe(true)
      })
    }), { seed: 20260303, numRuns: 150 })
  })
  test('as known now is without gaps from the entry on, in order, one row for each change in force', () => {
    fc.assert(fc.property(story, (changes) => {
      const { current } = historyOf(changes)
      expect(current.map(({ revision }) => revision).toSorted((a, b) => a - b)).toEqual(inForceAmong(changes))
      current.forEach((period, index) => expect(period.to).toBe(current[index + 1]?.effectiveAt ?? null))
      expect(current.every(({ knownTo }) => knownTo === null)).toBe(true)
      expect(current[0]).toMatchObject({ effectiveAt: hour(0), place: 0 })
      // The same that commands decide on.
      expect(listed(fold(customer, changes.map(({ event }) => event)).ownership)).toMatchObject(current.map(({ effectiveAt, revision, ownerId }) => ({ at: effectiveAt, revision, ownerId })))
    }), { seed: 20260303 })
  })
})

describe('a change', () => {
  const past: Change[] = [created(), claimed('clerk', { policies: inForce('stages', 'ownership') }), released('clerk'), claimed('colleague')].map((event, index) => ({ event: recorded(event, index), ordinal: BigInt(index + 1) }))
  const late: Change = { event: recorded(claimed('rival', { effectiveAt: on(3, '15:00:00.000'), recordedAt: on(20), actor: 'importer', reason: person.said, policies: inForce('ownership') }), 4), ordinal: 9n }
  test('entered late counts up to the next one; what it cut short stays on record as it was known', () => {
    const { current, closed } = withChange(historyOf(past).current, late.event, late.ordinal)
    expect(current.map(({ ownerId, effectiveAt, to, knownFrom }) => [ownerId, effectiveAt, to, knownFrom])).toEqual([
      [null, on(1), on(2), 2n], ['clerk', on(2), on(3), 3n], [null, on(3), on(3, '15:00:00.000'), 9n], ['rival', on(3, '15:00:00.000'), on(4), 9n], ['colleague', on(4), null, 4n],
    ])
    expect(closed).toMatchObject([{ ownerId: null, effectiveAt: on(3), to: on(4), knownFrom: 4n, knownTo: 9n }])
  })
  test('keeps who decided it, when, why, and under which version of the ownership policy', () => {
    const { current } = withChange(historyOf(past).current, late.event, late.ordinal)
    expect(current[3]).toEqual({
      ownerId: 'rival', basis: 'claim', actor: 'importer', onBehalfOf: null, reason: person.said, policyVersion: 6, effectiveAt: on(3, '15:00:00.000'), recordedAt: on(20), revision: 4, place: 4, ordinal: 9n, to: on(4), knownFrom: 9n, knownTo: null,
    })
    expect(current[1]).toMatchObject({ policyVersion: 6, ordinal: 2n })
    expect(current[4]).toMatchObject({ policyVersion: null })
  })
  test('at the instant of another leaves that one a period in which no instant lies', () => {
    const same: Change = { event: recorded(claimed('rival', { effectiveAt: on(4), recordedAt: on(20) }), 4), ordinal: 9n }
    const { current } = historyOf([...past, same])
    expect(current.map((period) => [period.ownerId, isEmpty(period)])).toEqual([[null, false], ['clerk', false], [null, false], ['colleague', true], ['rival', false]])
  })
  test('that corrects another takes it out: what was known of it ends, and what came after stands', () => {
    const correction: Change = { event: recorded(corrected(1, 'clerk', 'rival', { effectiveAt: on(2), recordedAt: on(20) }), 4), ordinal: 9n }
    const { current, closed } = withChange(historyOf(past).current, correction.event, correction.ordinal)
    expect(current.map(({ ownerId, basis, effectiveAt, to, knownFrom }) => [ownerId, basis, effectiveAt, to, knownFrom])).toEqual([
      [null, 'first-entry', on(1), on(2), 2n], ['rival', 'correction', on(2), on(3), 9n], [null, 'voluntary-release', on(3), on(4), 4n], ['colleague', 'claim', on(4), null, 4n],
    ])
    expect(closed).toMatchObject([{ ownerId: 'clerk', effectiveAt: on(2), to: on(3), knownFrom: 3n, knownTo: 9n }])
  })
  test('whose reason was erased has none', () => {
    const erased = recorded<CustomerEvent>({ type: 'OwnershipClaimed', data: { ownerId: 'clerk', basis: 'claim', reason: { erased: true } } }, 1)
    expect(ownershipChange(erased)).toEqual({ ownerId: 'clerk', basis: 'claim', reason: null })
  })
  test('of anything else is none', () => {
    const { current } = historyOf(past)
    for (const event of [staged('target', 'prospect', 'progress'), shared('employee', 'rival', 'work'), fenced()]) expect(withChange(current, recorded<CustomerEvent>(event, 4), 9n)).toEqual({ current, closed: [] })
  })
})
