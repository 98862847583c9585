import type { LiveOrganisation } from './organisation.ts'

/**
 * A position as callers hold it: opaque to them; the place of the log and the position in it. After the log has
 * moved to another place, a token of the earlier one counts as reached: a copy holds everything it had.
 */
export const positionToken = ({ organisation }: { organisation: LiveOrganisation }, position: bigint): string => `${organisation.current().log?.places.at(-1) ?? ''}.${position}`

export type ReadPosition = { kind: 'here'; position: bigint } | { kind: 'reached' } | { kind: 'elsewhere' }

export const readPositionToken = ({ organisation }: { organisation: LiveOrganisation }, token: string): ReadPosition => {
  const [, place, digits] = /^([0-9a-f-]{36})\.(\d{1,19})$/.exec(token) ?? []
  const places = organisation.current().log?.places ?? []
  if (place === undefined || digits === undefined || !places.includes(place)) return { kind: 'elsewhere' }
  const position = BigInt(digits)
  if (position > 9_223_372_036_854_775_807n) return { kind: 'elsewhere' }
  return place === places.at(-1) ? { kind: 'here', position } : { kind: 'reached' }
}
