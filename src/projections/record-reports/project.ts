import { sql, type Transaction } from 'kysely'
import { z } from 'zod'
import type { CustomerEvent } from '../../domain/customer/events.ts'
import { reveal, type Recorded } from '../../domain/decider.ts'
import type { RecordReportEvent } from '../../domain/record-report/record-report.ts'
import type { ProjectedEvent, Projection } from '../projection.ts'
import { insertRows, tableNamed } from '../rows.ts'
import { tables, type RecordReportsTables } from './tables.ts'

type Row = RecordReportsTables['record_report']

const Time = z.date().transform((date) => date.toISOString())
const Json = z.json().transform((value) => JSON.stringify(value))
const Text = z.string().nullable()
const StoredRow = z.object({
  report_id: z.string(), round: z.number(), ordinal: z.string(), kind: z.string(), customer_id: z.string(), duplicate_of: Text, category_in: Text, category_right: Text, missing: Json,
  match: z.json().transform((value) => (value === null ? null : JSON.stringify(value))), attempts: Json, status: z.string(), reported_at: Time, reporter_id: Text, reported_by: z.string(), against: Text,
  deadline_at: Time, overdue_at: Time.nullable(), judged_at: Time.nullable(), judged_by: Text, penalty: Text, penalty_currency: Text, no_penalty: Text, policy_version: z.number().nullable(),
  moved_to: Text, unmoved: Text, resolved_at: Time.nullable(), note: Text, new_evidence: Text, said: Text, revision: z.number(),
})

const begin = (reportId: string, round: number, event: Recorded<Extract<RecordReportEvent, { type: 'RecordReported' }>>, ordinal: bigint): Row => {
  const { kind, customerId, duplicateOf, category, missing, match, attempts, against, reporterId, note, newEvidence, deadlineAt } = event.data
  return {
    report_id: reportId, round, ordinal: String(ordinal), kind, customer_id: customerId, duplicate_of: duplicateOf, category_in: category?.in ?? null, category_right: category?.right ?? null,
    missing: JSON.stringify(missing), match: match && JSON.stringify(match), attempts: JSON.stringify(attempts), status: 'open', reported_at: event.recordedAt, reporter_id: reporterId, reported_by: event.actor, against,
    deadline_at: deadlineAt, overdue_at: null, judged_at: null, judged_by: null, penalty: null, penalty_currency: null, no_penalty: null, policy_version: null, moved_to: null, unmoved: null, resolved_at: null,
    note: reveal(note) ?? null, new_evidence: reveal(newEvidence ?? undefined) ?? null, said: null, revision: event.revision,
  }
}

const evolve = (row: Row, event: Recorded<Exclude<RecordReportEvent, { type: 'RecordReported' }>>): Row => {
  const after = { ...row, revision: event.revision }
  if (event.type === 'ReportOverdue') return { ...after, status: 'overdue', overdue_at: event.recordedAt }
  const judged = {
    ...after, judged_at: event.recordedAt, judged_by: event.onBehalfOf ?? event.actor, said: reveal(event.data.reason) ?? null, policy_version: event.policies.find(({ name }) => name === 'penalties')?.version ?? null,
  }
  if (event.type === 'ReportDismissed') return { ...judged, status: 'dismissed' }
  const { penalty, noPenalty, dispute } = event.data
  return { ...judged, status: 'upheld', penalty: penalty && String(penalty.amount), penalty_currency: penalty?.currency ?? null, no_penalty: noPenalty, moved_to: dispute?.to ?? null, unmoved: dispute?.unmoved ?? null }
}

/** A record that comes to be in the category the report has as the right one is put right, and no longer when it leaves that. */
const recategorised = (row: Row, event: Recorded<Extract<CustomerEvent, { type: 'CustomerRecategorised' }>>): Row =>
  row.kind !== 'wrong-category' ? row : event.data.to === row.category_right ? { ...row, resolved_at: row.resolved_at ?? event.recordedAt } : { ...row, resolved_at: null }

const reportTable = tableNamed(tables, 'record_report')
const changing = reportTable.columns.map((column) => column.name).filter((name) => name !== 'report_id' && name !== 'round')

const project = async (trx: Transaction<unknown>, schema: string, events: readonly ProjectedEvent[]): Promise<void> => {
  const reportIds = [...new Set(events.flatMap((one) => (one.kind === 'recordReport' ? [one.id] : [])))]
  const customerIds = [...new Set(events.flatMap((one) => (one.kind === 'customer' && one.event.type === 'CustomerRecategorised' ? [one.id] : [])))]
  if (reportIds.length === 0 && customerIds.length === 0) return
  const found = await trx.withSchema(schema).withTables<RecordReportsTables>().selectFrom('record_report').selectAll()
    .where((where) => where.or([where('report_id', '=', sql<string>`any(${reportIds})`), where('customer_id', '=', sql<string>`any(${customerIds})`)])).execute()
  const keyOf = (row: { report_id: string; round: number }) => `${row.report_id}/${row.round}`
  const rows = new Map<string, Row>(z.array(StoredRow).parse(found).map((row) => [keyOf(row), row]))
  const latest = (reportId: string) => [...rows.values()].filter((row) => row.report_id === reportId).reduce<Row | undefined>((last, row) => (last && last.round > row.round ? last : row), undefined)
  const changed = new Set<string>()
  const put = (row: Row) => {
    rows.set(keyOf(row), row)
    changed.add(keyOf(row))
  }
  for (const one of events) {
    if (one.kind === 'recordReport') {
      const last = latest(one.id)
      if (one.event.type === 'RecordReported') put(begin(one.id, (last?.round ?? 0) + 1, one.event, one.ordinal))
      else if (last) put(evolve(last, one.event))
    } else if (one.kind === 'customer' && one.event.type === 'CustomerRecategorised') {
      for (const row of [...rows.values()]) if (row.customer_id === one.id) put(recategorised(row, one.event))
    }
  }
  await insertRows(trx, schema, reportTable, [...rows].filter(([key]) => changed.has(key)).map(([, row]) => row), { key: ['report_id', 'round'], update: changing })
}

export const recordReports: Projection = { model: 'record-reports', version: 1, kinds: ['recordReport', 'customer'], tables, project }
