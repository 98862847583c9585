import type { Table } from '../table.ts'

export type ProtectionTables = {
  standing: {
    customer_id: string; survivor_id: string; absorbed_into: string | null; category: string; tier: string; ownership: string; owner_id: string | null; owner_at: string; protected_from: string; locked: boolean; lock_until: string | null
    warned_since: string | null; followed_up_at: string | null; bought_at: string | null; open_complaints: number
    since: string; idle_since: string; warned: boolean; all_bought_at: string | null; all_open_complaints: number
  }
  complaint: { complaint_id: string; customer_id: string; open: boolean }
}

const held = 'where owner_id is not null and absorbed_into is null'

export const tables: readonly Table[] = [
  {
    name: 'standing',
    comment: 'How the protection 保护期 of each customer stands. When it ends follows from the ownership policy in force',
    rewritten: true,
    columns: [
      { name: 'customer_id', type: 'text not null', comment: 'The customer 客户' },
      { name: 'survivor_id', type: 'text not null', comment: 'The customer that stands for it: itself, or where its merges lead' },
      { name: 'absorbed_into', type: 'text', comment: 'The customer it is part of since they were merged 合并' },
      { name: 'category', type: 'text not null', comment: 'Main class 主分类' },
      { name: 'tier', type: 'text not null', comment: 'Tier 客户等级' },
      { name: 'ownership', type: 'jsonb not null', comment: 'Changes of owner [effective time, revision, owner], from which the owner follows', personal: true },
      { name: 'owner_id', type: 'text', comment: 'Owner 归属; null: in the public pool 公海' },
      { name: 'owner_at', type: 'timestamptz not null', comment: 'When the change of owner in force took effect' },
      { name: 'protected_from', type: 'timestamptz not null', comment: 'When the owner came to hold it as it was recorded, or protection was renewed' },
      { name: 'locked', type: 'boolean not null', comment: 'A lead keeps it from lapsing 锁定' },
      { name: 'lock_until', type: 'timestamptz', comment: 'Until when; null: until it is unlocked' },
      { name: 'warned_since', type: 'timestamptz', comment: 'Beginning of the period whose end the owner was warned of' },
      { name: 'followed_up_at', type: 'timestamptz', comment: 'Last follow-up recorded for it 最近跟进' },
      { name: 'bought_at', type: 'timestamptz', comment: 'Last purchase recorded for it' },
      { name: 'open_complaints', type: 'integer not null', comment: 'Open complaints lodged for it' },
      { name: 'since', type: 'timestamptz not null', comment: 'When the period began, by its own events and the follow-ups of all it has absorbed' },
      { name: 'idle_since', type: 'timestamptz not null', comment: 'The same, or the last purchase, if that was later' },
      { name: 'warned', type: 'boolean not null', comment: 'Whether the owner was warned of the end of this period' },
      { name: 'all_bought_at', type: 'timestamptz', comment: 'Last purchase, of all it has absorbed as well' },
      { name: 'all_open_complaints', type: 'integer not null', comment: 'Open complaints, of all it has absorbed as well' },
    ],
    constraints: ['primary key (customer_id)'],
    ownIndexes: ['(survivor_id) where absorbed_into is not null'],
    // What lapses, and what is warned of, is looked for group by group from the beginning of one of these.
    indexes: [`(tier, category, since, warned) ${held}`, `(tier, category, idle_since, since, all_bought_at, warned) ${held}`, `(owner_id) ${held}`],
    view: 'protection',
  },
  {
    name: 'complaint',
    comment: 'Whose complaints are open',
    columns: [
      { name: 'complaint_id', type: 'text not null', comment: 'The complaint 投诉' },
      { name: 'customer_id', type: 'text not null', comment: 'The customer it was lodged for' },
      { name: 'open', type: 'boolean not null', comment: 'Whether it is open' },
    ],
    constraints: ['primary key (complaint_id)'],
  },
]
