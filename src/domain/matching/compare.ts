import { agreementOf, comparisonNames, type Agreement } from './agreement.ts'
import { comparisons, rivals, type ComparisonName, type Kind, type Level, type Rival, type Veto } from './comparisons.ts'
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
  rivals: { name: Rival; rate: number; shares: boolean[] }[]
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
    rivals: rivalNames(kind).map((name, at) => ({ name, rate: Math.log2(rates[at] ?? 1e-12), shares: names.map((comparison) => sharedBy(kind, name).includes(comparison)) })),
  }
}

export const rivalNames = (kind: Kind): Rival[] => Object.keys(rivals[kind]).filter((name): name is Rival => name in rivals[kind])
const sharedBy = (kind: Kind, rival: Rival): readonly ComparisonName[] => new Map<string, readonly ComparisonName[]>(Object.entries(rivals[kind])).get(rival) ?? []

export type Weighed = { score: number; bits: number[]; rival: { name: Rival; bits: number } | null }

/** The score of an agreement, and what each comparison adds to it. */
export const weigh = (agreement: Agreement, weights: Weights): Weighed => {
  const { prior, strangers, m, u, terms, rest, rivals: others } = compile(weights)[agreement.kind]
  const names = comparisonNames[agreement.kind]
  const bits: number[] = []
  // Of each rival: how much better than strangers it explains what agrees.
  const gains = others.map(() => 0)
  let sum = prior - strangers
  for (let at = 0; at < bits.length || at < agreement.levels.length; at += 1) {
    const level = agreement.levels[at] ?? -1
    let share = 0
    if (level >= 0) {
      const same = m[at]?.[level] ?? 0
      share = same - (u[at]?.[level] ?? 0)
      const known = terms[at]
      const term = agreement.terms[at]
      // A value that is everywhere proves nothing; that both have it is never held against them.
      if (known && level === 0 && term !== undefined) share = Math.max(0, same - (known.get(termOf(names[at], term)) ?? rest[at] ?? 0))
      for (let rival = 0; rival < others.length; rival += 1) if (others[rival]?.shares[at]) gains[rival] = (gains[rival] ?? 0) + share
    }
    bits.push(share)
    sum += share
  }
  // log2 of (strangers + rivals) / strangers, and which rival it is most.
  let total = 1
  let best = -1
  for (let rival = 0; rival < others.length; rival += 1) {
    const odds = 2 ** Math.min(900, (gains[rival] ?? 0) + (others[rival]?.rate ?? 0) - strangers)
    total += odds
    if (odds > 1 && (best < 0 || odds > 2 ** Math.min(900, (gains[best] ?? 0) + (others[best]?.rate ?? 0) - strangers))) best = rival
  }
  const lost = Math.log2(total)
  const rival = others[best]
  return { score: sum - lost, bits, rival: rival ? { name: rival.name, bits: -lost } : null }
}

const rounded = (bits: number) => Math.round(bits * 100) / 100

const reasonsOf = (agreement: Agreement, { bits, rival }: Weighed): Reason[] => {
  const levels = new Map<string, readonly Level[]>(Object.entries(comparisons[agreement.kind]))
  const reasons = comparisonNames[agreement.kind].flatMap((comparison, at): Reason[] => {
    const level = levels.get(comparison)?.[agreement.levels[at] ?? -1]
    return level === undefined || level === 'kept' ? [] : [{ comparison, level, bits: rounded(bits[at] ?? 0) }]
  })
  return [...reasons, ...(rival ? [{ comparison: 'shared' as const, level: rival.name, bits: rounded(rival.bits) }] : [])]
    .toSorted((one, other) => Math.abs(other.bits) - Math.abs(one.bits))
}
