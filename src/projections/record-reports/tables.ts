import type { Table } from '../table.ts'

export type RecordReportsTables = {
  record_report: {
    report_id: string; round: number; ordinal: string; kind: string; customer_id: string; duplicate_of: string | null; category_in: string | null; category_right: string | null; missing: string
    match: string | null; attempts: string; status: string; reported_at: string; reporter_id: string | null; reported_by: string; against: string | null; deadline_at: string; overdue_at: string | null
    judged_at: string | null; judged_by: string | null; penalty: string | null; penalty_currency: string | null; no_penalty: string | null; policy_version: number | null
    moved_to: string | null; unmoved: string | null; resolved_at: string | null; note: string | null; new_evidence: string | null; said: string | null; revision: number
  }
}

export const tables: readonly Table[] = [
  {
    name: 'record_report',
    comment: 'Reports of records 客户举报 as duplicate, in the wrong category or incomplete: a row for each round of each, with the judgement and the penalty',
    columns: [
      { name: 'report_id', type: 'text not null', comment: 'The report: derived from the record and the fault' },
      { name: 'round', type: 'integer not null', comment: 'How often this has been reported: 1, 2, 3 …' },
      { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of the reporting in the log' },
      { name: 'kind', type: 'text not null', comment: 'duplicate, wrong-category, incomplete' },
      { name: 'customer_id', type: 'text not null', comment: 'The record reported; of duplicates the one entered later' },
      { name: 'duplicate_of', type: 'text', comment: 'Of duplicates the one entered earlier' },
      { name: 'category_in', type: 'text', comment: 'Of a wrong category: the one it was in' },
      { name: 'category_right', type: 'text', comment: 'The right one, as the report has it' },
      { name: 'missing', type: 'jsonb not null', comment: 'Of an incomplete record: which fields it lacked' },
      { name: 'match', type: 'jsonb', comment: 'Of duplicates: score in bits, reasons, version of the weights' },
      { name: 'attempts', type: 'jsonb not null', comment: 'Refused attempts that were cited' },
      { name: 'status', type: 'text not null', comment: 'open, overdue, upheld, dismissed' },
      { name: 'reported_at', type: 'timestamptz not null', comment: 'When it was reported' },
      { name: 'reporter_id', type: 'text', comment: 'The employee who reported it; null: a system, for nobody', personal: true },
      { name: 'reported_by', type: 'text not null', comment: 'Who sent the report', personal: true },
      { name: 'against', type: 'text', comment: 'The employee who is answerable; null: nobody', personal: true },
      { name: 'deadline_at', type: 'timestamptz not null', comment: 'Until when it was to be judged' },
      { name: 'overdue_at', type: 'timestamptz', comment: 'When it was found not to be' },
      { name: 'judged_at', type: 'timestamptz', comment: 'When it was upheld or dismissed' },
      { name: 'judged_by', type: 'text', comment: 'Who judged; where a system sent it, the employee it names' },
      { name: 'penalty', type: 'bigint', comment: 'The penalty, in minor units; null: none' },
      { name: 'penalty_currency', type: 'text', comment: 'Its currency' },
      { name: 'no_penalty', type: 'text', comment: 'Why an upheld report has none: nobody-answerable, policy' },
      { name: 'policy_version', type: 'integer', comment: 'Version of the penalties policy it was judged under' },
      { name: 'moved_to', type: 'text', comment: 'To whom ownership of the later entry was to go' },
      { name: 'unmoved', type: 'text', comment: 'Why it stays although asked for: owner-unknown, owner-departed, held-already, merged-since' },
      { name: 'resolved_at', type: 'timestamptz', comment: 'Of a wrong category: since when it is in the right one' },
      { name: 'note', type: 'text', comment: 'What the report says, in words', personal: true },
      { name: 'new_evidence', type: 'text', comment: 'What was new, in words', personal: true },
      { name: 'said', type: 'text', comment: 'The judgement, in words', personal: true },
      { name: 'revision', type: 'integer not null', comment: 'Revision of its last event: the ETag' },
    ],
    constraints: ['primary key (report_id, round)'],
    ownIndexes: ['(customer_id)'],
    indexes: ['(ordinal)', '(duplicate_of)', '(against, ordinal)', '(reporter_id)', `(deadline_at, report_id) where status = 'open'`],
    view: 'record_report',
  },
]
