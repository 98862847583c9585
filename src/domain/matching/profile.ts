import type { Field, StoredFieldValue } from '../category/template.ts'
import type { IdentifierKind } from '../customer/identifier.ts'
import type { MatchAs } from './match-as.ts'

/** What is known of a customer that may tell who it is. A contact is somebody else, and is not part of it. */
export type MatchProfile = {
  kind: 'individual' | 'organisation'
  /** The whole name, where the fields do not tell its parts. */
  name: string | null
  fields: readonly { matchAs: MatchAs; value: string }[]
  identifiers: readonly { kind: IdentifierKind; value: string }[]
}

const byType: Partial<Record<Field['type'], MatchAs>> = { phone: 'phone', email: 'email' }

/** What a field means to the matcher; undefined for one that tells nothing of who a customer is. */
export const meaningOf = ({ type, matchAs = byType[type] }: Pick<Field, 'type' | 'matchAs'>): MatchAs | undefined => matchAs

/** The profile of a customer, by what its template says of its fields. Values the template has no field for count for nothing. */
export const matchProfile = (customer: {
  kind: MatchProfile['kind']
  name: string | undefined
  fields: readonly Pick<Field, 'key' | 'type' | 'matchAs'>[]
  values: Readonly<Record<string, StoredFieldValue>>
  identifiers: readonly { kind: IdentifierKind; value: string | undefined }[]
}): MatchProfile => {
  const meant = customer.fields.flatMap((field) => {
    const matchAs = meaningOf(field)
    return matchAs ? [{ key: field.key, matchAs }] : []
  })
  const values = new Map(Object.entries(customer.values))
  // Where fields tell the parts of the name, the name is only put together from them, and for some it is a filler.
  const inParts = meant.some(({ matchAs }) => matchAs === 'given-name' || matchAs === 'surname' || matchAs === 'full-name')
  return {
    kind: customer.kind,
    name: inParts ? null : (customer.name ?? null),
    fields: meant.flatMap(({ key, matchAs }) => {
      const value = values.get(key)
      return typeof value === 'string' && value !== '' ? [{ matchAs, value }] : typeof value === 'number' ? [{ matchAs, value: String(value) }] : []
    }),
    identifiers: customer.identifiers.flatMap(({ kind, value }) => (value === undefined ? [] : [{ kind, value }])),
  }
}
