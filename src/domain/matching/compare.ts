import { agreementOf, comparisonNames, type Agreement } from './agreement.ts'
import { comparisons, placeNames, rivals, type ComparisonName, type Kind, type Level, type Rival, type Veto } from './comparisons.ts'
import { defaultWeights } from './default-weights.ts'
import type { Features } from './features.ts'
import { termOf } from './terms.ts'
import type { KindWeights, Weights } from './weights.ts'

/** One comparison's share of a score; of a rival what the chance of it takes away. */
export type Reason = { comparison: ComparisonName; level: Level; bits: number } | { comparison: 'shared'; level: Rival; bits: number }

/** `score`: log2 of the odds that the two are one customer. A veto stands whatever the score would be: probability 0. */
export type Comparison = { score: number; probability: number; reasons: Reason[]; veto: Veto | null }

/** What a score is where there is no chance. */
export const VETOED = -100

/**
 * How sure it is that two records are one customer, and why. The same whichever comes first, and whatever else is
 * stored. Fellegi and Sunter's sum of log2 m/u, agreement on a rare value counting more; against the best of the other
 * explanations, which are two strangers, or two who share something, as a family does.
 */
export const compare = (one: Features, other: Features, weights: Weights): Comparison => {
  const agreement = agreementOf(one, other)
  if (agreement.veto !== null) return { score: VETOED, probability: 0, reasons: [], veto: agreement.veto }
  const weighed = weigh(agreement, weights)
  return { score: weighed.score, probability: probabilityOf(weighed.score), reasons: reasonsOf(agreement, weighed), veto: null }
}

export const probabilityOf = (bits: number): number => 1 / (1 + 2 ** -bits)
export const bitsOf = (probability: number): number => Math.log2(probability / (1 - probability))

/** Weights in the form that is added up: logarithms, by place. */
type Compiled = {
  prior: number
  strangers: number
  m: number[][]
  u: number[][]
  terms: (ReadonlyMap<string, number> | null)[]
  rest: number[]
  moved: number
  isPlace: boolean[]
  rivals: { name: Rival; rate: number; shares: boolean[]; habits: (readonly (number | undefined)[])[] }[]
}

const compiled = new WeakMap<Weights, Record<Kind, Compiled>>()

/** Compiled once for each set of weights: they are not changed in place. */
export const compile = (weights: Weights): Record<Kind, Compiled> => {
  const known = compiled.get(weights)
  if (known) return known
  const fresh = { individual: compileKind('individual', weights.individual), organisation: compileKind('organisation', weights.organisation) }
  compiled.set(weights, fresh)
  return fresh
}

const compileKind = (kind: Kind, weights: KindWeights): Compiled => {
  const names = comparisonNames[kind]
  const levels = new Map<string, readonly string[]>(Object.entries(comparisons[kind]))
  const stated = names.map((name) => weights.comparisons[name] ?? defaultWeights[kind].comparisons[name])
  const logarithms = (of: 'm' | 'u') => names.map((name, at) => (levels.get(name) ?? []).map((level) => Math.log2(stated[at]?.levels[level]?.[of] ?? 1)))
  const rates = rivalNames(kind).map((name) => weights.rivals[name] ?? defaultWeights[kind].rivals[name] ?? 1e-12)
  return {
    prior: Math.log2(weights.prior),
    strangers: Math.log2(Math.max(1e-12, 1 - rates.reduce((sum, rate) => sum + rate, weights.prior))),
    m: logarithms('m'),
    u: logarithms('u'),
    terms: stated.map((one) => (one && (one.rest !== null || Object.keys(one.terms).length > 0) ? new Map(Object.entries(one.terms).map(([term, share]) => [term, Math.log2(share)])) : null)),
    rest: stated.map((one) => Math.log2(one?.rest ?? one?.levels.same?.u ?? 1)),
    rivals: rivalNames(kind).map((name, at) => ({ name, rate: Math.log2(rates[at] ?? 1e-12), ...behaviourOf(kind, name) })),
    moved: weights.moved,
    isPlace: names.map((name) => placeNames.has(name)),
  }
}

export const rivalNames = (kind: Kind): Rival[] => Object.keys(rivals[kind]).filter((name): name is Rival => name in rivals[kind])

type Behaviour = { shares: readonly ComparisonName[]; habits?: Partial<Record<ComparisonName, Partial<Record<Level, number>>>> }

/** By comparison: whether a rival shares it, and log2 of how often it agrees at a level by habit. */
export const behaviourOf = (kind: Kind, rival: Rival): { shares: boolean[]; habits: (readonly (number | undefined)[])[] } => {
  const behaviour = new Map<string, Behaviour>(Object.entries(rivals[kind])).get(rival)
  return {
    shares: comparisonNames[kind].map((name) => behaviour?.shares.includes(name) ?? false),
    habits: comparisonNames[kind].map((name, at) => {
      const habit = behaviour?.habits?.[name]
      return habit ? (levelLists[kind][at] ?? []).map((level) => (habit[level] === undefined ? undefined : Math.log2(habit[level]))) : []
    }),
  }
}

const levelLists: { readonly [K in Kind]: readonly (readonly Level[])[] } = { individual: Object.values(comparisons.individual), organisation: Object.values(comparisons.organisation) }

export type Weighed = { score: number; bits: number[]; rival: { name: Rival; bits: number } | null }

/** The score of an agreement, and what each comparison adds to it. */
export const weigh = (agreement: Agreement, weights: Weights): Weighed => {
  const { prior, strangers, rivals: others } = compile(weights)[agreement.kind]
  const { one, bits, rivals: gains } = weighParts(agreement, weights)
  const rival = lostTo(others, gains, strangers)
  return { score: prior - strangers + one - (rival?.bits ?? 0), bits, rival: rival && rival.bits > 0.5 ? { name: rival.name, bits: -rival.bits } : null }
}

/** How much better than strangers one customer explains an agreement, comparison by comparison, and how much better each rival does. */
export const weighParts = (agreement: Agreement, weights: Weights): { one: number; bits: number[]; rivals: number[] } => {
  const { m, u, terms, rest, moved, isPlace, rivals: others } = compile(weights)[agreement.kind]
  const names = comparisonNames[agreement.kind]
  const bits: number[] = []
  // Who moves has a new address in every part of it: what is against it there counts no more than a move does.
  const floor = Math.log2(moved)
  let sum = 0
  let against = 0
  const gains = others.map(() => 0)
  const gainsAgainst = others.map(() => 0)
  for (let at = 0; at < agreement.levels.length; at += 1) {
    const level = agreement.levels[at] ?? -1
    let share = 0
    if (level >= 0) {
      const chance = u[at]?.[level] ?? 0
      share = bitsAt(m[at]?.[level] ?? 0, chance, level, terms[at], rest[at], names[at], agreement.terms[at])
      const isAgainst = share < 0 && isPlace[at] === true
      if (isAgainst) against += share
      else sum += share
      for (let rival = 0; rival < others.length; rival += 1) {
        const habit = others[rival]?.habits[at]?.[level]
        if (habit !== undefined) gains[rival] = (gains[rival] ?? 0) + habit - chance
        else if (others[rival]?.shares[at] && isAgainst) gainsAgainst[rival] = (gainsAgainst[rival] ?? 0) + share
        else if (others[rival]?.shares[at]) gains[rival] = (gains[rival] ?? 0) + share
      }
    }
    bits.push(share)
  }
  const counted = Math.max(against, floor)
  if (counted > against) for (let at = 0; at < bits.length; at += 1) if (isPlace[at] && (bits[at] ?? 0) < 0) bits[at] = ((bits[at] ?? 0) * counted) / against
  return { one: sum + counted, bits, rivals: gains.map((gain, at) => gain + Math.max(gainsAgainst[at] ?? 0, floor)) }
}

/** A value that is everywhere proves nothing; that both have it is never held against them. */
const bitsAt = (same: number, chance: number, level: number, known: ReadonlyMap<string, number> | null | undefined, rest: number | undefined, name: ComparisonName | undefined, term: string | undefined): number => {
  if (level > 0) return same - chance
  return Math.max(0, same - (known && term !== undefined ? (known.get(termOf(name, term)) ?? rest ?? chance) : chance))
}

/** How many bits the score loses to the rivals, which is log2 of (strangers + rivals) / strangers, and to which most. */
const lostTo = (others: Compiled['rivals'], gains: readonly number[], strangers: number): { name: Rival; bits: number } | null => {
  let total = 1
  let most = -Infinity
  let best: Rival | undefined
  for (let at = 0; at < others.length; at += 1) {
    const odds = 2 ** Math.min(900, (gains[at] ?? 0) + (others[at]?.rate ?? 0) - strangers)
    total += odds
    if (odds > most) [most, best] = [odds, others[at]?.name]
  }
  return best === undefined ? null : { name: best, bits: Math.log2(total) }
}

const rounded = (bits: number) => Math.round(bits * 100) / 100

/** What moved the score, the most telling first. */
const reasonsOf = ({ kind, levels }: Agreement, { bits, rival }: Weighed): Reason[] => {
  const reasons: Reason[] = rival ? [{ comparison: 'shared', level: rival.name, bits: rounded(rival.bits) }] : []
  const names = comparisonNames[kind]
  for (let at = 0; at < names.length; at += 1) {
    const comparison = names[at]
    const level = levelLists[kind][at]?.[levels[at] ?? -1]
    if (comparison !== undefined && level !== undefined && level !== 'kept') reasons.push({ comparison, level, bits: rounded(bits[at] ?? 0) })
  }
  return reasons.sort((one, other) => Math.abs(other.bits) - Math.abs(one.bits))
}
