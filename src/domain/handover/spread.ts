import type { SpreadBy } from './recipients.ts'
import { regionsAround } from './region.ts'

/** Somebody who takes over, and what they hold already: counts by tier, and by region as `regionOf` tells it. */
export type Taker = { employeeId: string; total: number; byTier: ReadonlyMap<string, number>; byRegion: ReadonlyMap<string, number> }
export type Handed = { customerId: string; tier: string; region: string | null }

type Count = { employeeId: string; total: number; byTier: Map<string, number>; byRegion: Map<string, number> }

const add = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)

/** The one for whom `rank` is least, number by number; of equals, the first by id. */
const least = (takers: readonly Count[], rank: (taker: Count) => readonly number[]): Count | undefined => {
  let best: { taker: Count; rank: readonly number[] } | undefined
  for (const taker of takers) {
    const its = rank(taker)
    const differs = best?.rank.findIndex((number, index) => number !== its[index]) ?? -1
    if (!best || (differs < 0 ? taker.employeeId < best.taker.employeeId : (its[differs] ?? 0) < (best.rank[differs] ?? 0))) best = { taker, rank: its }
  }
  return best?.taker
}

/** Who holds most of a customer's region already; where nobody holds any, of the province around it. */
const nearest = (takers: readonly Count[], region: string): Count | undefined => {
  for (const around of regionsAround(region)) {
    const there = takers.filter((taker) => taker.byRegion.has(around))
    if (there.length > 0) return least(there, (taker) => [-(taker.byRegion.get(around) ?? 0), taker.total])
  }
  return undefined
}

/**
 * Who takes which customer, in the order given. `load`: always who holds fewest, so that nobody who got one ends up
 * with more than one above another. `tier`: who holds fewest of that tier, of these who holds fewest. `region`: who
 * holds most of that region, else who holds fewest. The same takers and customers always end the same, whatever the order of
 * the takers. Answers the takers with what they hold then, to go on from.
 */
export const spread = (by: SpreadBy, takers: readonly Taker[], customers: readonly Handed[]): { to: Map<string, string>; takers: Taker[] } => {
  const counts = takers.map((taker): Count => ({ ...taker, byTier: new Map(taker.byTier), byRegion: new Map(taker.byRegion) }))
  const to = new Map<string, string>()
  for (const { customerId, tier, region } of customers) {
    const taker = by === 'tier'
      ? least(counts, (one) => [one.byTier.get(tier) ?? 0, one.total])
      : (by === 'region' && region !== null ? nearest(counts, region) : undefined) ?? least(counts, (one) => [one.total])
    if (!taker) continue
    to.set(customerId, taker.employeeId)
    taker.total += 1
    add(taker.byTier, tier)
    if (region !== null) for (const around of regionsAround(region)) add(taker.byRegion, around)
  }
  return { to, takers: counts }
}
