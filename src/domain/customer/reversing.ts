import { z } from 'zod'
import { noChange, personal, type Context, type Decision } from '../decider.ts'
import { policyReference } from '../organisation/organisation.ts'
import { reject, type FieldProblem } from '../rejection.ts'
import { Id, ShopId, Reason } from '../values.ts'
import { ownerOf, ownershipNow, type Customer } from './customer.ts'
import { subject, type CustomerEvent } from './events.ts'
import { Identifier } from './identifier.ts'
import { rightfulOwner, settleOwner, type Claim } from './merging.ts'
import { checkIdentifiers, notFound } from './profile.ts'

// Commands.
/** What lies beside a customer's own stream and is recorded for one of the two. */
export const besideKinds = ['purchases', 'interactions', 'complaints'] as const
export type BesideKind = (typeof besideKinds)[number]

const beside = {
  purchases: z.array(ShopId).max(200).default([]),
  interactions: z.array(Id).max(200).default([]),
  complaints: z.array(Id).max(200).default([]),
}
export const ReverseMerge = z.strictObject({
  absorbedId: Id.describe('The customer that was absorbed'),
  mergeId: z.string().max(64).optional().describe('Which merge, to be sure'),
  reason: Reason,
  give: z.strictObject({
    contacts: z.array(Id).max(100).default([]),
    identifiers: z.array(Identifier).max(20).default([]),
    ...beside,
  }).default({ contacts: [], identifiers: [], purchases: [], interactions: [], complaints: [] }).describe('What is the survivor’s now and goes with the customer given back'),
  keep: z.strictObject({
    contacts: z.array(Id).max(100).default([]),
    identifiers: z.array(Identifier).max(20).default([]),
    ...beside,
  }).default({ contacts: [], identifiers: [], purchases: [], interactions: [], complaints: [] }).describe('What was entered or recorded for the customer given back since, and stays with the survivor'),
})
/** Of what was named: which of it the survivor has, and which the absorbed. */
export type HeldBeside = Record<BesideKind, { survivor: ReadonlySet<string>; absorbed: ReadonlySet<string> }>
/** `parts`: the absorbed customer, and all it is made of. */
export type ReversalWithBeside = z.infer<typeof ReverseMerge> & { held?: HeldBeside; parts?: readonly string[] }

/** The contacts and identifiers that leave the survivor: those named, and those entered for the absorbed, but for what is to stay. */
export const givenBack = (into: Customer, { absorbedId, give, keep, parts = [absorbedId] }: ReversalWithBeside, context: Pick<Context, 'identityOf'>) => {
  const given = checkIdentifiers(give.identifiers, context)
  const kept = checkIdentifiers(keep.identifiers, context)
  const notOf = (path: string, contacts: readonly string[], { held, problems }: typeof given): FieldProblem[] => [
    ...problems.map((problem) => ({ ...problem, path: `${path}/${problem.path}` })),
    ...contacts.flatMap((contactId, index) => (into.contacts.has(contactId) ? [] : [{ path: `${path}/contacts/${index}`, message: 'is not a contact of the survivor' }])),
    ...held.flatMap(({ identity }, index) => (into.identifiers.has(identity) ? [] : [{ path: `${path}/identifiers/${index}`, message: 'is not an identifier of the survivor' }])),
  ]
  const entered = <T extends { enteredFor?: string | undefined }>(of: ReadonlyMap<string, T>, stays: readonly string[]) =>
    [...of].flatMap(([id, { enteredFor }]) => (enteredFor !== undefined && parts.includes(enteredFor) && !stays.includes(id) ? [id] : []))
  return {
    contacts: [...new Set([...give.contacts, ...entered(into.contacts, keep.contacts)])],
    identities: [...new Set([...given.held.map(({ identity }) => identity), ...entered(into.identifiers, kept.held.map(({ identity }) => identity))])],
    errors: [...notOf('give', give.contacts, given), ...notOf('keep', keep.contacts, kept)],
  }
}

const one = { purchases: 'purchase', interactions: 'interaction', complaints: 'complaint' } as const

/** What was named as lying with one of the two, and does not, or lies with both. */
const misplaced = ({ give, keep, held }: ReversalWithBeside): FieldProblem[] => besideKinds.flatMap((kind) => {
  const has = held?.[kind] ?? { survivor: new Set(), absorbed: new Set() }
  const check = (path: string, ids: readonly string[], from: ReadonlySet<string>, to: ReadonlySet<string>, whose: string) => ids.flatMap((id, index) => [
    ...(from.has(id) ? [] : [{ path: `${path}/${kind}/${index}`, message: `is not ${kind === 'interactions' ? 'an' : 'a'} ${one[kind]} of ${whose}` }]),
    ...(from.has(id) && to.has(id) ? [{ path: `${path}/${kind}/${index}`, message: `both customers have ${kind === 'interactions' ? 'an' : 'a'} ${one[kind]} of this id` }] : []),
  ])
  return [...check('give', give[kind], has.survivor, has.absorbed, 'the survivor'), ...check('keep', keep[kind], has.absorbed, has.survivor, 'the absorbed customer')]
})

// Decisions.
/** Begins, and decides, a reversal on the absorbed: it is a customer of its own again, of the owner it had. */
export const reverseMerge = (state: Customer, command: ReversalWithBeside, context: Context, _survivor: Customer | null, [into]: readonly (Customer | null)[]): Decision<CustomerEvent> => {
  if (state.status === 'none') return notFound
  const { absorption } = state
  const { give, keep, reason } = command
  if (absorption === null || (command.mergeId !== undefined && absorption.mergeId !== command.mergeId)) {
    const reversed = command.mergeId === undefined ? [...state.decided.values()].includes('reversed') : state.decided.get(command.mergeId) === 'reversed'
    return reversed ? noChange : reject('not-merged', 'This customer has not been absorbed by that merge.', { extensions: { mergeId: absorption?.mergeId ?? null, into: absorption?.into ?? null } })
  }
  if (!into) return notFound
  const { contacts, identities, errors: strangers } = givenBack(into, command, context)
  const errors = [...strangers, ...misplaced(command)]
  if (errors.length > 0) return reject('unknown-reference', 'What is named is not where it is said to be.', { errors })
  const facts = (named: Record<BesideKind, readonly string[]>) => ({ purchases: [...new Set(named.purchases)], interactions: [...new Set(named.interactions)], complaints: [...new Set(named.complaints)] })
  const moves = besideKinds.some((kind) => give[kind].length > 0 || keep[kind].length > 0)
  return {
    events: [{
      type: 'MergeReversed',
      data: {
        mergeId: absorption.mergeId, from: absorption.into, ownerId: ownerOf(state), give: { contacts, identities },
        ...(moves ? { beside: { give: facts(give), keep: facts(keep) } } : {}), reason: personal(subject(command.absorbedId), reason),
      },
    }],
    policies: [policyReference(context.organisation, 'ownership')],
  }
}

/** Where a merge had settled who owns a survivor, and nobody changed that since, it is settled anew among those that are left. */
export const settleAnew = (state: Customer, mergeId: string, left: readonly Claim[]): CustomerEvent[] => {
  const { ownerId, customerId } = rightfulOwner(left)
  return state.settlements.has(ownershipNow(state)?.revision ?? -1) ? settleOwner(state, ownerId, 'merge-reversal', mergeId, customerId) : []
}

/**
 * On the survivor, after a reversal: what is given leaves it; and where a merge had settled who owns it, and nobody
 * changed that since, it is settled anew among those that are left.
 */
export const undoMerge = (state: Customer, { mergeId, absorbedId, give }: { mergeId: string; absorbedId: string; give: { contacts: readonly string[]; identities: readonly string[] } }, left: readonly Claim[]): CustomerEvent[] => {
  if (state.merges.get(absorbedId)?.mergeId !== mergeId) return []
  return [
    { type: 'MergeUndone', data: { mergeId, absorbedId } },
    ...give.contacts.flatMap((contactId): CustomerEvent[] => (state.contacts.has(contactId) ? [{ type: 'ContactRemoved', data: { contactId, reason: null } }] : [])),
    ...give.identities.flatMap((identity): CustomerEvent[] => {
      const kind = state.identifiers.get(identity)?.kind
      return kind === undefined ? [] : [{ type: 'IdentifierReleased', data: { kind, identity, reason: null } }]
    }),
    ...settleAnew(state, mergeId, left),
  ]
}
