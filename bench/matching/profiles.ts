import type { MatchProfile } from '../../src/domain/matching/profile.ts'
import type { EvaluationRecord } from './data.ts'

/** The profile of a record, as the read model has it once the record is entered. */
export const profileOf = ({ kind, name, fields }: EvaluationRecord): MatchProfile => {
  const inParts = fields.some(({ matchAs }) => matchAs === 'given-name' || matchAs === 'surname')
  return { kind, name: inParts ? null : name, fields, identifiers: [] }
}
