import { customer } from '../domain/customer/customer.ts'
import { streamName } from '../domain/customer/events.ts'
import { recordedEvent } from '../domain/events.ts'
import { instantOf } from '../http/parameters.ts'
import type { Config } from '../config.ts'
import type { Core } from '../main.ts'
import { isEmpty, ownershipChange, withChange, type Period } from '../projections/ownership-history/timeline.ts'
import { readPositionToken } from '../commands/position.ts'
import { withCore } from './core.ts'

export type ReplayOptions = { asOf?: string | undefined; knownAt?: string | undefined; json?: boolean | undefined }
export type ReplayedPeriod = { ownerId: string | null; from: string; to: string | null; basis: string; actor: string; onBehalfOf: string | null; reason: string | null; policyVersion: number | null; recordedAt: string; revision: number }

/** The position up to which the log knew what it knew at K: a position itself, or by the running maximum of recordedAt. */
const knownUpTo = async ({ runtime }: Pick<Core, 'runtime'>, text: string | undefined): Promise<bigint | undefined> => {
  if (text === undefined) return undefined
  const token = readPositionToken(runtime, text)
  if (token.kind === 'here') return token.position
  if (token.kind === 'reached') throw new Error('--known-at is a position of the place where the log was before: give one of where it is now, or a time')
  const time = instantOf(runtime, text, '--known-at')
  let position = 0n
  for await (const batch of runtime.store.readAll({ after: 0n })) {
    for (const event of batch.events) {
      // The running maximum passes K with the first event recorded after it.
      if (event.metadata.recordedAt > time) return position
      position = event.position
    }
  }
  return position
}

/** Who held a customer, folded from its own stream: no read model is asked. */
export const ownershipByReplay = async (core: Pick<Core, 'runtime'>, customerId: string, options: ReplayOptions): Promise<ReplayedPeriod[]> => {
  const { runtime } = core
  const upTo = await knownUpTo(core, options.knownAt)
  const asOf = options.asOf === undefined ? undefined : instantOf(runtime, options.asOf, '--as-of')
  let periods: Period[] = []
  for await (const stored of runtime.store.readStream(streamName(customerId))) {
    if (upTo !== undefined && stored.position > upTo) break
    const [opened] = await runtime.codec.decode([stored])
    const event = opened && recordedEvent(customer.parse, opened)
    if (event) periods = withChange(periods, event, stored.position).current
  }
  return periods
    .filter((period) => !isEmpty(period) && (asOf === undefined || (period.effectiveAt <= asOf && (period.to === null || asOf < period.to))))
    .map(({ ownerId, effectiveAt, to, basis, actor, onBehalfOf, reason, policyVersion, recordedAt, revision }) => ({ ownerId, from: effectiveAt, to, basis, actor, onBehalfOf, reason, policyVersion, recordedAt, revision }))
}

export type ReplayedHolding = { customerId: string; ownerId: string; since: string; basis: string }

/** Whom an employee held, folded from the events of all customers: no read model is asked. */
export const portfolioByReplay = async (core: Pick<Core, 'runtime'>, employeeId: string, options: ReplayOptions): Promise<ReplayedHolding[]> => {
  const { runtime } = core
  const upTo = await knownUpTo(core, options.knownAt)
  const at = options.asOf === undefined ? runtime.now().toISOString() : instantOf(runtime, options.asOf, '--as-of')
  const histories = new Map<string, Period[]>()
  reading: for await (const batch of runtime.store.readAll({ after: 0n, kinds: ['customer'] })) {
    for (const stored of await runtime.codec.decode(batch.events)) {
      if (upTo !== undefined && stored.position > upTo) break reading
      const event = recordedEvent(customer.parse, stored)
      if (event && ownershipChange(event)) histories.set(stored.stream, withChange(histories.get(stored.stream) ?? [], event, stored.position).current)
    }
  }
  return [...histories].flatMap(([stream, periods]) => {
    const held = periods.find((period) => !isEmpty(period) && period.effectiveAt <= at && (period.to === null || at < period.to))
    return held?.ownerId === employeeId ? [{ customerId: stream.slice(streamName('').length), ownerId: employeeId, since: held.effectiveAt, basis: held.basis }] : []
  }).sort((one, other) => (one.customerId < other.customerId ? -1 : 1))
}

export const replayPortfolio = (config: Config, employeeId: string, options: ReplayOptions): Promise<void> =>
  withCore(config, async (core) => {
    const holdings = await portfolioByReplay(core, employeeId, options)
    if (options.json) console.log(JSON.stringify({ employeeId, count: holdings.length, holdings }))
    else if (holdings.length === 0) console.log('Nobody: at that time they held no customer the log knew of.')
    else console.table(holdings.map(({ customerId, since, basis }) => ({ customer: customerId, since, basis })))
  })

export const replayOwnership = (config: Config, customerId: string, options: ReplayOptions): Promise<void> =>
  withCore(config, async (core) => {
    const periods = await ownershipByReplay(core, customerId, options)
    if (options.json) console.log(JSON.stringify({ customerId, periods }))
    else if (periods.length === 0) console.log('Nobody: at that time the log knew of no such customer.')
    else console.table(periods.map(({ ownerId, from, to, basis, actor, reason }) => ({ owner: ownerId ?? '(pool 公海)', from, to: to ?? '', basis, 'decided by': actor, reason: reason ?? '' })))
  })
