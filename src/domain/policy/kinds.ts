import { z } from 'zod'
import { Matching, MatchingShape } from '../matching/weights.ts'
import { Labels, Money } from '../values.ts'

/** A word that names a rung, a stage, a class: in events, URLs and reports. */
const Word = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'a lower-case word, with hyphens')

const unique = (words: readonly string[]) => new Set(words).size === words.length

/** Stages of the lifecycle and the moves between them. */
const StagesShape = z.strictObject({
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
  /** What a purchase does by itself, whether or not the record is complete; null: nothing. */
  onPurchase: z.strictObject({ from: z.array(Word).max(50), to: Word }).nullable().default(null),
})
export const Stages = StagesShape
  .refine((policy) => unique(policy.stages.map((stage) => stage.name)), { path: ['stages'], message: 'each stage has a name of its own' })
  .refine((policy) => policy.stages.some((stage) => stage.name === policy.initial), { path: ['initial'], message: 'must be one of the stages' })
  .refine((policy) => policy.onPurchase === null || [policy.onPurchase.to, ...policy.onPurchase.from].every((name) => policy.stages.some((stage) => stage.name === name)), { path: ['onPurchase'], message: 'names stages listed' })
  .refine((policy) => policy.moves.every((move) => [move.from, move.to].every((name) => policy.stages.some((stage) => stage.name === name))), { path: ['moves'], message: 'moves go between the stages listed' })

/** The ladder of tiers, lowest first, each with its service channel, and what a change may rest on. */
const TiersShape = z.strictObject({
  tiers: z.array(z.strictObject({ name: Word, labels: Labels, channel: z.enum(['automated', 'relationship-manager', 'specialist-partner']) })).min(1).max(50),
  bases: z.array(z.strictObject({ name: Word, labels: Labels })).min(1).max(50),
  /** Net spend from which a tier is granted, or proposed to a person, by itself. */
  onSpend: z.array(z.strictObject({ tier: Word, threshold: Money, mode: z.enum(['grant', 'propose']) })).max(50).default([]),
})
export const Tiers = TiersShape
  .refine((policy) => unique(policy.tiers.map((tier) => tier.name)), { path: ['tiers'], message: 'each tier has a name of its own' })
  .refine((policy) => unique(policy.bases.map((basis) => basis.name)), { path: ['bases'], message: 'each basis has a name of its own' })
  .refine((policy) => policy.onSpend.every((rule) => policy.tiers.some((tier) => tier.name === rule.tier)), { path: ['onSpend'], message: 'names tiers listed' })

/** Days may be parts of one: 0.5 is twelve hours. */
const Days = z.number().positive().max(36_500)
const Count = z.int().min(0).max(10_000_000)

const ProtectionShape = z.strictObject({
  /** How long a customer stays its owner's without recorded follow-up; null: without end. */
  days: Days.nullable(),
  /** Instead of `days`, for a category (and those below it, unless they are listed) or a tier; of both the longer, null being the longest. */
  byCategory: z.record(z.string().max(64), Days.nullable()).default({}),
  byTier: z.record(Word, Days.nullable()).default({}),
  /** So long before it lapses the owner is warned; null: never. */
  warnDays: Days.nullable().default(null),
  /** What keeps a customer from lapsing for as long as it is so. */
  exempt: z.strictObject({ openComplaint: z.boolean(), recentPurchaseDays: Days.nullable() }).default({ openComplaint: true, recentPurchaseDays: null }),
})

const PoolShape = z.strictObject({
  /** So long who held a customer last cannot claim it again. */
  coolOffDays: Days.nullable().default(null),
  /** Customers one employee may claim on one day of the organisation's calendar. */
  dailyQuota: Count.nullable().default(null),
  /** Customers one employee may hold, all together and of a tier, when gaining one more by claim, assignment or transfer. */
  capacity: z.strictObject({ total: Count.nullable(), byTier: z.record(Word, Count).default({}) }).nullable().default(null),
  /** Customers at these stages do not count towards the capacity. */
  uncountedStages: z.array(Word).max(50).default([]),
})

/** Who takes over: a colleague, the colleagues of a department and those below it, or nobody. */
export const HandoverRule = z.discriminatedUnion('to', [
  z.strictObject({ to: z.literal('successor'), employeeId: z.string().max(64) }),
  z.strictObject({ to: z.literal('department'), departmentId: z.string().max(64), by: z.enum(['load', 'tier', 'region']) }),
  z.strictObject({ to: z.literal('pool') }),
])

export const Ownership = z.strictObject({
  /** How long ago a change of ownership entered today may have taken effect. */
  backdatingDays: z.int().min(0).max(36_500),
  /** Null: nothing ever lapses. */
  protection: ProtectionShape.nullable().default(null),
  pool: PoolShape.default({ coolOffDays: null, dailyQuota: null, capacity: null, uncountedStages: [] }),
  /** What becomes of the customers of an employee who departs, where the departure does not say. */
  handover: HandoverRule.default({ to: 'pool' }),
})

/** What a colleague sees of a customer who may not see it in full, and how often they may ask by a whole identifier. */
export const Visibility = z.strictObject({
  nameCharacters: z.int().min(0).max(10),
  identifierLookupsPerMinute: z.int().min(1).max(10_000),
})

/** Days from lodging to when a step should be done, and to when it must be. */
const StepTimes = z.strictObject({ targetDays: z.number().positive().max(3650), deadlineDays: z.number().positive().max(3650) })
  .refine((times) => times.targetDays <= times.deadlineDays, { path: ['targetDays'], message: 'must not be after the deadline' })

/**
 * Classes and severities of complaint; for each level who is responsible, how far their authority goes, who handles
 * what is escalated to it, and the time for each step.
 */
const ComplaintsShape = z.strictObject({
  classes: z.array(z.strictObject({ name: Word, labels: Labels })).min(1).max(200),
  severities: z.array(z.strictObject({ name: Word, labels: Labels, startsAtLevel: z.int().min(1).max(20) })).min(1).max(20),
  levels: z.array(z.strictObject({
    level: z.int().min(1).max(20),
    role: z.enum(['clerk', 'manager']),
    /** Who takes over what is escalated to this level; null: whoever of its role takes it up. */
    handlerId: z.string().nullable(),
    /** Up to this sum a handler of this level may settle alone, unless a limit of their own is set. */
    authorityLimit: Money,
    steps: z.strictObject({ reply: StepTimes, act: StepTimes, 'follow-up': StepTimes, improve: StepTimes }),
  })).min(1).max(20),
})
export const Complaints = ComplaintsShape
  .refine((policy) => unique(policy.classes.map((one) => one.name)), { path: ['classes'], message: 'each class has a name of its own' })
  .refine((policy) => unique(policy.severities.map((one) => one.name)), { path: ['severities'], message: 'each severity has a name of its own' })
  .refine((policy) => policy.levels.every((level, index) => level.level === index + 1), { path: ['levels'], message: 'levels count 1, 2, 3 …' })
  .refine((policy) => policy.severities.every((severity) => severity.startsAtLevel <= policy.levels.length), { path: ['severities'], message: 'start at a level there is' })

/** What a near match above a threshold means for somebody about to be entered. */
const NearMatchRule = z.strictObject({
  /** off: nobody looks. warn: entered, and the caller is told. block: refused until the caller has acknowledged each of them. */
  nearMatch: z.enum(['off', 'warn', 'block']),
  /** From which probability on that the two are one. */
  threshold: z.number().min(0).max(1),
})

/** Near matches at entry: the rule for every category, and others for some; those hold for the categories below as well. */
export const Duplicates = z.strictObject({
  default: NearMatchRule,
  categories: z.record(z.string().max(64), NearMatchRule).default({}),
})

/** What an upheld report costs who is answerable, by fault (null: nothing), and how long it may wait for its judgement. */
const Penalty = Money.refine(({ amount }) => amount > 0, { path: ['amount'], message: 'must be more than nothing; null is no penalty' }).nullable()
export const Penalties = z.strictObject({
  amounts: z.strictObject({ duplicate: Penalty, wrongCategory: Penalty, incomplete: Penalty }),
  deadlineDays: Days,
})

/** Adding a policy kind is one line here and its default in defaults.ts. */
export const policyKinds = { stages: Stages, tiers: Tiers, ownership: Ownership, visibility: Visibility, complaints: Complaints, matching: Matching, duplicates: Duplicates, penalties: Penalties }

/** A value without the keys that a schema does not know: a later version of Kehu put them in. */
const withoutUnknown = (schema: z.ZodType, value: unknown): unknown =>
  (schema.safeParse(value).error?.issues ?? []).reduce((rest, issue) => (issue.code === 'unrecognized_keys' ? without(rest, issue.path, issue.keys) : rest), value)

const without = (value: unknown, [step, ...path]: readonly PropertyKey[], keys: readonly string[]): unknown => {
  if (Array.isArray(value)) return value.map((item: unknown, index) => (index === step ? without(item, path, keys) : item))
  if (typeof value !== 'object' || value === null) return value
  if (step === undefined) return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)))
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === step ? without(inner, path, keys) : inner]))
}

const stored = <Schema extends z.ZodType>(schema: Schema) => z.preprocess((value) => withoutUnknown(schema, value), schema)

/**
 * Policies as events keep them: their shape alone, so that a rule made stricter later leaves old events readable, and
 * what a later version added is passed over by a process that is still of this one.
 */
export const storedPolicies = {
  stages: stored(StagesShape), tiers: stored(TiersShape), ownership: stored(Ownership), visibility: stored(Visibility), complaints: stored(ComplaintsShape), matching: stored(MatchingShape), duplicates: stored(Duplicates), penalties: stored(Penalties),
}

export type PolicyKind = keyof typeof policyKinds
export type PolicyValues = { [K in PolicyKind]: z.infer<(typeof policyKinds)[K]> }
export const policyKindNames = ['stages', 'tiers', 'ownership', 'visibility', 'complaints', 'matching', 'duplicates', 'penalties'] as const satisfies readonly PolicyKind[]
