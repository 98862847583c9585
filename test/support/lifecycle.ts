import fc from 'fast-check'
import type { Runtime } from '../../src/commands/runtime.ts'
import { customer, responsibleFor } from '../../src/domain/customer/customer.ts'
import { subject, type CustomerEvent } from '../../src/domain/customer/events.ts'
import { personal, type Recorded } from '../../src/domain/decider.ts'
import { emptyHead } from '../../src/event-store/chain.ts'
import type { Json, JsonObject, SealedEvent } from '../../src/event-store/port.ts'
import { fold } from './given.ts'

/*
 * Histories of customers, made by chance: moves of every kind, at times on a coarse grid, so that two fall on one
 * instant or on a boundary often; in an order that is not that of time. And what they come to, worked out event by event.
 */
export const stageNames = ['target', 'prospect', 'active', 'dormant', 'lost'] as const
export const tierNames = ['standard', 'preferred', 'premier'] as const
export const categoryIds = ['individual-retail', 'supplier', 'supplier-software'] as const
export const employeeIds = ['wang', 'li', 'zhao'] as const

export type History = { customerId: string; events: Recorded<CustomerEvent>[] }

/** The nth point of the grid: six hours apart, from the beginning of 2026 in China. */
export const point = (n: number): string => new Date(Date.parse('2026-01-01T00:00:00+08:00') + n * 6 * 3_600_000).toISOString()
export const POINTS = 400

const at = fc.nat(POINTS)
const Step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('stage' as const), to: fc.constantFrom(...stageNames), move: fc.constantFrom('progress', 'setback', 'won-back', 'correction'), at }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('tier' as const), to: fc.constantFrom(...tierNames), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('category' as const), to: fc.constantFrom(...categoryIds), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('owner' as const), to: fc.constantFrom(...employeeIds, null), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('correction' as const), pick: fc.nat(), to: fc.constantFrom(...employeeIds, null), at }) },
)
/** `inOrder`: how often a history goes through its times in order. The log has them otherwise when they are stated by hand. */
const Plan = fc.record({ category: fc.constantFrom(...categoryIds), enteredBy: fc.constantFrom(...employeeIds, null), at, steps: fc.array(Step, { maxLength: 12 }), inOrder: fc.boolean() })

const happened = (event: CustomerEvent, revision: number, time: string): Recorded<CustomerEvent> =>
  ({ ...event, revision, recordedAt: time, effectiveAt: time, actor: 'clerk', onBehalfOf: null, commandId: `command-${revision}`, policies: [{ name: 'stages', version: 1 }, { name: 'tiers', version: 1 }] })

const historyOf = (customerId: string, { category, enteredBy, at: entry, steps, inOrder }: typeof Plan extends fc.Arbitrary<infer T> ? T : never): History => {
  const of = subject(customerId)
  const state: Standing = { stage: 'target', tier: 'standard', category: String(category), inForce: [] }
  const events: CustomerEvent[] = [{ type: 'CustomerCreated', data: { category, template: [], name: personal(of, '某某'), fields: {}, identifiers: [], contacts: [], stage: 'target', tier: 'standard', enteredBy, enteredAt: null } }]
  const times = [point(entry)]
  const sorted = steps.map((step) => step.at).sort((a, b) => a - b)
  steps.forEach((step, index) => {
    times.push(point(inOrder ? Math.max(entry, sorted[index] ?? 0) : step.at))
    const event = eventOf(step, state, of)
    if (!event) {
      times.pop()
      return
    }
    if (event.type === 'OwnershipCorrected') state.inForce = state.inForce.filter((revision) => revision !== event.data.correctsRevision)
    if (event.type.startsWith('Ownership')) state.inForce.push(events.length)
    events.push(event)
  })
  return { customerId, events: events.map((event, revision) => happened(event, revision, times[revision] ?? '')) }
}

/** `inForce`: the revisions of the changes of owner that have not been corrected. */
type Standing = { stage: string; tier: string; category: string; inForce: number[] }

const eventOf = (step: typeof Step extends fc.Arbitrary<infer T> ? T : never, state: Standing, of: string): CustomerEvent | undefined => {
  switch (step.kind) {
    case 'stage': {
      const { stage: from } = state
      state.stage = step.to
      return from === step.to ? undefined : { type: 'StageChanged', data: { from, to: step.to, move: step.move, cause: 'command', reason: null } }
    }
    case 'tier': {
      const { tier: from } = state
      state.tier = step.to
      const up = tierNames.findIndex((name) => name === step.to) > tierNames.findIndex((name) => name === from)
      return from === step.to ? undefined : { type: up ? 'TierUpgraded' : 'TierDowngraded', data: { from, to: step.to, basis: 'approval', evidence: personal(of, '批准') } }
    }
    case 'category': {
      const { category: from } = state
      state.category = step.to
      return from === step.to ? undefined : { type: 'CustomerRecategorised', data: { from, to: step.to, reason: personal(of, '改类'), fields: {}, template: [] } }
    }
    case 'correction': {
      const named = state.inForce[step.pick % state.inForce.length]
      return named === undefined ? undefined : { type: 'OwnershipCorrected', data: { corrects: `event-${named}`, correctsRevision: named, from: null, ownerId: step.to, basis: 'correction', reason: personal(of, '更正') } }
    }
    case 'owner':
      return step.to === null ? { type: 'OwnershipReleased', data: { from: 'somebody', basis: 'voluntary-release', reason: null } } : { type: 'OwnershipClaimed', data: { ownerId: step.to, basis: 'claim', reason: null } }
  }
}

export const histories = (size: { minLength?: number; maxLength: number }): fc.Arbitrary<History[]> =>
  fc.array(Plan, size).map((plans) => plans.map((plan, index) => historyOf(`customer${index}`, plan)))

/** The same histories for the same seed. */
export const sampleHistories = (count: number, seed: number): History[] => fc.sample(histories({ minLength: count, maxLength: count }), { numRuns: 1, seed })[0] ?? []

/** Writes histories into a log as if they had been recorded when they took effect. */
export const appendHistories = async ({ store, codec }: Pick<Runtime, 'store' | 'codec'>, all: readonly History[]): Promise<bigint> => {
  let last = 0n
  for (const { customerId, events } of all) {
    const stream = `customer-${customerId}`
    let head = emptyHead(stream)
    const sealed: SealedEvent[] = []
    for (const event of events) {
      const metadata = { commandId: crypto.randomUUID(), commandHash: 'generated', actor: event.actor, effectiveAt: event.effectiveAt, $correlationId: 'generated', $causationId: 'generated' }
      const [one] = await codec.encode(stream, head, [{ type: event.type, schemaVersion: 1, data: asJson(event.data) }], metadata, event.recordedAt)
      if (!one) throw new Error('nothing was encoded')
      sealed.push(one)
      head = { revision: head.revision + 1, hash: one.metadata.hash, recordedAt: one.metadata.recordedAt }
    }
    const result = await store.append({ stream, expectedRevision: 'no_stream', events: sealed })
    if (result.outcome !== 'appended') throw new Error(`${stream} is there already`)
    last = result.position
  }
  return last
}
const asJson = (data: object): JsonObject => Object.fromEntries(Object.entries(data).flatMap(([key, value]: [string, Json | undefined]) => (value === undefined ? [] : [[key, value]])))

export type Visit = { customerId: string; axis: 'stage' | 'tier'; name: string; from: string | null; by: string; start: string; end: string | null; next: string | null; move: string | null; category: string; responsibleId: string | null }

/** What a history comes to on one axis, by hand: visits one after the other, none beginning before the one it follows. */
export const visitsOf = ({ customerId, events }: History, axis: 'stage' | 'tier'): Visit[] => {
  const responsibleId = responsibleFor(fold(customer, events))
  const visits: Visit[] = []
  let category = ''
  for (const event of events) {
    if (event.type === 'CustomerCreated') category = event.data.category
    if (event.type === 'CustomerRecategorised') category = event.data.to
    const entered = event.type === 'CustomerCreated' ? { name: event.data[axis], by: 'entry' }
      : axis === 'stage' && event.type === 'StageChanged' ? { name: event.data.to, by: event.data.move }
        : axis === 'tier' && event.type === 'TierUpgraded' ? { name: event.data.to, by: 'up' }
          : axis === 'tier' && event.type === 'TierDowngraded' ? { name: event.data.to, by: 'down' } : undefined
    if (!entered) continue
    const previous = visits.at(-1)
    const start = previous && previous.start > event.effectiveAt ? previous.start : event.effectiveAt
    if (previous) Object.assign(previous, { end: start, next: entered.name, move: entered.by })
    visits.push({ customerId, axis, ...entered, from: previous?.name ?? null, start, end: null, next: null, move: null, category, responsibleId })
  }
  return visits
}

