import { z } from 'zod'

/** An id a caller may choose: part of a stream name and of URLs. Not a place for a name or a number of a person. */
export const Id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'an id is 1 to 64 letters, digits, dots, hyphens or underscores, and starts with a letter or digit').meta({ examples: ['0199f5c2-7a01-7c3e-9a55-0d1f6c2b7e10'] })

/** A purchase's or refund's id is the shop's own. */
export const ShopId = z.string().trim().min(1).max(100).regex(/^[\x21-\x7e]+$/, 'printable ASCII without spaces')

/** The namespace of Kehu's derived ids (docs/storage-format.md). */
export const NAMESPACE = '2f0e6c1d-4f43-5c0b-9f0a-6b2b8d1c7e55'

/** An instant as a caller writes it, with any offset; in UTC with milliseconds afterwards. */
export const InstantInput = z.iso.datetime({ offset: true, error: 'an instant, e.g. 2026-03-03T09:30:00+08:00' }).transform((text, context) => {
  const time = Date.parse(text)
  // The first and last years leave room for any offset within four-digit years.
  if (Number.isNaN(time) || time < -62_104_060_800_000 || time > 253_370_764_800_000) {
    context.addIssue({ code: 'custom', message: 'an instant between the years 2 and 9998' })
    return z.NEVER
  }
  return new Date(time).toISOString()
})

/** An instant as it is stored. */
export const StoredInstant = z.string()

export const Reason = z.string().trim().min(1, 'a reason in words').max(2000)
/** A name of which nothing can be seen is none. */
export const Name = z.string().trim().min(1, 'must not be empty').max(200).regex(/^$|[\p{L}\p{N}\p{P}\p{S}]/u, 'must have a character that can be seen')

/** Integer minor units (fen) and an ISO 4217 code. */
export const Money = z.strictObject({ amount: z.int(), currency: z.string().regex(/^[A-Z]{3}$/, 'an ISO 4217 code such as CNY') })
export type Money = z.infer<typeof Money>

export const Labels = z.strictObject({ en: z.string().min(1).max(200), zh: z.string().min(1).max(200) })

export const sameValue = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => sameValue(item, b[index]))
  const left = Object.entries(a)
  const right = new Map(Object.entries(b))
  return left.length === right.size && left.every(([key, value]) => right.has(key) && sameValue(value, right.get(key)))
}
