import type { Table } from '../table.ts'

export type LifecycleTables = {
  customer: { customer_id: string; category: string; stage: string; stage_since: string; tier: string; tier_since: string; entered_at: string; responsible_id: string | null; responsible_since: string | null; entered_by: string | null; ownership: string; absorbed: boolean }
  stay: { customer_id: string; axis: 'stage' | 'tier'; revision: number; name: string; entered_at: string; came_from: string | null; came_by: string; left_at: string | null; next: string | null; move: string | null; category: string }
  stage_transition: { customer_id: string; revision: number; ordinal: string; at: string; from_stage: string | null; to_stage: string; move: string; cause: string; actor: string; policy_version: number | null }
  tier_transition: { customer_id: string; revision: number; ordinal: string; at: string; from_tier: string | null; to_tier: string; direction: string; basis: string | null; actor: string; policy_version: number | null }
}

const event = [
  { name: 'customer_id', type: 'text not null', comment: 'The customer 客户' },
  { name: 'revision', type: 'integer not null', comment: 'Revision of the event in the stream of the customer' },
  { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of the event in the log' },
  { name: 'at', type: 'timestamptz not null', comment: 'When it took effect, which is never before the stay it ends began' },
] as const
const decided = [
  { name: 'actor', type: 'text not null', comment: 'Who decided: the employee or system that sent the command' },
  { name: 'policy_version', type: 'integer', comment: 'Version of the policy in force' },
] as const

export const tables: readonly Table[] = [
  {
    name: 'customer',
    comment: 'Where each customer stands now: lifecycle stage 生命周期阶段 and tier 客户等级',
    rewritten: true,
    columns: [
      { name: 'customer_id', type: 'text not null', comment: 'The customer 客户' },
      { name: 'category', type: 'text not null', comment: 'Main class 主分类' },
      { name: 'stage', type: 'text not null', comment: 'Lifecycle stage 生命周期阶段' },
      { name: 'stage_since', type: 'timestamptz not null', comment: 'When it entered this stage' },
      { name: 'tier', type: 'text not null', comment: 'Tier 客户等级' },
      { name: 'tier_since', type: 'timestamptz not null', comment: 'When it entered this tier' },
      { name: 'entered_at', type: 'timestamptz not null', comment: 'When the customer was entered' },
      { name: 'responsible_id', type: 'text', comment: 'Whose department it belongs to: the owner, in the pool the last owner, else who entered it' },
      { name: 'responsible_since', type: 'timestamptz', comment: 'When that employee came to own it; null: nobody ever did' },
      { name: 'entered_by', type: 'text', comment: 'The employee who first entered it' },
      { name: 'ownership', type: 'jsonb not null', comment: 'Changes of owner, [when, revision, owner], in order of effective time', personal: true },
      { name: 'absorbed', type: 'boolean not null', comment: 'Is part of another customer 合并: figures count that one only' },
    ],
    constraints: ['primary key (customer_id)'],
    indexes: ['(stage)', '(tier)', '(responsible_id)', '(customer_id) where absorbed'],
    view: 'customer_lifecycle',
  },
  {
    name: 'stay',
    comment: 'Every stay of a customer at a stage or tier, one after the other without a gap. The funnel, time in stage, transitions and tiers are counted from these',
    columns: [
      { name: 'customer_id', type: 'text not null', comment: 'The customer 客户' },
      { name: 'axis', type: 'text not null', comment: 'stage or tier: what the stay is on' },
      { name: 'revision', type: 'integer not null', comment: 'Revision of the event it began with; stays follow each other in this order' },
      { name: 'name', type: 'text not null', comment: 'The stage 生命周期阶段 or tier 客户等级' },
      { name: 'entered_at', type: 'timestamptz not null', comment: 'When it began. A move said to have taken effect before the stay it ends began counts from when that stay began' },
      { name: 'came_from', type: 'text', comment: 'The stage or tier before; null: the customer was entered' },
      { name: 'came_by', type: 'text not null', comment: 'The move it began with. Stage: entry, progress, setback, won-back 挽回, correction; tier: entry, up, down' },
      { name: 'left_at', type: 'timestamptz', comment: 'When it ended, the next one’s beginning; null: it lasts' },
      { name: 'next', type: 'text', comment: 'The stage or tier after; null: it lasts' },
      { name: 'move', type: 'text', comment: 'The move it ended with, named as in came_by; null: it lasts' },
      { name: 'category', type: 'text not null', comment: 'Main class 主分类 the customer had when the move was recorded that began it' },
    ],
    constraints: ['primary key (customer_id, axis, revision)'],
    indexes: ['(axis, entered_at)'],
    view: 'stay',
  },
  {
    name: 'stage_transition',
    comment: 'Every move between lifecycle stages; the entry is the first, from nowhere',
    columns: [...event,
      { name: 'from_stage', type: 'text', comment: 'Null: the customer was entered' },
      { name: 'to_stage', type: 'text not null', comment: 'The stage it entered' },
      { name: 'move', type: 'text not null', comment: 'entry, progress, setback, won-back 挽回, correction' },
      { name: 'cause', type: 'text not null', comment: 'command: somebody decided it; purchase: the first purchase made a deal of it' },
      ...decided],
    constraints: ['primary key (customer_id, revision)'],
    indexes: ['(at)'],
    view: 'stage_transition',
  },
  {
    name: 'tier_transition',
    comment: 'Every change of tier; the entry is the first, from nowhere',
    columns: [...event,
      { name: 'from_tier', type: 'text', comment: 'Null: the customer was entered' },
      { name: 'to_tier', type: 'text not null', comment: 'The tier it entered' },
      { name: 'direction', type: 'text not null', comment: 'entry, up, down' },
      { name: 'basis', type: 'text', comment: 'What the change rests on' },
      ...decided],
    constraints: ['primary key (customer_id, revision)'],
    indexes: ['(at)'],
    view: 'tier_transition',
  },
]
