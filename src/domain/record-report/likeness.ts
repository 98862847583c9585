import type { Customer } from '../customer/customer.ts'
import { compare } from '../matching/compare.ts'
import { featuresOf, type Features } from '../matching/features.ts'
import { matchProfile } from '../matching/profile.ts'
import { templateOf, type Organisation } from '../organisation/organisation.ts'

const featuresIn = ({ category, name, fields, identifiers }: Customer, organisation: Organisation): Features | undefined => {
  const inForce = templateOf(organisation, category)
  return inForce && featuresOf(matchProfile({ kind: inForce.kind, name, fields: inForce.template.fields, values: fields, identifiers: [...identifiers.values()] }))
}

const rounded = (bits: number): number => Math.round(bits * 100) / 100

/** How alike two customers are by the weights in force, in codes that hold no value of either; null in a category there is not. */
export const likeness = (one: Customer, other: Customer, organisation: Organisation) => {
  const [features, others] = [featuresIn(one, organisation), featuresIn(other, organisation)]
  if (!features || !others) return null
  const { version, value } = organisation.policies.matching
  const { score, reasons } = compare(features, others, value)
  return { score: rounded(score), reasons: reasons.map(({ comparison, level, bits }) => ({ comparison, level, bits: rounded(bits) })), weightsVersion: version }
}
