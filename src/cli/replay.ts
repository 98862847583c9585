import { customer } from '../domain/customer/customer.ts'
import { streamName } from '../domain/customer/events.ts'
import { recordedEvent } from '../domain/events.ts'
import { instantOf } from '../http/parameters.ts'
import type { Config } from '../config.ts'
import type { Core } from '../main.ts'
import { isEmpty, withChange, type Period } from '../projections/ownership-history/timeline.ts'
import { readPositionToken } from '../commands/position.ts'
import { withCore } from './core.ts'

export type ReplayOptions = { asOf?: string | undefined; knownAt?: string | undefined; json?: boolean | undefined }
export type ReplayedPeriod = { customerId: string; ownerId: string | null; from: string; to: string | null; basis: string; actor: string; onBehalfOf: string | null; reason: string | null; policyVersion: number | null; recordedAt: string; revision: number }

/** The position up to which the log knew what it knew at K: a position itself, or by the running maximum of recordedAt. */
const knownUpTo = async ({ runtime }: Pick<Core, 'runtime'>, text: string | undefined): Promise<bigint | undefined> => {
  if (text === undefined) return undefined
  const token = readPositionToken(runtime, text)
  if (token.kind === 'here') return token.position
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
    .map(({ ownerId, effectiveAt, to, basis, actor, onBehalfOf, reason, policyVersion, recordedAt, revision }) => ({ customerId, ownerId, from: effectiveAt, to, basis, actor, onBehalfOf, reason, policyVersion, recordedAt, revision }))
}

export const replayOwnership = (config: Config, customerId: string, options: ReplayOptions): Promise<void> =>
  withCore(config, async (core) => {
    const periods = await ownershipByReplay(core, customerId, options)
    if (options.json) console.log(JSON.stringify({ customerId, periods }))
    else if (periods.length === 0) console.log('Nobody: at that time the log knew of no such customer.')
    else console.table(periods.map(({ ownerId, from, to, basis, actor, reason }) => ({ owner: ownerId ?? '(pool 公海)', from, to: to ?? '', basis, 'decided by': actor, reason: reason ?? '' })))
  })
