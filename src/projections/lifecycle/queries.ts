import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { PolicyValues } from '../../domain/policy/kinds.ts'
import { kaplanMeier, quantile } from './kaplan-meier.ts'

export type Transition = { customerId: string; axis: 'stage' | 'tier'; from: string | null; to: string; at: string; kind: string; basis: string | null; actor: string; policyVersion: number | null; revision: number }

type Row = { customer_id: string; axis: 'stage' | 'tier'; from_name: string | null; to_name: string; at: Date; kind: string; basis: string | null; actor: string; policy_version: number | null; revision: number }

/** Every move of these customers between stages and tiers, in the order of the log. */
export const customerTransitions = async (db: Kysely<unknown>, schema: string, customerIds: readonly string[]): Promise<Transition[]> => {
  const { rows } = await sql<Row>`
    select customer_id, 'stage' as axis, from_stage as from_name, to_stage as to_name, at, move as kind, null as basis, actor, policy_version, revision, ordinal
    from ${sql.table(`${schema}.stage_transition`)} where customer_id = any(${[...customerIds]}::text[])
    union all
    select customer_id, 'tier', from_tier, to_tier, at, direction, basis, actor, policy_version, revision, ordinal
    from ${sql.table(`${schema}.tier_transition`)} where customer_id = any(${[...customerIds]}::text[])
    order by ordinal, axis`.execute(db)
  return rows.map((row) => ({ customerId: row.customer_id, axis: row.axis, from: row.from_name, to: row.to_name, at: row.at.toISOString(), kind: row.kind, basis: row.basis, actor: row.actor, policyVersion: row.policy_version, revision: row.revision }))
}

/** How many customers stand at each stage and tier now, by category. */
export const standing = async (db: Kysely<unknown>, schema: string): Promise<{ category: string; stage: string; tier: string; customers: number }[]> => {
  const { rows } = await sql<{ category: string; stage: string; tier: string; customers: string }>`
    select category, stage, tier, count(*) as customers from ${sql.table(`${schema}.customer`)} where not absorbed group by 1, 2, 3 order by 1, 2, 3`.execute(db)
  return rows.map((row) => ({ ...row, customers: Number(row.customers) }))
}

/** Instants from `from` on and before `to`; null: from the beginning, up to all that is known. */
export type Period = { from: string | null; to: string | null }
/** Whose stays count: those of customers who were of these categories then, for whom these employees are responsible now. Undefined: all. */
export type Population = { categories?: readonly string[] | undefined; employees?: readonly string[] | undefined }
type Axis = 'stage' | 'tier'

const table = (schema: string, name: string) => sql.table(`${schema}.${name}`)

/** Stays `s` of the axis and population. */
const stays = (schema: string, axis: Axis, { categories, employees }: Population): RawBuilder<unknown> => sql`
  ${table(schema, 'stay')} s
  where s.axis = ${axis}
    and s.customer_id not in (select customer_id from ${table(schema, 'customer')} where absorbed)
    and ${categories === undefined ? sql`true` : sql`s.category = any(${[...categories]}::text[])`}
    and ${employees === undefined ? sql`true` : sql`exists (select from ${table(schema, 'customer')} c where c.customer_id = s.customer_id and c.responsible_id = any(${[...employees]}::text[]))`}`

const before = (column: string, instant: string | null) => sql<boolean>`${sql.ref(column)} < coalesce(${instant}::timestamptz, 'infinity')`
const enteredIn = ({ from, to }: Period) => sql`s.entered_at >= coalesce(${from}::timestamptz, '-infinity') and ${before('s.entered_at', to)}`
/** Ended before the period did: a stay that ends later, or not yet, was still there at its end. */
const ended = ({ to }: Period) => sql<boolean>`s.left_at is not null and ${before('s.left_at', to)}`

/**
 * The stages where a customer is lost, whatever a policy calls them: entered by a setback, and left only by being won
 * back, or never. By the default policy that is `lost`, and not `dormant`, from which a customer may fall further.
 */
export const lostStages = ({ stages, moves }: PolicyValues['stages']): string[] =>
  stages.map((stage) => stage.name).filter((name) => moves.some((move) => move.to === name && move.kind === 'setback') && moves.every((move) => move.from !== name || move.kind === 'won-back'))

export type FunnelRow = {
  stage: string; entered: number; customers: number; movedOn: number; lost: number; backward: number; stillThere: number
  conversion: number | null; standing: number; next: { to: string; move: string; entries: number }[]
}

/**
 * What became, by the end of a period, of each entry into a stage during it. Of the entries, each is one of: moved on
 * (left by progress or by being won back), lost (left by a setback into one of the stages `lost`), backward (left by any
 * other setback, or a correction), or still there. `standing`: all who are at the stage at the end, whenever they entered.
 */
export const funnel = async (db: Kysely<unknown>, schema: string, period: Period, population: Population, lost: readonly string[]): Promise<FunnelRow[]> => {
  const { rows } = await sql<Record<'stage' | 'entered' | 'customers' | 'moved_on' | 'lost' | 'backward' | 'still_there' | 'standing', string>>`
    with entry as (
      select s.name as stage, s.customer_id, ${enteredIn(period)} as entered, case
        when not (${ended(period)}) then 'still there'
        when s.move in ('progress', 'won-back') then 'moved on'
        when s.move = 'setback' and s.next = any(${[...lost]}::text[]) then 'lost'
        else 'backward' end as outcome
      from ${stays(schema, 'stage', population)} and ${before('s.entered_at', period.to)}
    )
    select stage, count(*) filter (where entered) as entered, count(distinct customer_id) filter (where entered) as customers,
      count(*) filter (where entered and outcome = 'moved on') as moved_on, count(*) filter (where entered and outcome = 'lost') as lost,
      count(*) filter (where entered and outcome = 'backward') as backward, count(*) filter (where entered and outcome = 'still there') as still_there,
      count(*) filter (where outcome = 'still there') as standing
    from entry group by stage having bool_or(entered or outcome = 'still there') order by stage`.execute(db)
  const exits = await sql<{ stage: string; to: string; move: string; entries: string }>`
    select s.name as stage, s.next as to, s.move, count(*) as entries
    from ${stays(schema, 'stage', population)} and ${enteredIn(period)} and ${ended(period)} group by 1, 2, 3 order by 1, 2, 3`.execute(db)
  return rows.map((row) => ({
    stage: row.stage, entered: Number(row.entered), customers: Number(row.customers), movedOn: Number(row.moved_on), lost: Number(row.lost), backward: Number(row.backward), stillThere: Number(row.still_there),
    conversion: Number(row.entered) === 0 ? null : Number(row.moved_on) / Number(row.entered), standing: Number(row.standing),
    next: exits.rows.filter((exit) => exit.stage === row.stage).map(({ to, move, entries }) => ({ to, move, entries: Number(entries) })),
  }))
}

export type StageTime = { stage: string; n: number; events: number; censored: number; medianDays: number | null; p75Days: number | null; p90Days: number | null }

const DAY_MS = 86_400_000
const daysOf = (ms: number | null): number | null => (ms === null ? null : ms / DAY_MS)

/**
 * How long customers stay at a stage: quantiles of the Kaplan–Meier curve over the stays that began in the period. A
 * stay that ended before `to`, by whatever move, is an event; one that had not is censored at `to`.
 */
export const timeInStage = async (db: Kysely<unknown>, schema: string, period: Period & { to: string }, population: Population): Promise<StageTime[]> => {
  const { rows } = await sql<{ stage: string; ms: string; events: string; censored: string }>`
    select stage, ms, count(*) filter (where ended) as events, count(*) filter (where not ended) as censored
    from (
      select s.name as stage, ${ended(period)} as ended, round(extract(epoch from least(s.left_at, ${period.to}::timestamptz) - s.entered_at) * 1000) as ms
      from ${stays(schema, 'stage', population)} and ${enteredIn(period)}
    ) stay group by stage, ms order by stage, ms`.execute(db)
  const byStage = Map.groupBy(rows, (row) => row.stage)
  return [...byStage].map(([stage, durations]) => {
    const observed = durations.map((row) => ({ time: Number(row.ms), events: Number(row.events), censored: Number(row.censored) }))
    const curve = kaplanMeier(observed)
    const events = observed.reduce((sum, one) => sum + one.events, 0)
    const censored = observed.reduce((sum, one) => sum + one.censored, 0)
    return { stage, n: events + censored, events, censored, medianDays: daysOf(quantile(curve, 0.5)), p75Days: daysOf(quantile(curve, 0.75)), p90Days: daysOf(quantile(curve, 0.9)) }
  })
}

export type Cell = { from: string | null; to: string; move: string; backward: boolean; customers: number; transitions: number }

const backwardMoves = ['setback', 'correction', 'down']

/** How often customers moved from one stage or tier to another in a period, by the kind of move; `backward`: setbacks, corrections, downgrades. */
export const transitionMatrix = async (db: Kysely<unknown>, schema: string, axis: Axis, period: Period, population: Population = {}): Promise<Cell[]> => {
  const { rows } = await sql<{ came_from: string | null; name: string; came_by: string; customers: string; transitions: string }>`
    select s.came_from, s.name, s.came_by, count(distinct s.customer_id) as customers, count(*) as transitions
    from ${stays(schema, axis, population)} and ${enteredIn(period)} group by 1, 2, 3 order by 1 nulls first, 2, 3`.execute(db)
  return rows.map((row) => ({ from: row.came_from, to: row.name, move: row.came_by, backward: backwardMoves.includes(row.came_by), customers: Number(row.customers), transitions: Number(row.transitions) }))
}

export type TierRow = { tier: string; customers: number; entered: number; upInto: number; downInto: number; upFrom: number; downFrom: number }

/**
 * How many customers have each tier at the end of a period, and by which moves during it: entered with it, up or down
 * into it, up or down from it. What there was at its beginning, plus what came, less what went, is what there is at its end.
 */
export const tierStanding = async (db: Kysely<unknown>, schema: string, period: Period, population: Population): Promise<TierRow[]> => {
  const leftIn = sql`${ended(period)} and s.left_at >= coalesce(${period.from}::timestamptz, '-infinity')`
  const { rows } = await sql<Record<'tier' | 'customers' | 'entered' | 'up_into' | 'down_into' | 'up_from' | 'down_from', string>>`
    select s.name as tier, count(*) filter (where not (${ended(period)})) as customers,
      count(*) filter (where s.came_by = 'entry' and ${enteredIn(period)}) as entered,
      count(*) filter (where s.came_by = 'up' and ${enteredIn(period)}) as up_into, count(*) filter (where s.came_by = 'down' and ${enteredIn(period)}) as down_into,
      count(*) filter (where s.move = 'up' and ${leftIn}) as up_from, count(*) filter (where s.move = 'down' and ${leftIn}) as down_from
    from ${stays(schema, 'tier', population)} and ${before('s.entered_at', period.to)} group by s.name order by s.name`.execute(db)
  return rows.map((row) => ({
    tier: row.tier, customers: Number(row.customers), entered: Number(row.entered),
    upInto: Number(row.up_into), downInto: Number(row.down_into), upFrom: Number(row.up_from), downFrom: Number(row.down_from),
  }))
}
