import { MOST_CANDIDATES, nearMatchRule, type FoundNearMatches, type NearMatch } from '../domain/customer/near-matches.ts'
import type { Customer } from '../domain/customer/customer.ts'
import { normaliseIdentifier, type Identifier } from '../domain/customer/identifier.ts'
import { checkFields, type FieldValue } from '../domain/category/template.ts'
import { matchProfile, type MatchProfile } from '../domain/matching/profile.ts'
import type { Weights } from '../domain/matching/weights.ts'
import { templateOf } from '../domain/organisation/organisation.ts'
import type { Position } from '../event-store/port.ts'
import { customerAsOne } from './group.ts'
import { problem, type Problem } from './problem.ts'
import { holderFrom } from './reservation.ts'
import type { Runtime } from './runtime.ts'

/** Who is meant: what of a customer tells who it is, and the identities of its identifiers. */
export type WouldBe = {
  profile: MatchProfile
  /** Who holds one of these is no near match: the reservation refuses the entry, and names the holder. */
  identities: readonly string[]
  /** Whether the entry may be decided only on what was found. */
  needed: boolean
  /** From which probability on its sender is told. */
  threshold: number
}

export type VersionedWeights = { version: number; value: Weights }
export type Search = { weights: VersionedWeights; most: number }

/**
 * Looks for customers that are like another, best first: those the weights would show, `most` at most. One function for
 * the check before entry, the entry itself, and what follows it. main.ts hands it in; it answers from a read model.
 */
export type NearMatchFinder = {
  /** Of one who is not here yet. Does not wait: `unavailable` while the read model is being built. */
  ofWouldBe: (wouldBe: Pick<WouldBe, 'profile' | 'identities'>, search: Search) => Promise<FoundNearMatches>
  /** Of one who is here, as late as a position: waits for the read model to get there. Empty for one who is not matched. */
  ofCustomer: (customerId: string, after: Position, search: Search) => Promise<Exclude<FoundNearMatches, 'unavailable'>>
  /** How alike two are, as late as a position. Undefined where that cannot be known yet, and where they cannot be one. */
  ofPair: (customerIds: readonly [string, string], after: Position, weights: VersionedWeights) => Promise<Pick<NearMatch, 'score' | 'reasons'> | undefined>
}

type Described = { category?: string | undefined; name?: string | undefined; fields?: Record<string, FieldValue> | undefined; identifiers: readonly Identifier[] }

/** What a body says of a customer, as the matcher takes it; undefined in a category there is not, since that tells what the fields mean. */
export const wouldBeOf = (described: Described, { organisation, keyedHash }: Pick<Runtime, 'organisation' | 'keyedHash'>): Pick<WouldBe, 'profile' | 'identities'> | undefined => {
  const inForce = described.category === undefined ? undefined : templateOf(organisation.current(), described.category)
  if (!inForce) return undefined
  const identifiers = described.identifiers.map(normaliseIdentifier).filter((one) => one.ok)
  return {
    profile: matchProfile({ kind: inForce.kind, name: described.name, fields: inForce.template.fields, values: checkFields(inForce.template.fields, described.fields ?? {}, () => false).values, identifiers }),
    identities: identifiers.map(({ kind, value }) => keyedHash.identity(kind, value)),
  }
}

/** Whom an entry would enter; undefined where nobody need look: a repetition, or the policy or a system says so. */
export const wouldBeEntered = (state: Customer, body: Described & { category: string; nearMatchCheck: boolean }, runtime: Pick<Runtime, 'organisation' | 'keyedHash'>): WouldBe | undefined => {
  const { nearMatch, threshold } = nearMatchRule(runtime.organisation.current(), body.category)
  if (state.status === 'entered' || !body.nearMatchCheck || nearMatch === 'off') return undefined
  const described = wouldBeOf(body, runtime)
  return described && { ...described, needed: nearMatch === 'block', threshold }
}

/** Looks, where somebody is to be looked for. A problem where it could not, and the entry may not be decided without. */
export const lookForNearMatches = async (runtime: Runtime, wouldBe: WouldBe | undefined): Promise<{ found?: FoundNearMatches; problem?: Problem }> => {
  const { nearMatches, organisation } = runtime
  if (!nearMatches || !wouldBe) return {}
  const found = await nearMatches.ofWouldBe(wouldBe, { weights: organisation.current().policies.matching, most: MOST_CANDIDATES })
  if (found === 'unavailable' && wouldBe.needed) return { problem: problem('model-building', 'Who is like this customer cannot be looked up yet, and the policy asks for it.', { extensions: { model: 'duplicates' } }) }
  if (found === 'unavailable') return { found }
  const candidates = await Promise.all(found.candidates.map(async (candidate) => (candidate.probability < wouldBe.threshold ? candidate : { ...candidate, ...(await whomToAsk(runtime, candidate.customerId)) })))
  return { found: { ...found, candidates } }
}

/** Whose a customer is, and which department is responsible: what may be told to who may not see it. */
const whomToAsk = async (runtime: Runtime, customerId: string) => {
  const one = await customerAsOne(runtime, customerId)
  if (!one) return {}
  const { ownerId, departmentId } = holderFrom(runtime, customerId, one)
  return { ownerId, departmentId }
}
