import { v5 as uuidv5 } from 'uuid'
import { customer } from '../../domain/customer/customer.ts'
import { streamName, type CustomerEvent } from '../../domain/customer/events.ts'
import { nearMatchRule, type NearMatch } from '../../domain/customer/near-matches.ts'
import type { DomainEvent } from '../../domain/events.ts'
import { caseIdOf, duplicateCase, pairOf, streamName as caseStream } from '../../domain/duplicate-case/duplicate-case.ts'
import { meaningOf } from '../../domain/matching/profile.ts'
import type { Organisation } from '../../domain/organisation/organisation.ts'
import { canonical } from '../../event-store/canonical.ts'
import type { RecordedEvent } from '../../event-store/port.ts'
import { NAMESPACE } from '../keyed-hash.ts'
import { groupOf } from '../group.ts'
import { load } from '../load.ts'
import type { Runtime } from '../runtime.ts'
import type { Intent } from './dispatch.ts'

/** Cases one event opens: of many who are all alike, a case for each pair would be work for nobody. */
const MOST_CASES = 5

/** The events that may say who a customer is. */
export const tellingTypes = ['CustomerCreated', 'ProfileChanged', 'CustomerRecategorised', 'IdentifierAdded'] as const satisfies CustomerEvent['type'][]

/** The fields that tell who a customer is, in a category or other. */
const tellingFields = ({ categories }: Organisation): ReadonlySet<string> => {
  const known = fieldsOf.get(categories) ?? new Set([...categories.values()].flatMap(({ definition }) => definition.template.fields).filter((field) => meaningOf(field)).map(({ key }) => key))
  fieldsOf.set(categories, known)
  return known
}
// Asked for each change of a profile, and the same until a category changes.
const fieldsOf = new WeakMap<Organisation['categories'], ReadonlySet<string>>()

/** What says who a customer is. An entry whose sender, a system, left out the look is left to a scan. */
const tellsWho = (event: CustomerEvent, organisation: Organisation): boolean => {
  switch (event.type) {
    case 'CustomerCreated':
      return event.data.nearMatches?.decision !== 'switched-off'
    case 'ProfileChanged': {
      const telling = tellingFields(organisation)
      return event.data.name !== undefined || Object.keys(event.data.fields).some((key) => telling.has(key))
    }
    case 'CustomerRecategorised':
    case 'IdentifierAdded':
      return true
    default:
      return false
  }
}

/** The command that opens the case of two customers. Its key follows from all it says: the same finding is sent once. */
export const openCase = (customerIds: [string, string], { score, reasons }: Pick<NearMatch, 'score' | 'reasons'>, weightsVersion: number): Intent => {
  const body = { customerIds: pairOf(customerIds), score, reasons: reasons.map((reason) => ({ ...reason })), weightsVersion }
  return { command: 'open-duplicate-case', key: `duplicate/${uuidv5(canonical(body), NAMESPACE)}`, body }
}

/**
 * Two who were entered in the same instant, each before the other could be seen, are found here: the read model is
 * waited for, and holds both by the time the later one is looked at. So is whoever becomes like another by a change.
 */
export const duplicatesFound = async (runtime: Runtime, one: DomainEvent, stored: RecordedEvent): Promise<Intent[]> => {
  if (one.kind !== 'customer' || !runtime.nearMatches || !tellsWho(one.event, runtime.organisation.current())) return []
  const weights = runtime.organisation.current().policies.matching
  const { candidates } = await runtime.nearMatches.ofCustomer(one.id, stored.position, { weights, most: MOST_CASES })
  const likely = candidates.filter(({ probability }) => probability >= weights.value.thresholds.case)
  if (likely.length === 0 || (await isOff(runtime, one.id))) return []
  const intents = await Promise.all(likely.map(async (match) => {
    const pair: [string, string] = [(await groupOf(runtime, one.id)).customerId, match.customerId]
    if (pair[0] === pair[1] || (await hadCase(runtime, [pair, [one.id, match.recordId ?? match.customerId]]))) return []
    return [{ ...openCase(pair, match, weights.version), causationId: stored.id, correlationId: stored.metadata.$correlationId }]
  }))
  return intents.flat()
}

/** Open, decided or merged: the two have had their case, as they are or as the records they were before merges. */
export const hadCase = async (runtime: Runtime, pairs: readonly [string, string][]): Promise<boolean> => {
  const states = await Promise.all([...new Set(pairs.map(caseIdOf))].map((caseId) => load(runtime, duplicateCase, caseStream(caseId))))
  return states.some(({ state }) => state.status !== 'none')
}

const isOff = async (runtime: Runtime, customerId: string): Promise<boolean> => {
  const { state } = await load(runtime, customer, streamName(customerId))
  return nearMatchRule(runtime.organisation.current(), state.category).nearMatch === 'off'
}
