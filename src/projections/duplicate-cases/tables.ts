import type { Table } from '../table.ts'

export type DuplicateCasesTables = {
  duplicate_case: {
    case_id: string; ordinal: string; one_id: string; other_id: string; status: string; opened_by: string; score: number | null; reasons: string; weights_version: number | null
    opened_at: string; judged_at: string | null; judged_by: string | null; said: string | null; merge_id: string | null; revision: number
  }
}

export const tables: readonly Table[] = [
  {
    name: 'duplicate_case',
    comment: 'Pairs of customers that may be one 疑似重复, and what was decided',
    columns: [
      { name: 'case_id', type: 'text not null', comment: 'The case: derived from the pair' },
      { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of its first opening in the log' },
      { name: 'one_id', type: 'text not null', comment: 'One of the two customers 客户' },
      { name: 'other_id', type: 'text not null', comment: 'The other' },
      { name: 'status', type: 'text not null', comment: 'open, confirmed, dismissed, merged' },
      { name: 'opened_by', type: 'text not null', comment: 'detection, or a person' },
      { name: 'score', type: 'double precision', comment: 'How much speaks for it, in bits; null: a person opened it' },
      { name: 'reasons', type: 'jsonb not null', comment: 'What speaks for and against it: comparison, level, bits' },
      { name: 'weights_version', type: 'integer', comment: 'Version of the weights it was scored by' },
      { name: 'opened_at', type: 'timestamptz not null', comment: 'When it was last opened' },
      { name: 'judged_at', type: 'timestamptz', comment: 'When it was confirmed, dismissed or merged' },
      { name: 'judged_by', type: 'text', comment: 'Who did that' },
      { name: 'said', type: 'text', comment: 'What was last said of it, in words', personal: true },
      { name: 'merge_id', type: 'text', comment: 'The merge that made one of the two' },
      { name: 'revision', type: 'integer not null', comment: 'Revision of its last event: the ETag' },
    ],
    constraints: ['primary key (case_id)'],
    indexes: ['(ordinal)', '(status, ordinal)', '(one_id)', '(other_id)'],
    view: 'duplicate_case',
  },
]
