import { makeRandom as makeSeeded, type Random as Seeded } from '../../test/torture/random.ts'

/** Numbers that are the same for the same seed, and choices made with them. */
export type Random = Pick<Seeded, 'next' | 'below' | 'chance'> & {
  pick: <T>(from: readonly T[]) => T
  /** One of these, as likely as its weight says. */
  weighted: <T>(from: readonly (readonly [T, number])[]) => T
  digits: (count: number) => string
}

export const makeRandom = (seed: number): Random => {
  const { next, below, chance } = makeSeeded(seed)
  const pick = <T>(from: readonly T[]): T => {
    const found = from[below(from.length)]
    if (found === undefined) throw new Error('nothing to choose from')
    return found
  }
  const weighted = <T>(from: readonly (readonly [T, number])[]): T => {
    let left = next() * from.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [value, weight] of from) {
      left -= weight
      if (left < 0) return value
    }
    return pick(from)[0]
  }
  return { next, below, chance, pick, weighted, digits: (count) => Array.from({ length: count }, () => below(10)).join('') }
}
