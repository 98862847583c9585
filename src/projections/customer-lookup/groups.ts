import { z } from 'zod'
import { customer as customerDecider, type FieldValues } from '../../domain/customer/customer.ts'
import type { Group } from '../../domain/customer/group.ts'
import { neverMerged, type Merging } from '../../domain/customer/merge.ts'

// What a customer's stream says of merges, as a row keeps it; null for one that has had none.
const Merge = z.object({ mergeId: z.string(), absorbedId: z.string(), take: z.object({ name: z.string().optional(), fields: z.record(z.string(), z.string()) }) })
export const StoredMerging = z.object({
  absorption: z.object({ mergeId: z.string(), into: z.string() }).nullable(),
  openMerge: Merge.nullable(),
  merges: z.array(Merge),
  choices: z.array(z.object({ field: z.string().nullable(), from: z.string().nullable() })),
}).nullable()
export type StoredMerging = z.infer<typeof StoredMerging>

export const toMerging = (stored: StoredMerging): Merging =>
  stored === null ? neverMerged : { ...neverMerged, ...stored, merges: new Map(stored.merges.map((merge) => [merge.absorbedId, merge])) }

export const fromMerging = ({ absorption, openMerge, merges, choices }: Merging): StoredMerging =>
  absorption === null && openMerge === null && merges.size === 0 ? null : { absorption, openMerge, merges: [...merges.values()], choices: [...choices] }

/** A customer among those that may be of its group. */
export type Placed = { customerId: string; state: Group['state'] }

/** A customer with those among `all` that it has absorbed, in the order it absorbed them. Whether they are its own they say themselves. */
export const groupAmong = (one: Placed, all: ReadonlyMap<string, Placed>): Group => {
  const { openMerge, merges } = one.state
  const merged = [...merges.values(), ...(openMerge ? [openMerge] : [])].flatMap(({ absorbedId, mergeId }) => {
    const member = all.get(absorbedId)
    return member?.state.absorption?.mergeId === mergeId ? [groupAmong(member, all)] : []
  })
  return { ...one, members: merged }
}

/** As much of a customer as tells its name and fields. */
export const stateOf = (row: { name: string | null; fields: FieldValues; personal_fields: FieldValues; merging: StoredMerging }): Group['state'] =>
  ({ ...customerDecider.initialState, ...toMerging(row.merging), status: 'entered', name: row.name ?? undefined, fields: { ...row.fields, ...row.personal_fields } })
