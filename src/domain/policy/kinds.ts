import { z } from 'zod'
import { Labels, Money } from '../values.ts'

/** A word that names a rung, a stage, a class: in events, URLs and reports. */
const Word = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'a lower-case word, with hyphens')

const unique = (words: readonly string[]) => new Set(words).size === words.length

/** Stages of the lifecycle and the moves between them. */
export const Stages = z
  .strictObject({
    initial: Word,
    stages: z.array(z.strictObject({
      name: Word,
      labels: Labels,
      /** How much a customer at this stage must have told: a field required from a stage is required wherever this is as high. */
      completeness: z.int().min(0).max(100),
    })).min(1).max(50),
    moves: z.array(z.strictObject({
      from: Word,
      to: Word,
      /** won-back: a return from dormant or lost. correction: undoes a wrong entry. */
      kind: z.enum(['progress', 'setback', 'won-back', 'correction']),
      reasonRequired: z.boolean(),
    })).max(500),
  })
  .refine((policy) => unique(policy.stages.map((stage) => stage.name)), { path: ['stages'], message: 'each stage has a name of its own' })
  .refine((policy) => policy.stages.some((stage) => stage.name === policy.initial), { path: ['initial'], message: 'must be one of the stages' })
  .refine((policy) => policy.moves.every((move) => [move.from, move.to].every((name) => policy.stages.some((stage) => stage.name === name))), { path: ['moves'], message: 'moves go between the stages listed' })

/** The ladder of tiers, lowest first, each with its service channel, and what a change may rest on. */
export const Tiers = z
  .strictObject({
    tiers: z.array(z.strictObject({ name: Word, labels: Labels, channel: z.enum(['automated', 'relationship-manager', 'specialist-partner']) })).min(1).max(50),
    bases: z.array(z.strictObject({ name: Word, labels: Labels })).min(1).max(50),
  })
  .refine((policy) => unique(policy.tiers.map((tier) => tier.name)), { path: ['tiers'], message: 'each tier has a name of its own' })
  .refine((policy) => unique(policy.bases.map((basis) => basis.name)), { path: ['bases'], message: 'each basis has a name of its own' })

export const Ownership = z.strictObject({
  /** How long ago a change of ownership entered today may have taken effect. */
  backdatingDays: z.int().min(0).max(36_500),
})

/** What a colleague sees of a customer who may not see it in full, and how often they may ask by a whole identifier. */
export const Visibility = z.strictObject({
  nameCharacters: z.int().min(0).max(10),
  identifierLookupsPerMinute: z.int().min(1).max(10_000),
})

/** Classes of complaint, and for each level who is responsible, how far their authority goes, and the days for each step. */
export const Complaints = z
  .strictObject({
    classes: z.array(z.strictObject({ name: Word, labels: Labels })).min(1).max(200),
    levels: z.array(z.strictObject({
      level: z.int().min(1).max(20),
      role: z.enum(['clerk', 'manager']),
      authorityLimit: Money,
      days: z.strictObject({ accept: z.number().positive(), reply: z.number().positive(), act: z.number().positive(), 'follow-up': z.number().positive(), improve: z.number().positive() }),
    })).min(1).max(20),
  })
  .refine((policy) => unique(policy.classes.map((one) => one.name)), { path: ['classes'], message: 'each class has a name of its own' })
  .refine((policy) => policy.levels.every((level, index) => level.level === index + 1), { path: ['levels'], message: 'levels count 1, 2, 3 …' })

/** Adding a policy kind is one line here and its default in defaults.ts. */
export const policyKinds = { stages: Stages, tiers: Tiers, ownership: Ownership, visibility: Visibility, complaints: Complaints }

export type PolicyKind = keyof typeof policyKinds
export type PolicyValues = { [K in PolicyKind]: z.infer<(typeof policyKinds)[K]> }
export const policyKindNames = ['stages', 'tiers', 'ownership', 'visibility', 'complaints'] as const satisfies readonly PolicyKind[]
