import { agreementOf, comparisonNames } from './agreement.ts'
import { behaviourOf, compile, rivalNames, weighParts } from './compare.ts'
import { comparisons, locality, nameNames, placeNames, withTerms, type ComparisonName, type Kind, type Rival } from './comparisons.ts'
import { defaultWeights } from './default-weights.ts'
import { valueOf, type Features } from './features.ts'
import { fitMixture, noRarer, smoothed, type Behaviour, type Pattern } from './mixture.ts'
import { BLOCK_CAP, blocksOf, candidatePairs } from './pairs.ts'
import { sampleOf, seeded } from './sample.ts'
import { termOf } from './terms.ts'
import type { ComparisonWeights, KindWeights, Weights } from './weights.ts'

/** How much is looked at: more makes the figures no better that matter. */
export const SAMPLES = { records: 300_000, randomPairs: 100_000, blockedPairs: 40_000, candidates: 300_000, block: 30, terms: 600, leastTerm: 5 }
/** For how many pairs the weights shipped count, beside those found. */
const BELIEF = 20

/** What pairs are found by, to learn the other comparisons from them. Blocked by these together, and by nothing else. */
const passes: Record<Kind, readonly (readonly ComparisonName[])[]> = {
  individual: [['given', 'surname'], ['birth-date'], ['mobile'], ['phone'], ['email'], ['number'], ['street', 'street-number'], ['given', 'postcode']],
  organisation: [['core'], ['mobile'], ['phone'], ['email'], ['number'], ['street', 'street-number']],
}

/**
 * Weights estimated anew from the records themselves, nobody having said which are one customer: u from random pairs
 * and from how often values occur, m from pairs found by one value for all others, and how many pairs are one
 * customer from how the candidates then come out. Deterministic: the same records give the same weights.
 */
export const estimate = (records: readonly Features[], before: Weights): Weights => ({
  individual: estimateKind('individual', records, before),
  organisation: estimateKind('organisation', records, before),
  thresholds: before.thresholds,
})

/** With fewer records than this of a kind there is nothing to learn from: its weights stay. */
export const LEAST_RECORDS = 200

const estimateKind = (kind: Kind, all: readonly Features[], before: Weights): KindWeights => {
  const random = seeded(1)
  const records = sampleOf(all.filter((features) => features.kind === kind), SAMPLES.records, random)
  if (records.length < LEAST_RECORDS) return before[kind]
  const names = comparisonNames[kind]
  const shipped = compileRates(kind)
  const { u, neighbours } = randomRates(kind, records, shipped.u, random)
  const terms = names.map((name) => (withTerms.has(name) ? termsOf(name, records) : undefined))
  terms.forEach((found, at) => { if (found && u[at]) u[at][0] = found.chance })

  const rivals = rivalNames(kind).map((rival) => behaviourInShares(kind, rival))
  const isPlace = names.map((name) => placeNames.has(name))
  const moves = { moved: BELIEF * defaultWeights[kind].moved, all: BELIEF }
  const counts = shipped.m.map((levels) => levels.map(() => 0))
  const falseShare = new Map<ComparisonName, number>()
  for (const pass of passes[kind]) {
    const patterns = patternsOf(records, pass, random)
    if (patterns.length === 0) continue
    const used = names.map((name) => !pass.includes(name))
    const { shares, counts: found, matched } = fitMixture({ patterns, m: shipped.m, u, used, isPlace, rivals, belief: BELIEF, tied: kind === 'individual' ? [names.indexOf('given'), names.indexOf('surname')] : null })
    // Found by where they are, none has moved.
    if (!pass.some((name) => placeNames.has(name))) {
      moves.moved += (shares[2] ?? 0) * pairsOf(patterns)
      moves.all += matched
    }
    const [only] = pass
    if (pass.length === 1 && only && matched >= BELIEF) falseShare.set(only, Math.max(0.02, 1 - matched / pairsOf(patterns)))
    found.forEach((levels, at) => levels.forEach((count, level) => { const row = counts[at]; if (row) row[level] = (row[level] ?? 0) + count }))
  }
  const m = smoothed(counts, shipped.m, BELIEF)
  const [given, surname] = [names.indexOf('given'), names.indexOf('surname')]
  if (given >= 0) m[given] = noRarer(m[given] ?? [], m[surname]?.at(-1) ?? 0)
  const comparisonWeights = Object.fromEntries(names.map((name, at): [string, ComparisonWeights] => {
    const fixed = defaultWeights[kind].comparisons[name]
    if (name === 'name-order' && fixed) return [name, fixed]
    // Records entered twice bear the same values: what they add to how often a value occurs is no chance agreement.
    const chance = falseShare.get(name) ?? 1
    const found = terms[at]
    const levels = (levelsOf(kind, name)).map((level, place): [string, { m: number; u: number }] => {
      const rate = u[at]?.[place] ?? 1e-6
      return [level, { m: rounded(m[at]?.[place] ?? 1e-6), u: rounded(place === 0 ? rate * chance : rate) }]
    })
    return [name, { levels: Object.fromEntries(levels), terms: Object.fromEntries(found?.common ?? []), rest: found ? rounded(found.rest * chance) : null }]
  }))
  const started: KindWeights = { prior: 1 / records.length, rivals: { ...defaultWeights[kind].rivals, neighbours }, moved: rounded(moves.moved / moves.all), comparisons: comparisonWeights }
  return withRates(kind, records, { ...before, [kind]: started })
}

const pairsOf = (patterns: readonly Pattern[]) => patterns.reduce((sum, { count }) => sum + count, 0)
const behaviourInShares = (kind: Kind, rival: Rival): Behaviour => {
  const { shares, habits } = behaviourOf(kind, rival)
  return { shares, habits: habits.map((levels) => levels.map((bits) => (bits === undefined ? undefined : 2 ** bits))) }
}
const rounded = (share: number): number => Number(Math.min(1, Math.max(1e-12, share)).toPrecision(4))
const levelsOf = (kind: Kind, name: ComparisonName): readonly string[] => new Map<string, readonly string[]>(Object.entries(comparisons[kind])).get(name) ?? []

const compileRates = (kind: Kind) => {
  const { m, u } = compile(defaultWeights)[kind]
  const plain = (logarithms: readonly (readonly number[])[]) => logarithms.map((levels) => levels.map((bits) => 2 ** bits))
  return { m: plain(m), u: plain(u) }
}

/** How often two records agree that have nothing to do with each other. */
const randomRates = (kind: Kind, records: readonly Features[], shipped: readonly (readonly number[])[], random: () => number): { u: number[][]; neighbours: number } => {
  const isLocality = comparisonNames[kind].map((name) => locality.some((one) => one === name))
  let [near, located] = [0, 0]
  const counts = shipped.map((levels) => levels.map(() => 0))
  for (let pair = 0; pair < SAMPLES.randomPairs; pair += 1) {
    const [one, other] = [records[Math.floor(random() * records.length)], records[Math.floor(random() * records.length)]]
    if (!one || !other || one === other) continue
    const { levels } = agreementOf(one, other)
    levels.forEach((level, at) => { const row = counts[at]; if (row && level >= 0) row[level] = (row[level] ?? 0) + 1 })
    const told = levels.filter((level, at) => level >= 0 && isLocality[at])
    if (told.length < 2) continue
    located += 1
    if (told.every((level) => level === 0)) near += 1
  }
  const u = counts.map((levels, at) => {
    const total = levels.reduce((sum, count) => sum + count, 0)
    // What was hardly seen is taken for as likely as it may yet be, but for no likelier than what is shipped says.
    return levels.map((count, level) => (total === 0 || count < FEW ? Math.min(shipped[at]?.[level] ?? 1, total === 0 ? 1 : Math.max(count, 3) / total) : count / total))
  })
  return { u, neighbours: located === 0 ? 1e-9 : rounded(Math.max(0.5, near) / located) }
}
const FEW = 5

type Terms = { common: [string, number][]; rest: number; chance: number }

/** How often values occur: the common ones each, the others on average; and how often two drawn at random are the same. */
const termsOf = (name: ComparisonName, records: readonly Features[]): Terms | undefined => {
  const counts = new Map<string, number>()
  let total = 0
  for (const features of records) {
    for (const value of valueOf(features, name)) {
      counts.set(value, (counts.get(value) ?? 0) + 1)
      total += 1
    }
  }
  if (total < LEAST_RECORDS) return undefined
  const sorted = [...counts].toSorted(([one, some], [other, more]) => more - some || (one < other ? -1 : 1))
  const common = sorted.slice(0, SAMPLES.terms).filter(([, count]) => count >= SAMPLES.leastTerm)
  const others = sorted.slice(common.length)
  const squares = (of: readonly (readonly [string, number])[]) => of.reduce((sum, [, count]) => sum + count * count, 0)
  const left = others.reduce((sum, [, count]) => sum + count, 0)
  return {
    common: common.map(([value, count]): [string, number] => [termOf(name, value), rounded(count / total)]),
    rest: left > 0 ? Math.max(1 / total, squares(others) / left / total) : 1 / total,
    chance: Math.max(1e-9, (squares(sorted) - total) / total / total),
  }
}

/** How the pairs come out that agree in all of these values. */
const patternsOf = (records: readonly Features[], pass: readonly ComparisonName[], random: () => number): Pattern[] => {
  const keyOf = (features: Features): readonly string[] => {
    const values = pass.map((name) => valueOf(features, name))
    if (values.some((one) => one.length === 0)) return []
    return values.length === 1 ? (values[0] ?? []) : [values.map(([first]) => first).join('|')]
  }
  const blocks = [...blocksOf(records, keyOf, SAMPLES.block).values()]
  const pairs = blocks.reduce((sum, block) => sum + (block.length * (block.length - 1)) / 2, 0)
  const share = SAMPLES.blockedPairs / Math.max(1, pairs)
  const patterns = new Map<string, { levels: readonly number[]; count: number }>()
  for (const block of blocks) {
    if (random() >= share) continue
    block.forEach((one, at) => block.slice(at + 1).forEach((other) => {
      const [mine, theirs] = [records[one], records[other]]
      if (!mine || !theirs) return
      const { levels, veto } = agreementOf(mine, theirs)
      if (veto !== null) return
      const pattern = levels.join(',')
      const known = patterns.get(pattern)
      if (known) known.count += 1
      else patterns.set(pattern, { levels, count: 1 })
    }))
  }
  return [...patterns.values()]
}

const ROUNDS = 20

/**
 * How many of all pairs are one customer, and how many two who share something: so that what the candidates come out
 * as agrees with it. What differs in the given name alone tells nothing of how many families there are; such rates
 * are learned where something else is there to tell two apart, and stay as they are shipped where nothing is.
 */
const withRates = (kind: Kind, records: readonly Features[], weights: Weights): KindWeights => {
  const rivals = rivalNames(kind)
  const behaviours = rivals.map((rival) => behaviourOf(kind, rival))
  const isName = comparisonNames[kind].map((name) => nameNames.has(name))
  const step = Math.max(1, Math.round((records.length * 10) / SAMPLES.candidates))
  // For each candidate, how much better than strangers one customer explains it, and each rival; and whether it is a witness.
  const candidates: { odds: Float64Array; witness: readonly boolean[] }[] = []
  for (const [one, other] of candidatePairs(records, (index) => index % step === 0, BLOCK_CAP)) {
    const [mine, theirs] = [records[one], records[other]]
    if (!mine || !theirs) continue
    const agreement = agreementOf(mine, theirs)
    if (agreement.veto !== null) continue
    const { one: same, rivals: gains } = weighParts(agreement, weights)
    const own = behaviours.map(({ shares }) => agreement.levels.some((level, at) => level >= 0 && !shares[at] && !isName[at]))
    candidates.push({ odds: Float64Array.from([same, ...gains], (bits) => 2 ** Math.min(500, bits)), witness: own.map((has, at) => has && rivals[at] !== 'neighbours') })
  }
  const pairs = (records.length * (records.length - 1)) / 2 / step
  const shipped = rivals.map((rival) => weights[kind].rivals[rival] ?? 1e-9)
  const told = rivals.map((_, at) => candidates.some(({ witness }) => witness[at]))
  let rates = [1 / records.length, ...shipped]
  for (let round = 0; round < ROUNDS; round += 1) {
    const found = rates.map(() => 0)
    for (const { odds, witness } of candidates) {
      const parts = rates.map((rate, at) => rate * (odds[at] ?? 0))
      const whole = parts.reduce((all, part) => all + part, Math.max(1e-12, 1 - rates.reduce((all, rate) => all + rate, 0)))
      parts.forEach((part, at) => { if (at === 0 || witness[at - 1]) found[at] = (found[at] ?? 0) + part / whole })
    }
    rates = found.map((count, at) => (at > 0 && !told[at - 1] ? (shipped[at - 1] ?? 1e-12) : Math.max(1e-12, (count + 0.5) / (pairs + 1))))
  }
  const [prior = 1e-9, ...others] = rates
  return { ...weights[kind], prior: rounded(prior), rivals: Object.fromEntries(rivals.map((rival, at) => [rival, rounded(others[at] ?? 1e-12)])) }
}
