import { sql, type Kysely, type RawBuilder } from 'kysely'

/**
 * Who asks. `all`, or: what one handles, what stands at one's role, and what is handled by `colleagues` (of the
 * departments one manages). With `customerIds` checked before, all complaints of that customer.
 */
export type ComplaintViewer = { all: true } | { all: false; employeeId: string; role: string; colleagues: readonly string[] }

export type ComplaintSummary = {
  complaintId: string; customerId: string | null; contactId: string | null; class: string; severity: string; channel: string; status: 'open' | 'closed'; level: number; role: string; handlerId: string | null
  departments: string[]; nextStep: string | null; targetAt: string | null; dueAt: string | null; overdue: boolean; lodgedAt: string; closedAt: string | null; escalations: number
  compensation: { amount: number; currency: string } | null; description: string | null; wants: string | null; revision: number; ordinal: string
}

export type ComplaintFilters = { status?: string | undefined; level?: number | undefined; handlerId?: string | undefined; /** A customer and all it has absorbed. */ customerIds?: readonly string[] | undefined; overdue?: boolean | undefined; complaintId?: string | undefined }

type Row = {
  complaint_id: string; ordinal: string; customer_id: string | null; contact_id: string | null; class: string; severity: string; channel: string; status: 'open' | 'closed'; level: number; role: string; handler_id: string | null
  departments: string[]; next_step: string | null; target_at: Date | null; due_at: Date | null; overdue: boolean; lodged_at: Date; closed_at: Date | null; escalations: number
  compensation: string | null; compensation_currency: string | null; description: string | null; wants: string | null; revision: number
}

/** Complaints, the latest lodged first, after `before` (the ordinal a page ended with); overdue as of `now`. */
export const findComplaints = async (
  db: Kysely<unknown>, schema: string, filters: ComplaintFilters, viewer: ComplaintViewer, page: { limit: number; before?: string | undefined; now: string },
): Promise<ComplaintSummary[]> => {
  const overdue = sql<boolean>`(status = 'open' and due_at < ${page.now}::timestamptz) is true`
  const where: RawBuilder<unknown>[] = [viewer.all || filters.customerIds !== undefined ? sql`true` : sql`(handler_id = ${viewer.employeeId} or role = ${viewer.role} or handler_id = any(${[...viewer.colleagues]}::text[]))`]
  if (filters.complaintId !== undefined) where.push(sql`complaint_id = ${filters.complaintId}`)
  if (filters.status !== undefined) where.push(sql`status = ${filters.status}`)
  if (filters.level !== undefined) where.push(sql`level = ${filters.level}`)
  if (filters.handlerId !== undefined) where.push(filters.handlerId === '' ? sql`handler_id is null` : sql`handler_id = ${filters.handlerId}`)
  if (filters.customerIds !== undefined) where.push(sql`customer_id = any(${[...filters.customerIds]}::text[])`)
  if (filters.overdue !== undefined) where.push(sql`${overdue} = ${filters.overdue}`)
  if (page.before !== undefined) where.push(sql`ordinal < ${page.before}`)
  const { rows } = await sql<Row>`
    select complaint_id, ordinal, customer_id, contact_id, class, severity, channel, status, level, role, handler_id, departments, next_step, target_at, due_at, ${overdue} as overdue, lodged_at, closed_at,
           escalations, compensation, compensation_currency, description, wants, revision
    from ${sql.table(`${schema}.complaint`)} where ${sql.join(where, sql` and `)} order by ordinal desc limit ${page.limit}`.execute(db)
  return rows.map((row) => ({
    complaintId: row.complaint_id, customerId: row.customer_id, contactId: row.contact_id, class: row.class, severity: row.severity, channel: row.channel, status: row.status, level: row.level, role: row.role,
    handlerId: row.handler_id, departments: row.departments, nextStep: row.next_step, targetAt: row.target_at?.toISOString() ?? null, dueAt: row.due_at?.toISOString() ?? null, overdue: row.overdue,
    lodgedAt: row.lodged_at.toISOString(), closedAt: row.closed_at?.toISOString() ?? null, escalations: row.escalations,
    compensation: row.compensation === null || row.compensation_currency === null ? null : { amount: Number(row.compensation), currency: row.compensation_currency },
    description: row.description, wants: row.wants, revision: row.revision, ordinal: row.ordinal,
  }))
}

export type TrailEntry = {
  revision: number; at: string; recordedAt: string; type: string; actor: string; onBehalfOf: string | null; step: string | null; fromLevel: number | null; toLevel: number | null; reason: string | null
  handlerId: string | null; policyVersion: number | null; text: string | null
}
type TrailRow = { revision: number; at: Date; recorded_at: Date; type: string; actor: string; on_behalf_of: string | null; step: string | null; from_level: number | null; to_level: number | null; reason: string | null; handler_id: string | null; policy_version: number | null; text: string | null }

/** Everything that happened to one complaint, in order. */
export const complaintTrail = async (db: Kysely<unknown>, schema: string, complaintId: string): Promise<TrailEntry[]> => {
  const { rows } = await sql<TrailRow>`
    select revision, at, recorded_at, type, actor, on_behalf_of, step, from_level, to_level, reason, handler_id, policy_version, text
    from ${sql.table(`${schema}.trail`)} where complaint_id = ${complaintId} order by revision`.execute(db)
  return rows.map((row) => ({
    revision: row.revision, at: row.at.toISOString(), recordedAt: row.recorded_at.toISOString(), type: row.type, actor: row.actor, onBehalfOf: row.on_behalf_of, step: row.step, fromLevel: row.from_level,
    toLevel: row.to_level, reason: row.reason, handlerId: row.handler_id, policyVersion: row.policy_version, text: row.text,
  }))
}

/** Deadlines that have passed by `now`, earliest first, and when the next one passes. */
export const dueDeadlines = async (db: Kysely<unknown>, schema: string, now: string, limit: number): Promise<{ due: { complaintId: string; step: string; deadline: string }[]; next: string | null }> => {
  const table = sql.table(`${schema}.due`)
  const { rows } = await sql<{ complaint_id: string; step: string; deadline: Date }>`
    select complaint_id, step, deadline from ${table} where deadline <= ${now}::timestamptz order by deadline, complaint_id, step limit ${limit}`.execute(db)
  const next = await sql<{ deadline: Date }>`select deadline from ${table} where deadline > ${now}::timestamptz order by deadline limit 1`.execute(db)
  return { due: rows.map((row) => ({ complaintId: row.complaint_id, step: row.step, deadline: row.deadline.toISOString() })), next: next.rows[0]?.deadline.toISOString() ?? null }
}

/** The complaints of these customers, or of their contacts. */
export const complaintsOf = async (db: Kysely<unknown>, schema: string, customerIds: readonly string[]): Promise<{ complaintId: string; customerId: string }[]> => {
  const { rows } = await sql<{ complaint_id: string; customer_id: string }>`select complaint_id, customer_id from ${sql.table(`${schema}.complaint`)} where customer_id = any(${customerIds}::text[]) order by ordinal`.execute(db)
  return rows.map((row) => ({ complaintId: row.complaint_id, customerId: row.customer_id }))
}
