import { z } from 'zod'
import { listed, withChange, type OwnershipChanges } from '../domain/customer/ownership-changes.ts'

/** Changes of owner as a row keeps them, in order: from when, by which revision, whose. */
export const StoredChanges = z.array(z.tuple([z.string(), z.number(), z.string().nullable()])).transform((stored) =>
  stored.reduce<OwnershipChanges>((changes, [at, revision, ownerId]) => withChange(changes, { at, revision, ownerId }), null))

export const storedChanges = (changes: OwnershipChanges): string => JSON.stringify(listed(changes).map(({ at, revision, ownerId }) => [at, revision, ownerId]))
