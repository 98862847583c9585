import type { Table } from '../table.ts'

export type HandoverTables = {
  holding: {
    customer_id: string; ordinal: string; owner_id: string | null; held_ordinal: string; held_since: number; tier: string; category: string; region: string | null
    ownership: string; absorbed_into: string | null
  }
  handover: {
    handover_id: string; ordinal: string; from_id: string; cause: string; rule: string; rule_by: string; only_those: string | null; policy_version: number | null
    started_by: string; reason: string | null; started_at: string; completed_at: string | null; held: number; later: number; moved: number; pooled: number; otherwise: number; remaining: number; revision: number
  }
  handover_customer: {
    handover_id: string; ordinal: string; held_ordinal: string; customer_id: string; held_since: number; tier: string; region: string | null; outcome: string
    next_owner: string | null; recorded_at: string | null; revision: number | null; event_id: string | null
  }
}

export const tables: readonly Table[] = [
  {
    name: 'holding',
    comment: 'Whom each employee holds now, with what a handover goes by',
    rewritten: true,
    columns: [
      { name: 'customer_id', type: 'text not null', comment: 'The customer 客户' },
      { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of its entry in the log' },
      { name: 'owner_id', type: 'text', comment: 'Who holds it; null: in the public pool 公海, or part of another customer' },
      { name: 'held_ordinal', type: 'bigint not null', comment: 'Ordinal of the event by which they came to hold it' },
      { name: 'held_since', type: 'integer not null', comment: 'Revision of that event' },
      { name: 'tier', type: 'text not null', comment: 'Tier 客户等级' },
      { name: 'category', type: 'text not null', comment: 'Main class 主分类' },
      { name: 'region', type: 'text', comment: 'Province and city, as what was last written of its region or address says', personal: true },
      { name: 'ownership', type: 'jsonb not null', comment: 'Changes of owner [effective time, revision, owner], from which the owner follows', personal: true },
      { name: 'absorbed_into', type: 'text', comment: 'The customer it is part of' },
    ],
    constraints: ['primary key (customer_id)'],
    ownIndexes: ['(owner_id, ordinal) where owner_id is not null'],
  },
  {
    name: 'handover',
    comment: 'Handovers 交接: of a departure, or of a portfolio',
    columns: [
      { name: 'handover_id', type: 'text not null', comment: 'The handover' },
      { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of its start in the log' },
      { name: 'from_id', type: 'text not null', comment: 'Whose customers' },
      { name: 'cause', type: 'text not null', comment: 'departure or transfer' },
      { name: 'rule', type: 'jsonb not null', comment: 'Who takes over' },
      { name: 'rule_by', type: 'text not null', comment: 'command, or policy: who said so' },
      { name: 'only_those', type: 'jsonb', comment: 'Which of the customers; null: all' },
      { name: 'policy_version', type: 'integer', comment: 'Version of the ownership policy in force' },
      { name: 'started_by', type: 'text not null', comment: 'Who recorded the departure, or sent the transfer' },
      { name: 'reason', type: 'text', comment: 'In their words', personal: true },
      { name: 'started_at', type: 'timestamptz not null', comment: 'When it was started' },
      { name: 'completed_at', type: 'timestamptz', comment: 'When none was left; who came to be theirs later is handed over as well' },
      { name: 'held', type: 'integer not null', comment: 'Customers it is about: held when it began' },
      { name: 'later', type: 'integer not null', comment: 'Of a departure: holdings that came about after it' },
      { name: 'moved', type: 'integer not null', comment: 'Handed over to a colleague' },
      { name: 'pooled', type: 'integer not null', comment: 'Handed over to the pool' },
      { name: 'otherwise', type: 'integer not null', comment: 'Gone from them otherwise before their turn came: by another decision, or merged' },
      { name: 'remaining', type: 'integer not null', comment: 'Left: held + later = moved + pooled + otherwise + remaining' },
      { name: 'revision', type: 'integer not null', comment: 'Revision of its last event: the ETag' },
    ],
    constraints: ['primary key (handover_id)'],
    ownIndexes: ['(from_id)'],
    indexes: ['(ordinal)'],
    view: 'handover',
  },
  {
    name: 'handover_customer',
    comment: 'The ledger of each handover 交接清单: a row for each holding it is about, and what became of it',
    columns: [
      { name: 'handover_id', type: 'text not null', comment: 'The handover' },
      { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of the customer’s entry in the log: the order of the handover' },
      { name: 'held_ordinal', type: 'bigint not null', comment: 'Ordinal of the event by which it came to be held' },
      { name: 'customer_id', type: 'text not null', comment: 'The customer 客户' },
      { name: 'held_since', type: 'integer not null', comment: 'Revision of that event' },
      { name: 'tier', type: 'text not null', comment: 'Tier when the row was made' },
      { name: 'region', type: 'text', comment: 'Region when the row was made', personal: true },
      { name: 'outcome', type: 'text not null', comment: 'pending; moved, by this handover; otherwise: gone by another event' },
      { name: 'next_owner', type: 'text', comment: 'Who holds it next; null: pending, or the pool, or part of another customer' },
      { name: 'recorded_at', type: 'timestamptz', comment: 'When that was recorded' },
      { name: 'revision', type: 'integer', comment: 'Revision of the event in the stream of the customer' },
      { name: 'event_id', type: 'text', comment: 'The event that did it' },
    ],
    constraints: ['primary key (handover_id, ordinal, held_ordinal)'],
    ownIndexes: [`(customer_id) where outcome = 'pending'`],
    indexes: [`(handover_id, ordinal) where outcome = 'pending'`],
    view: 'handover_customer',
  },
]
