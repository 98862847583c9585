import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readMap, readRecords } from '../../bench/matching/data.ts'
import { figuresOf } from '../../bench/matching/figures.ts'
import { profileOf } from '../../bench/matching/profiles.ts'
import { compare } from '../../src/domain/matching/compare.ts'
import { defaultWeights } from '../../src/domain/matching/default-weights.ts'
import { estimate } from '../../src/domain/matching/estimate.ts'
import { featuresOf } from '../../src/domain/matching/features.ts'
import { candidatePairs } from '../../src/domain/matching/pairs.ts'

it('figures are of pairs, over what the accepted ones connect', () => {
  // a a a b b c: 4 pairs. Accepted: 0-1, 1-2 (connect 0-2), 3-5 (wrong).
  expect(figuresOf(['a', 'a', 'a', 'b', 'b', 'c'], [[0, 1], [1, 2], [3, 5]])).toMatchObject({ found: 4, right: 3, truth: 4, precision: 0.75, recall: 0.75 })
  expect(figuresOf(['a', 'b'], [])).toMatchObject({ precision: 1, recall: 1 })
})

const file = '../shared/data/matching/febrl1.csv'
const there = existsSync(file)
if (!there) console.log(`skipped: the evaluation on febrl1, for there is no ${file}`) // eslint-disable-line no-console

describe.skipIf(!there)('febrl1, weights estimated from it without its truth', () => {
  it('reaches F1 0.995', async () => {
    const records = await readRecords(file, await readMap('bench/matching/febrl.yaml'), 'rec_id')
    const features = records.map((record) => featuresOf(profileOf(record)))
    const weights = estimate(features, defaultWeights)
    const accepted = [...candidatePairs(features)].filter(([one, other]) => {
      const [mine, theirs] = [features[one], features[other]]
      return mine !== undefined && theirs !== undefined && compare(mine, theirs, weights).probability >= weights.thresholds.accept
    })
    expect(figuresOf(records.map(({ entity }) => entity), accepted).f1).toBeGreaterThanOrEqual(0.995)
  })
})
