/**
 * Expectation–maximisation over what a pair of records may be: one customer, two strangers, or two who share
 * something. What strangers agree in is known (u); what two who share something agree in follows from u and m; m, and
 * how many pairs are what, are found.
 */
export type Pattern = { levels: readonly number[]; count: number }

/** For each comparison, whether two of this kind share it, and how often they agree at a level by habit. */
export type Behaviour = { shares: readonly boolean[]; habits: readonly (readonly (number | undefined)[])[] }

export type MixtureInput = {
  patterns: readonly Pattern[]
  /** By comparison and level. */
  m: readonly (readonly number[])[]
  u: readonly (readonly number[])[]
  /** Comparisons that take part: those the pairs were not chosen by. */
  used: readonly boolean[]
  /** Comparisons of the address: who moved agrees in them as strangers do. */
  isPlace: readonly boolean[]
  rivals: readonly Behaviour[]
  /** How many pairs the first m count for, beside those found. */
  belief: number
  /**
   * Two comparisons whose values err alike. A family agrees in everything but the given name, so that alone cannot tell
   * whether it differs by error; that surnames differ in err can, since who shares a home has no given name in common.
   */
  tied: readonly [number, number] | null
}

/** `shares`: of the pairs, strangers, one customer, one that moved, then each rival. `counts`: expected pairs of one customer at each level. */
export type Mixture = { shares: number[]; counts: number[][]; matched: number }

const STEPS = 40

export const fitMixture = ({ patterns, m: first, u, used, isPlace, rivals, belief, tied }: MixtureInput): Mixture => {
  const total = patterns.reduce((sum, { count }) => sum + count, 0)
  let m = first.map((levels) => [...levels])
  let shares = [0.3, 0.55, 0.05, ...rivals.map(() => 0.1 / Math.max(1, rivals.length))]
  let counts = first.map((levels) => levels.map(() => 0))
  for (let step = 0; step < STEPS; step += 1) {
    counts = first.map((levels) => levels.map(() => 0))
    const found = shares.map(() => 0)
    for (const { levels, count } of patterns) {
      const likelihoods = [...shares]
      for (let at = 0; at < levels.length; at += 1) {
        const level = levels[at] ?? -1
        if (level < 0 || !used[at]) continue
        const [same, chance] = [m[at]?.[level] ?? 1, u[at]?.[level] ?? 1]
        likelihoods[0] = (likelihoods[0] ?? 0) * chance
        likelihoods[1] = (likelihoods[1] ?? 0) * same
        likelihoods[2] = (likelihoods[2] ?? 0) * (isPlace[at] ? chance : same)
        for (let rival = 0; rival < rivals.length; rival += 1) likelihoods[rival + 3] = (likelihoods[rival + 3] ?? 0) * (rivals[rival]?.habits[at]?.[level] ?? (rivals[rival]?.shares[at] ? same : chance))
      }
      const sum = likelihoods.reduce((all, one) => all + one, 0)
      if (sum <= 0) continue
      likelihoods.forEach((likelihood, index) => { found[index] = (found[index] ?? 0) + (count * likelihood) / sum })
      const stayed = (count * (likelihoods[1] ?? 0)) / sum
      const moved = (count * (likelihoods[2] ?? 0)) / sum
      for (let at = 0; at < levels.length; at += 1) {
        const level = levels[at] ?? -1
        const row = counts[at]
        if (level >= 0 && used[at] && row) row[level] = (row[level] ?? 0) + stayed + (isPlace[at] ? 0 : moved)
      }
    }
    shares = found.map((share) => Math.max(1e-9, share / Math.max(1, total)))
    m = smoothed(counts, first, belief)
    if (tied && used[tied[0]] && used[tied[1]]) m[tied[0]] = noRarer(m[tied[0]] ?? [], m[tied[1]]?.at(-1) ?? 0)
  }
  return { shares, counts, matched: ((shares[1] ?? 0) + (shares[2] ?? 0)) * total }
}

/** The same shares, but for the last, which is no smaller than given. */
export const noRarer = (shares: readonly number[], least: number): number[] => {
  const last = shares.at(-1) ?? 0
  return last >= least ? [...shares] : shares.map((share, at) => (at === shares.length - 1 ? least : (share * (1 - least)) / (1 - last)))
}

/** Shares of the levels, as counted and as believed before. */
export const smoothed = (counts: readonly (readonly number[])[], before: readonly (readonly number[])[], belief: number): number[][] =>
  counts.map((levels, at) => {
    const total = levels.reduce((sum, count) => sum + count, 0)
    const prior = before[at] ?? []
    const whole = prior.reduce((sum, share) => sum + share, 0)
    return levels.map((count, level) => (count + belief * ((prior[level] ?? 0) / (whole || 1))) / (total + belief))
  })
