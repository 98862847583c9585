import { reveal } from '../decider.ts'
import type { StoredFields } from '../customer/events.ts'
import { parseAddress } from '../matching/address.ts'

/** The fields that tell where a customer is, as the default templates call the address and as one calls a field of its own. */
const REGION_FIELDS = ['province', 'city', 'region', 'address'] as const

const textOf = (fields: StoredFields, key: string): string => {
  const stored = fields[key]
  const value = typeof stored === 'object' && stored !== null && !Array.isArray(stored) && !('amount' in stored) ? reveal(stored) : stored
  return typeof value === 'string' ? value : ''
}

/**
 * Where fields say a customer is: `province/city`, `province`, or null where they do not say. Undefined: none of
 * the fields that could say is among them.
 */
export const regionOf = (fields: StoredFields): string | null | undefined => {
  if (!REGION_FIELDS.some((key) => Object.hasOwn(fields, key))) return undefined
  for (const text of [textOf(fields, 'province') + textOf(fields, 'city'), textOf(fields, 'region'), textOf(fields, 'address')]) {
    const { province = '', city } = parseAddress(text)
    if (city !== undefined) return `${province}/${city}`
    if (province !== '') return province
  }
  return null
}

/** The region itself, and the wider ones it lies in. */
export const regionsAround = (region: string): string[] => {
  const [province = ''] = region.split('/')
  return province === '' || province === region ? [region] : [region, province]
}
