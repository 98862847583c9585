import type { Generated } from 'kysely'
import type { Table } from '../table.ts'

export type OwnershipTables = {
  ownership_period: {
    period_id: Generated<string>
    customer_id: string
    owner_id: string | null
    basis: string
    actor: string
    on_behalf_of: string | null
    reason: string | null
    policy_version: number | null
    effective_at: string
    recorded_at: string
    revision: number
    place: number
    ordinal: string
    valid: string
    known: string
  }
  known_at: { ordinal: string; position: string; recorded_max: string }
}

export const tables: readonly Table[] = [
  {
    name: 'ownership_period',
    comment: 'Who held each customer 归属: on two time axes, when it was so (valid) and which part of the log knew it (known)',
    columns: [
      { name: 'period_id', type: 'bigint generated always as identity', comment: 'Names the row in this build of the model; nothing outside refers to it', personal: true },
      { name: 'customer_id', type: 'text not null', comment: 'The customer 客户' },
      { name: 'owner_id', type: 'text', comment: 'The employee who holds it; null: in the public pool 公海' },
      { name: 'basis', type: 'text not null', comment: 'first-entry, claim, assignment, transfer, voluntary-release, protection-lapsed, merge, merge-reversal, correction …' },
      { name: 'actor', type: 'text not null', comment: 'Who decided: the employee or system that sent the command' },
      { name: 'on_behalf_of', type: 'text', comment: 'The employee a system acted for' },
      { name: 'reason', type: 'text', comment: 'In the words of who decided', personal: true },
      { name: 'policy_version', type: 'integer', comment: 'Version of the ownership policy in force' },
      { name: 'effective_at', type: 'timestamptz not null', comment: 'When the change took effect; a range that is empty loses its bounds, this does not' },
      { name: 'recorded_at', type: 'timestamptz not null', comment: 'When the change was recorded' },
      { name: 'revision', type: 'integer not null', comment: 'Revision of the event in the stream of the customer' },
      { name: 'place', type: 'integer not null', comment: 'Its place among changes of one instant: that of the change it corrects, else its revision' },
      { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of the event in the log' },
      { name: 'valid', type: 'tstzrange not null', comment: 'When it was so. Empty: another change took effect at the same instant' },
      { name: 'known', type: 'int8range not null', comment: 'From which ordinal of the log, and up to which, this was what the log knew' },
    ],
    constraints: [
      'primary key (period_id)',
      // By two hashes of the id, 128 bits together: an index of the texts themselves takes twice the time to write.
      'constraint one_owner_at_a_time exclude using gist (hashtextextended(customer_id, 0) with =, hashtextextended(customer_id, 1) with =, valid with &&, known with &&) deferrable initially deferred',
    ],
    ownIndexes: ['(customer_id)'],
    indexes: ['(owner_id) where upper_inf(known) and upper_inf(valid)', '(owner_id, effective_at)'],
    view: 'ownership_period',
  },
  {
    name: 'known_at',
    comment: 'Maps the ordinals at which ownership changed to positions and times: an event was known at K when recorded_max <= K',
    columns: [
      { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of an ownership event' },
      { name: 'position', type: 'bigint not null', comment: 'Its position in this log' },
      { name: 'recorded_max', type: 'timestamptz not null', comment: 'The latest recordedAt of the log up to here' },
    ],
    constraints: ['primary key (ordinal)'],
    indexes: ['(recorded_max, ordinal)'],
    view: 'ownership_known_at',
  },
]
