import type { Table } from '../table.ts'

export type ComplaintsTables = {
  complaint: {
    complaint_id: string; ordinal: string; customer_id: string | null; contact_id: string | null; class: string; severity: string; channel: string; status: string; level: number; role: string
    handler_id: string | null; departments: string; next_step: string | null; target_at: string | null; due_at: string | null; lodged_at: string; closed_at: string | null; escalations: number
    compensation: string | null; compensation_currency: string | null; description: string | null; wants: string | null; state: string; revision: number
  }
  trail: { complaint_id: string; revision: number; at: string; recorded_at: string; type: string; actor: string; on_behalf_of: string | null; step: string | null; from_level: number | null; to_level: number | null; reason: string | null; handler_id: string | null; policy_version: number | null; text: string | null }
  due: { complaint_id: string; step: string; deadline: string }
}

export const tables: readonly Table[] = [
  {
    name: 'complaint',
    comment: 'Complaints 投诉 as they stand now',
    rewritten: true,
    columns: [
      { name: 'complaint_id', type: 'text not null', comment: 'The complaint' },
      { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of its lodging in the log' },
      { name: 'customer_id', type: 'text', comment: 'Whose complaint it is; null: anonymous' },
      { name: 'contact_id', type: 'text', comment: 'The contact who complains' },
      { name: 'class', type: 'text not null', comment: 'Class, as the complaint policy has it' },
      { name: 'severity', type: 'text not null', comment: 'Severity, as the complaint policy has it' },
      { name: 'channel', type: 'text not null', comment: 'How it came in' },
      { name: 'status', type: 'text not null', comment: 'open or closed' },
      { name: 'level', type: 'integer not null', comment: 'Level it stands at' },
      { name: 'role', type: 'text not null', comment: 'Role responsible at this level' },
      { name: 'handler_id', type: 'text', comment: 'The employee who handles it; null: whoever of the role takes it up' },
      { name: 'departments', type: 'jsonb not null', comment: 'Departments involved' },
      { name: 'next_step', type: 'text', comment: 'reply 答复, act 行动, follow-up 回访, improve 改进; null: all are done' },
      { name: 'target_at', type: 'timestamptz', comment: 'When the next step should be done' },
      { name: 'due_at', type: 'timestamptz', comment: 'When the next step must be done' },
      { name: 'lodged_at', type: 'timestamptz not null', comment: 'When it was raised' },
      { name: 'closed_at', type: 'timestamptz', comment: 'When it was closed' },
      { name: 'escalations', type: 'integer not null', comment: 'How often it was escalated 投诉升级' },
      { name: 'compensation', type: 'bigint', comment: 'Compensation granted last, in minor units' },
      { name: 'compensation_currency', type: 'text', comment: 'Its currency' },
      { name: 'description', type: 'text', comment: 'In the words of whoever lodged it', personal: true },
      { name: 'wants', type: 'text', comment: 'What the customer wants', personal: true },
      { name: 'state', type: 'jsonb not null', comment: 'Steps done, deadlines, steps overdue: what the columns follow from', personal: true },
      { name: 'revision', type: 'integer not null', comment: 'Revision of its last event: the ETag' },
    ],
    constraints: ['primary key (complaint_id)'],
    indexes: ['(ordinal)', '(customer_id)', '(handler_id) where status = \'open\'', '(due_at) where status = \'open\''],
    view: 'complaint',
  },
  {
    name: 'trail',
    comment: 'Everything that happened to each complaint, in order',
    columns: [
      { name: 'complaint_id', type: 'text not null', comment: 'The complaint' },
      { name: 'revision', type: 'integer not null', comment: 'Revision of the event' },
      { name: 'at', type: 'timestamptz not null', comment: 'When it took effect' },
      { name: 'recorded_at', type: 'timestamptz not null', comment: 'When it was recorded' },
      { name: 'type', type: 'text not null', comment: 'Type of the event' },
      { name: 'actor', type: 'text not null', comment: 'Who decided' },
      { name: 'on_behalf_of', type: 'text', comment: 'The employee a system acted for' },
      { name: 'step', type: 'text', comment: 'The step done, or whose deadline passed' },
      { name: 'from_level', type: 'integer', comment: 'Of an escalation' },
      { name: 'to_level', type: 'integer', comment: 'Of an escalation' },
      { name: 'reason', type: 'text', comment: 'Of an escalation: beyond-authority, serious-harm, several-departments, rejected-resolution, deadline-passed' },
      { name: 'handler_id', type: 'text', comment: 'Handler from then on, where it changed' },
      { name: 'policy_version', type: 'integer', comment: 'Version of the complaint policy in force' },
      { name: 'text', type: 'text', comment: 'In words', personal: true },
    ],
    constraints: ['primary key (complaint_id, revision)'],
    indexes: ['(at)'],
    view: 'complaint_trail',
  },
  {
    name: 'due',
    comment: 'Deadlines that are still to be met, of open complaints',
    columns: [
      { name: 'complaint_id', type: 'text not null', comment: 'The complaint' },
      { name: 'step', type: 'text not null', comment: 'The step' },
      { name: 'deadline', type: 'timestamptz not null', comment: 'Until when' },
    ],
    constraints: ['primary key (complaint_id, step)'],
    indexes: ['(deadline, complaint_id)'],
    view: 'complaint_due',
  },
]
