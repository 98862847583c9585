import { z } from 'zod'

/**
 * What a field of a template means to the matcher. A field without it is compared only where its type says what it
 * is: a phone, an email. `building` is whatever else tells a place: an estate, a house's name, a second line.
 */
export const MatchAs = z.enum([
  'given-name', 'surname', 'full-name', 'alias', 'birth-date', 'phone', 'email', 'official-number',
  'address', 'street-number', 'street', 'building', 'district', 'city', 'province', 'postcode',
])
export type MatchAs = z.infer<typeof MatchAs>
