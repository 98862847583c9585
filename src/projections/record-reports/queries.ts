import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { Fault } from '../../domain/record-report/record-report.ts'

export type ReportStatus = 'open' | 'overdue' | 'upheld' | 'dismissed'
export type FoundReport = {
  reportId: string; round: number; kind: Fault; customerId: string; duplicateOf: string | null; category: { in: string; right: string } | null; missing: string[]
  match: { score: number; reasons: { comparison: string; level: string; bits: number }[]; weightsVersion: number } | null
  attempts: { attemptId: string; at: string; actor: string; onBehalfOf: string | null; problem: string }[]
  status: ReportStatus; reportedAt: string; reporterId: string | null; reportedBy: string; against: string | null; deadlineAt: string; overdueAt: string | null; judgedAt: string | null; judgedBy: string | null
  penalty: { amount: number; currency: string } | null; noPenalty: 'nobody-answerable' | 'policy' | null; policyVersion: number | null; movedTo: string | null; unmoved: string | null; resolvedAt: string | null
  note: string | null; newEvidence: string | null; said: string | null; revision: number; ordinal: string
}
type Row = {
  report_id: string; round: number; ordinal: string; kind: Fault; customer_id: string; duplicate_of: string | null; category_in: string | null; category_right: string | null; missing: string[]
  match: FoundReport['match']; attempts: FoundReport['attempts']; status: ReportStatus; reported_at: Date; reporter_id: string | null; reported_by: string; against: string | null; deadline_at: Date
  overdue_at: Date | null; judged_at: Date | null; judged_by: string | null; penalty: string | null; penalty_currency: string | null; no_penalty: FoundReport['noPenalty']; policy_version: number | null
  moved_to: string | null; unmoved: string | null; resolved_at: Date | null; note: string | null; new_evidence: string | null; said: string | null; revision: number
}
const instant = (date: Date | null): string | null => date?.toISOString() ?? null

const toReport = (row: Row): FoundReport => ({
  reportId: row.report_id, round: row.round, kind: row.kind, customerId: row.customer_id, duplicateOf: row.duplicate_of,
  category: row.category_in === null || row.category_right === null ? null : { in: row.category_in, right: row.category_right }, missing: row.missing, match: row.match, attempts: row.attempts,
  status: row.status, reportedAt: row.reported_at.toISOString(), reporterId: row.reporter_id, reportedBy: row.reported_by, against: row.against, deadlineAt: row.deadline_at.toISOString(),
  overdueAt: instant(row.overdue_at), judgedAt: instant(row.judged_at), judgedBy: row.judged_by,
  penalty: row.penalty === null || row.penalty_currency === null ? null : { amount: Number(row.penalty), currency: row.penalty_currency }, noPenalty: row.no_penalty, policyVersion: row.policy_version,
  movedTo: row.moved_to, unmoved: row.unmoved, resolvedAt: instant(row.resolved_at), note: row.note, newEvidence: row.new_evidence, said: row.said, revision: row.revision, ordinal: row.ordinal,
})

export type ReportFilters = {
  reportId?: string | undefined; status?: string | undefined; kind?: string | undefined; against?: string | undefined
  /** Reported of one of these, or as duplicates of one. */
  customerIds?: readonly string[] | undefined
  /** Whether it was not judged in time, by now or at last. */
  overdue?: boolean | undefined
}

/** Rounds of record reports, the latest reported first, after `before` (the ordinal a page ended with); overdue as of `now`. */
export const findReports = async (db: Kysely<unknown>, schema: string, filters: ReportFilters, page: { limit: number; before?: string | undefined; now: string }): Promise<FoundReport[]> => {
  const where: RawBuilder<unknown>[] = [sql`true`]
  if (filters.reportId !== undefined) where.push(sql`report_id = ${filters.reportId}`)
  if (filters.status !== undefined) where.push(sql`status = ${filters.status}`)
  if (filters.kind !== undefined) where.push(sql`kind = ${filters.kind}`)
  if (filters.against !== undefined) where.push(sql`against = ${filters.against}`)
  if (filters.customerIds !== undefined) where.push(sql`(customer_id = any(${[...filters.customerIds]}::text[]) or duplicate_of = any(${[...filters.customerIds]}::text[]))`)
  if (filters.overdue !== undefined) where.push(sql`(overdue_at is not null or coalesce(judged_at, ${page.now}::timestamptz) > deadline_at) = ${filters.overdue}`)
  if (page.before !== undefined) where.push(sql`ordinal < ${page.before}`)
  const { rows } = await sql<Row>`select * from ${sql.table(`${schema}.record_report`)} where ${sql.join(where, sql` and `)} order by ordinal desc limit ${page.limit}`.execute(db)
  return rows.map(toReport)
}

/** Reports whose deadline has passed by `now`, earliest first, and when the next one passes. */
export const dueReports = async (db: Kysely<unknown>, schema: string, now: string, limit: number): Promise<{ due: { reportId: string; deadlineAt: string }[]; next: string | null }> => {
  const table = sql.table(`${schema}.record_report`)
  const { rows } = await sql<{ report_id: string; deadline_at: Date }>`
    select report_id, deadline_at from ${table} where status = 'open' and deadline_at <= ${now}::timestamptz order by deadline_at, report_id limit ${limit}`.execute(db)
  const next = await sql<{ deadline_at: Date }>`select deadline_at from ${table} where status = 'open' and deadline_at > ${now}::timestamptz order by deadline_at limit 1`.execute(db)
  return { due: rows.map((row) => ({ reportId: row.report_id, deadlineAt: row.deadline_at.toISOString() })), next: instant(next.rows[0]?.deadline_at ?? null) }
}

/** The reports of a customer, and those in which it is the earlier of two. */
export const reportsOf = async (db: Kysely<unknown>, schema: string, customerId: string): Promise<string[]> => {
  const { rows } = await sql<{ report_id: string }>`
    select report_id from ${sql.table(`${schema}.record_report`)} where customer_id = ${customerId} or duplicate_of = ${customerId} group by report_id order by min(ordinal)`.execute(db)
  return rows.map((row) => row.report_id)
}

export type ReportCounts = Record<ReportStatus, number>
const counted = (rows: readonly { status: string; n: string }[]): ReportCounts => {
  const count = (status: ReportStatus) => Number(rows.find((row) => row.status === status)?.n ?? 0)
  return { open: count('open'), overdue: count('overdue'), upheld: count('upheld'), dismissed: count('dismissed') }
}

export type Penalty = { reportId: string; round: number; kind: Fault; amount: number; currency: string; at: string; by: string | null; policyVersion: number | null }
export type ReportsOfEmployee = { made: ReportCounts; against: ReportCounts; penalties: Penalty[]; totals: { amount: number; currency: string }[] }

/** What an employee has to do with reports: made by them, and against them; the latest penalties, and the sum of all by currency. */
export const reportsOfEmployee = async (db: Kysely<unknown>, schema: string, employeeId: string, mostPenalties: number): Promise<ReportsOfEmployee> => {
  const table = sql.table(`${schema}.record_report`)
  const counts = async (column: 'reporter_id' | 'against') =>
    counted((await sql<{ status: string; n: string }>`select status, count(*) as n from ${table} where ${sql.id(column)} = ${employeeId} group by status`.execute(db)).rows)
  const penalties = await sql<Row & { penalty: string; penalty_currency: string; judged_at: Date }>`
    select * from ${table} where against = ${employeeId} and penalty is not null order by judged_at desc, ordinal desc limit ${mostPenalties}`.execute(db)
  const totals = await sql<{ currency: string; amount: string }>`
    select penalty_currency as currency, sum(penalty) as amount from ${table} where against = ${employeeId} and penalty is not null group by 1 order by 1`.execute(db)
  return {
    made: await counts('reporter_id'), against: await counts('against'),
    penalties: penalties.rows.map((row) => ({ reportId: row.report_id, round: row.round, kind: row.kind, amount: Number(row.penalty), currency: row.penalty_currency, at: row.judged_at.toISOString(), by: row.judged_by, policyVersion: row.policy_version })),
    totals: totals.rows.map(({ currency, amount }) => ({ amount: Number(amount), currency })),
  }
}
