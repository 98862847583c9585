/** How many were observed for exactly this long: until it happened to them, or until one stopped looking (censored). */
export type Observed = { time: number; events: number; censored: number }
/** From `time` to the next step, the estimated share to whom it has not happened; `atRisk`: how many had been observed up to `time`. */
export type Step = { time: number; atRisk: number; events: number; survival: number }

/**
 * The product-limit estimator of a survival curve, in order of time: at each time with d events among n at risk the
 * share left is multiplied by (n − d) / n. What is censored at the time of an event was still at risk then.
 * E. L. Kaplan and P. Meier, Nonparametric Estimation from Incomplete Observations, J. Amer. Statist. Assoc. 53 (1958), 457–481.
 */
export const kaplanMeier = (observed: readonly Observed[]): Step[] => {
  const counts = new Map<number, { events: number; censored: number }>()
  for (const { time, events, censored } of observed) {
    const same = counts.get(time)
    counts.set(time, { events: events + (same?.events ?? 0), censored: censored + (same?.censored ?? 0) })
  }
  const steps: Step[] = []
  let atRisk = observed.reduce((sum, one) => sum + one.events + one.censored, 0)
  let survival = 1
  for (const [time, { events, censored }] of [...counts].sort(([a], [b]) => a - b)) {
    if (events > 0) {
      survival *= (atRisk - events) / atRisk
      steps.push({ time, atRisk, events, survival })
    }
    atRisk -= events + censored
  }
  return steps
}

/** A product of fractions is rounded: 3/4 × 2/3 must count as a half. */
const ROUNDING = 1e-9

/**
 * The time by which it has happened to a share of `share`: the first at which the curve is at or below 1 − share.
 * Null when the curve does not come so low: too much is censored, and the data do not tell.
 */
export const quantile = (curve: readonly Step[], share: number): number | null =>
  curve.find((step) => step.survival <= 1 - share + ROUNDING)?.time ?? null
