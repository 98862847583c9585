import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kaplanMeier, quantile, type Observed } from '../../src/projections/lifecycle/kaplan-meier.ts'

const until = (...times: number[]): Observed[] => times.map((time) => ({ time, events: 1, censored: 0 }))
const censoredAt = (...times: number[]): Observed[] => times.map((time) => ({ time, events: 0, censored: 1 }))
const rounded = (observed: readonly Observed[]) => kaplanMeier(observed).map((step) => [step.time, step.atRisk, step.events, Number(step.survival.toFixed(4))])

describe('the Kaplan–Meier curve', () => {
  it('is that of the example in Kaplan and Meier (1958): eight items, four lost to observation', () => {
    expect(rounded([...until(0.8, 3.1, 5.4, 9.2), ...censoredAt(1, 2.7, 7, 12.1)])).toEqual([[0.8, 8, 1, 0.875], [3.1, 5, 1, 0.7], [5.4, 4, 1, 0.525], [9.2, 2, 1, 0.2625]])
  })

  it('is that of the remission times of Freireich et al. (Blood 21, 1963), as textbooks print it', () => {
    const treated = [...until(6, 6, 6, 7, 10, 13, 16, 22, 23), ...censoredAt(6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)]
    expect(rounded(treated)).toEqual([[6, 21, 3, 0.8571], [7, 17, 1, 0.8067], [10, 15, 1, 0.7529], [13, 12, 1, 0.6902], [16, 11, 1, 0.6275], [22, 7, 1, 0.5378], [23, 6, 1, 0.4482]])
    expect([quantile(kaplanMeier(treated), 0.5), quantile(kaplanMeier(treated), 0.75)]).toEqual([23, null])
    const placebo = until(1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)
    expect([0.5, 0.75, 0.9].map((share) => quantile(kaplanMeier(placebo), share))).toEqual([8, 12, 17])
  })

  it('does not tell what it does not know', () => {
    expect(kaplanMeier([])).toEqual([])
    expect(quantile([], 0.5)).toBeNull()
    expect(quantile(kaplanMeier(censoredAt(1, 2, 3)), 0.5)).toBeNull()
    // Three quarters times two thirds is a half, however it is rounded.
    expect(quantile(kaplanMeier([...until(1, 2), ...censoredAt(3, 4)]), 0.5)).toBe(2)
    expect(quantile(kaplanMeier(until(0, 0, 5)), 0.5)).toBe(0)
  })

  const observations = fc.array(fc.record({ time: fc.nat(12), event: fc.boolean() }), { minLength: 1, maxLength: 30 })
  const counted = (all: readonly { time: number; event: boolean }[]): Observed[] => all.map(({ time, event }) => ({ time, events: event ? 1 : 0, censored: event ? 0 : 1 }))

  it('is the share not yet gone when nothing is censored', () => {
    fc.assert(fc.property(fc.array(fc.nat(12), { minLength: 1, maxLength: 30 }), fc.constantFrom(0.5, 0.75, 0.9), (times, share) => {
      const curve = kaplanMeier(until(...times))
      for (const step of curve) expect(step.survival).toBeCloseTo(times.filter((time) => time > step.time).length / times.length, 10)
      expect(quantile(curve, share)).toBe(times.toSorted((a, b) => a - b)[Math.ceil(share * times.length - 1e-9) - 1])
    }))
  })

  it('is what remains when each one lost to observation hands its mass on to those observed longer (Efron 1967)', () => {
    fc.assert(fc.property(observations, (all) => {
      // At one time events come before losses. The mass of the last, if lost, goes nowhere.
      const queue = all.toSorted((a, b) => a.time - b.time || Number(b.event) - Number(a.event)).map((one) => ({ ...one, mass: 1 / all.length }))
      queue.forEach((one, index) => {
        const later = queue.slice(index + 1)
        if (one.event || later.length === 0) return
        for (const other of later) other.mass += one.mass / later.length
        one.mass = 0
      })
      for (const step of kaplanMeier(counted(all))) {
        const gone = queue.reduce((sum, one) => sum + (one.event && one.time <= step.time ? one.mass : 0), 0)
        expect(step.survival).toBeCloseTo(1 - gone, 9)
      }
    }))
  })

  it('falls from one towards nothing, whatever order the observations come in', () => {
    fc.assert(fc.property(observations, (all) => {
      const curve = kaplanMeier(counted(all))
      const levels = [1, ...curve.map((step) => step.survival)]
      levels.slice(1).forEach((level, index) => expect(level).toBeLessThan(levels[index] ?? 0))
      expect(levels.every((level) => level >= 0)).toBe(true)
      expect(kaplanMeier(counted(all.toReversed()))).toEqual(curve)
    }))
  })
})
