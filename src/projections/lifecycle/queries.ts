import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { PolicyValues } from '../../domain/policy/kinds.ts'
import { kaplanMeier, quantile } from './kaplan-meier.ts'

export type Transition = { axis: 'stage' | 'tier'; from: string | null; to: string; at: string; kind: string; basis: string | null; actor: string; policyVersion: number | null; revision: number }

type Row = { axis: 'stage' | 'tier'; from_name: string | null; to_name: string; at: Date; kind: string; basis: string | null; actor: string; policy_version: number | null; revision: number }

/** Every move of one customer between stages and tiers, in the order of the log. */
export const customerTransitions = async (db: Kysely<unknown>, schema: string, customerId: string): Promise<Transition[]> => {
  const { rows } = await sql<Row>`
    select 'stage' as axis, from_stage as from_name, to_stage as to_name, at, move as kind, null as basis, actor, policy_version, revision
    from ${sql.table(`${schema}.stage_transition`)} where customer_id = ${customerId}
    union all
    select 'tier', from_tier, to_tier, at, direction, basis, actor, policy_version, revision
    from ${sql.table(`${schema}.tier_transition`)} where customer_id = ${customerId}
    order by revision, axis`.execute(db)
  return rows.map((row) => ({ axis: row.axis, from: row.from_name, to: row.to_name, at: row.at.toISOString(), kind: row.kind, basis: row.basis, actor: row.actor, policyVersion: row.policy_version, revision: row.revision }))
}

/** How many customers stand at each stage and tier now, by category. */
export const standing = async (db: Kysely<unknown>, schema: string): Promise<{ category: string; stage: string; tier: string; customers: number }[]> => {
  const { rows } = await sql<{ category: string; stage: string; tier: string; customers: string }>`
    select category, stage, tier, count(*) as customers from ${sql.table(`${schema}.customer`)} group by 1, 2, 3 order by 1, 2, 3`.execute(db)
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
    and ${categories === undefined ? sql`true` : sql`s.category = any(${[...categories]}::text[])`}
    and ${employees === undefined ? sql`true` : sql`exists (select from ${table(schema, 'customer')} c where c.customer_id = s.customer_id and c.responsible_id = any(${[...employees]}::text[]))`}`

const before = (column: string, instant: string | null) => sql<boolean>`${sql.ref(column)} < coalesce(${instant}::timestamptz, 'infinity')`
const enteredIn = ({ from, to }: Period) => sql`s.entered_at >= coalesce(${from}::timestamptz, '-infinity') and ${before('s.entered_at', to)}`
/** Ended before the period did: a stay that ends later, or not yet, was still there at its end. */
const ended = ({ to }: Period) => sql<boolean>`s.left_at is not null and ${before('s.left_at', to)}`

/** How many customers are at each stage or tier just before `to`. */
const standingBefore = async (db: Kysely<unknown>, schema: string, axis: Axis, population: Population, to: string | null): Promise<Map<string, number>> => {
  const { rows } = await sql<{ name: string; customers: string }>`
    select s.name, count(*) as customers from ${stays(schema, axis, population)} and ${before('s.entered_at', to)} and not (${ended({ from: null, to })}) group by s.name`.execute(db)
  return new Map(rows.map((row) => [row.name, Number(row.customers)]))
}

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
 * (left by progress or by being won back), lost (left by a setback into one of `lostStages`), backward (left by any
 * other setback, or a correction), or still there. `standing`: all who are at the stage at the end, whenever they entered.
 */
export const funnel = async (db: Kysely<unknown>, schema: string, period: Period, population: Population, lostStages: readonly string[]): Promise<FunnelRow[]> => {
  const { rows } = await sql<{ stage: string; entered: string; customers: string; moved_on: string; lost: string; backward: string; still_there: string }>`
    with entry as (
      select s.name as stage, s.customer_id, case
        when not (${ended(period)}) then 'still there'
        when s.move in ('progress', 'won-back') then 'moved on'
        when s.move = 'setback' and s.next = any(${[...lostStages]}::text[]) then 'lost'
        else 'backward' end as outcome
      from ${stays(schema, 'stage', population)} and ${enteredIn(period)}
    )
    select stage, count(*) as entered, count(distinct customer_id) as customers, count(*) filter (where outcome = 'moved on') as moved_on, count(*) filter (where outcome = 'lost') as lost,
      count(*) filter (where outcome = 'backward') as backward, count(*) filter (where outcome = 'still there') as still_there
    from entry group by stage`.execute(db)
  const exits = await sql<{ stage: string; to: string; move: string; entries: string }>`
    select s.name as stage, s.next as to, s.move, count(*) as entries
    from ${stays(schema, 'stage', population)} and ${enteredIn(period)} and ${ended(period)} group by 1, 2, 3 order by 1, 2, 3`.execute(db)
  const standing = await standingBefore(db, schema, 'stage', population, period.to)
  const entries = new Map(rows.map((row) => [row.stage, row]))
  return [...new Set([...entries.keys(), ...standing.keys()])].sort().map((stage) => {
    const row = entries.get(stage)
    const entered = Number(row?.entered ?? 0)
    const movedOn = Number(row?.moved_on ?? 0)
    return {
      stage, entered, customers: Number(row?.customers ?? 0), movedOn, lost: Number(row?.lost ?? 0), backward: Number(row?.backward ?? 0), stillThere: Number(row?.still_there ?? 0),
      conversion: entered === 0 ? null : movedOn / entered, standing: standing.get(stage) ?? 0,
      next: exits.rows.filter((exit) => exit.stage === stage).map(({ to, move, entries: count }) => ({ to, move, entries: Number(count) })),
    }
  })
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
  const standing = await standingBefore(db, schema, 'tier', population, period.to)
  const cells = await transitionMatrix(db, schema, 'tier', period, population)
  const sum = (of: (cell: Cell) => boolean) => cells.filter(of).reduce((total, cell) => total + cell.transitions, 0)
  return [...new Set([...standing.keys(), ...cells.flatMap((cell) => [cell.to, ...(cell.from === null ? [] : [cell.from])])])].sort().map((tier) => ({
    tier, customers: standing.get(tier) ?? 0, entered: sum((cell) => cell.to === tier && cell.move === 'entry'),
    upInto: sum((cell) => cell.to === tier && cell.move === 'up'), downInto: sum((cell) => cell.to === tier && cell.move === 'down'),
    upFrom: sum((cell) => cell.from === tier && cell.move === 'up'), downFrom: sum((cell) => cell.from === tier && cell.move === 'down'),
  }))
}
