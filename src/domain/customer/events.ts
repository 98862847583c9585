import { z } from 'zod'
import { Personal, type EventOf } from '../decider.ts'
import { FieldValue } from '../category/template.ts'
import { IdentifierKind } from './identifier.ts'
import { NearMatchesRecord } from './near-matches.ts'

export const kind = 'customer'
export const streamName = (customerId: string): string => `customer-${customerId}`
/** The data subjects under whose keys personal values are sealed: erasing a customer erases its contacts' keys as well. */
export const subject = (customerId: string): string => `customer-${customerId}`
export const contactSubject = (contactId: string): string => `contact-${contactId}`

/** A field's value: sealed when the template called it personal; null clears it. */
const StoredField = z.union([Personal(FieldValue), FieldValue])
const Fields = z.record(z.string(), StoredField)
export type StoredFields = z.infer<typeof Fields>

/** Which versions of which categories, root first, made the template a profile was checked against. */
const TemplateReference = z.array(z.object({ categoryId: z.string(), version: z.number().int() }))
/** `identity` names the identity stream: a keyed hash of the normalised value. */
const HeldIdentifier = z.object({ kind: IdentifierKind, identity: z.string(), value: Personal(z.string()) })
const Contact = z.object({ contactId: z.string(), name: Personal(z.string()), fields: Fields })
const FreeText = Personal(z.string())
export const SharedWith = z.object({ kind: z.enum(['employee', 'department']), id: z.string() })
export type SharedWith = z.infer<typeof SharedWith>

/** Whose value counts, of the survivor and the absorbed: for the name, and field by field. */
const Take = z.object({ name: z.string().optional(), fields: z.record(z.string(), z.string()) })
export type Take = z.infer<typeof Take>

/** Purchases, interactions and complaints, by their ids. */
const Beside = z.object({ purchases: z.array(z.string()), interactions: z.array(z.string()), complaints: z.array(z.string()) })

// Events. These names and shapes are the storage format: add, never change.
export const events = {
  CustomerCreated: z.object({
    category: z.string(),
    template: TemplateReference,
    name: Personal(z.string()),
    fields: Fields,
    identifiers: z.array(HeldIdentifier),
    contacts: z.array(Contact),
    stage: z.string(),
    tier: z.string(),
    /** The employee who first entered it, here or where it was taken over from; null when a system did, for nobody. */
    enteredBy: z.string().nullable(),
    enteredAt: z.string().nullable(),
    /** Those like it who were shown at entry, and the decision; absent where there were none. */
    nearMatches: NearMatchesRecord.optional(),
  }),
  ProfileChanged: z.object({ name: Personal(z.string()).optional(), fields: Fields, template: TemplateReference }),
  CustomerRecategorised: z.object({ from: z.string(), to: z.string(), reason: FreeText, fields: Fields, template: TemplateReference }),
  /** `enteredFor`: the absorbed customer it was said of, which it goes back with. */
  ContactAdded: Contact.extend({ template: TemplateReference, enteredFor: z.string().optional() }),
  ContactChanged: z.object({ contactId: z.string(), name: Personal(z.string()).optional(), fields: Fields, template: TemplateReference }),
  ContactRemoved: z.object({ contactId: z.string(), reason: FreeText.nullable() }),
  IdentifierAdded: HeldIdentifier.extend({ enteredFor: z.string().optional() }),
  IdentifierReleased: z.object({ kind: IdentifierKind, identity: z.string(), reason: FreeText.nullable() }),
  /** A fence: whatever this customer had reserved until here is void. Written by a rival, or by an attempt that gives up. */
  EntryAbandoned: z.object({ by: z.string() }),
  OwnershipClaimed: z.object({ ownerId: z.string(), basis: z.enum(['first-entry', 'claim']), reason: FreeText.nullable() }),
  /** `reportId`: of a dispute, the report it was decided by. `handoverId`: as one of the customers of that handover. */
  OwnershipAssigned: z.object({ ownerId: z.string(), basis: z.enum(['assignment', 'dispute']), reason: FreeText.nullable(), reportId: z.string().optional() }),
  OwnershipTransferred: z.object({ from: z.string(), ownerId: z.string(), basis: z.enum(['transfer', 'dispute', 'departure']), reason: FreeText.nullable(), reportId: z.string().optional(), handoverId: z.string().optional() }),
  OwnershipReleased: z.object({
    from: z.string(), basis: z.enum(['voluntary-release', 'protection-lapsed', 'transfer', 'departure']), reason: FreeText.nullable(), handoverId: z.string().optional(),
    /** For a protection that lapsed: when the period began, the last follow-up known, and how long it lasted. */
    lapse: z.object({ protectedSince: z.string(), followedUpAt: z.string().nullable(), days: z.number() }).optional(),
  }),
  /** An earlier change of owner was entered wrongly: this one stands in its place. Both stay on record. `corrects` is the id of its event. */
  OwnershipCorrected: z.object({ corrects: z.string(), correctsRevision: z.number().int(), from: z.string().nullable(), ownerId: z.string().nullable(), basis: z.literal('correction'), reason: FreeText }),
  /** `until`: when it ends by itself. */
  CustomerShared: z.object({ with: SharedWith, access: z.enum(['read', 'work']), reason: FreeText.nullable(), until: z.string().optional() }),
  ShareRevoked: z.object({ with: SharedWith, reason: FreeText.nullable(), cause: z.enum(['ended']).optional() }),
  /** The owner is told when the period that began then lapses, unless something happens. */
  ProtectionLapseWarned: z.object({ ownerId: z.string(), protectedSince: z.string(), lapsesAt: z.string() }),
  ProtectionRenewed: z.object({ ownerId: z.string(), reason: FreeText }),
  ProtectionLocked: z.object({ until: z.string().nullable(), reason: FreeText }),
  ProtectionUnlocked: z.object({ reason: FreeText }),
  StageChanged: z.object({ from: z.string(), to: z.string(), move: z.string(), cause: z.enum(['command', 'purchase']), reason: FreeText.nullable(), purchaseId: z.string().optional() }),
  TierUpgraded: z.object({ from: z.string(), to: z.string(), basis: z.string(), evidence: Personal(z.json()) }),
  /** A fact speaks for a higher tier; a person decides. */
  TierUpgradeProposed: z.object({ from: z.string(), to: z.string(), basis: z.string(), evidence: Personal(z.json()) }),
  TierDowngraded: z.object({ from: z.string(), to: z.string(), basis: z.string(), evidence: Personal(z.json()) }),
  /** On the survivor: it is about to absorb another, and cannot be absorbed itself until that is decided. */
  MergeStarted: z.object({
    mergeId: z.string(), absorbedId: z.string(), survivorBy: z.enum(['earliest-entry', 'choice']), take: Take,
    /** The earliest entry among all that become one: whose owner is the rightful one. */
    earliest: z.object({ customerId: z.string(), enteredAt: z.string() }),
    reason: FreeText,
  }),
  /** On the absorbed: what decides a merge, one way or the other. */
  CustomerAbsorbed: z.object({ mergeId: z.string(), into: z.string() }),
  MergeDeclined: z.object({ mergeId: z.string(), into: z.string(), because: z.enum(['absorbed-elsewhere', 'merging-itself']) }),
  /** On the survivor: how the merge it started was decided. */
  CustomerMerged: z.object({ mergeId: z.string(), absorbedId: z.string() }),
  MergeAbandoned: z.object({ mergeId: z.string(), absorbedId: z.string() }),
  /** With a merge the owner of the earliest entry holds the survivor; with its reversal whoever held it before. `earliest` is the evidence. */
  OwnershipSettled: z.object({ from: z.string().nullable(), ownerId: z.string().nullable(), basis: z.enum(['merge', 'merge-reversal']), mergeId: z.string(), earliest: z.string() }),
  /** On the absorbed: it is a customer of its own again, of the owner it had. `beside`: what goes with it of what is recorded for the survivor, and what stays there of its own. */
  MergeReversed: z.object({
    mergeId: z.string(), from: z.string(), ownerId: z.string().nullable(), give: z.object({ contacts: z.array(z.string()), identities: z.array(z.string()) }),
    beside: z.object({ give: Beside, keep: Beside }).optional(), reason: FreeText,
  }),
  /** On the survivor, after that; what is given leaves it by events of its own. */
  MergeUndone: z.object({ mergeId: z.string(), absorbedId: z.string() }),
}
export type CustomerEvent = EventOf<typeof events>

/** Fences are the protocol's own: no reader sees them, and If-Match does not count them. */
export const isFence = (event: { type: string }): boolean => event.type === 'EntryAbandoned'

/** The identities these events make a customer hold, and those they let go. */
export const identitiesGained = (decided: readonly CustomerEvent[]): string[] =>
  decided.flatMap((event) => {
    if (event.type === 'CustomerCreated') return event.data.identifiers.map((one) => one.identity)
    return event.type === 'IdentifierAdded' ? [event.data.identity] : []
  })
export const identitiesReleased = (decided: readonly CustomerEvent[]): string[] =>
  decided.flatMap((event) => (event.type === 'IdentifierReleased' ? [event.data.identity] : []))
