import type { Table } from '../table.ts'

export type DuplicatesTables = {
  held_identifier: { identity: string; kind: string; customer_id: string; held_since: string; revision: number }
}

export const tables: readonly Table[] = [
  {
    name: 'held_identifier',
    comment: 'Which customer holds which identifier 唯一标识 now; identifiers as keyed hashes',
    columns: [
      { name: 'identity', type: 'text not null', comment: 'Kind and keyed hash of the normalised value: names the identity stream', personal: true },
      { name: 'kind', type: 'text not null', comment: 'mobile, email, uscc, resident-id, other' },
      { name: 'customer_id', type: 'text not null', comment: 'The customer who holds it 客户' },
      { name: 'held_since', type: 'timestamptz not null', comment: 'When it was recorded' },
      { name: 'revision', type: 'integer not null', comment: 'Revision of the event that says so' },
    ],
    constraints: ['primary key (identity)'],
    indexes: ['(customer_id)'],
    view: 'held_identifier',
  },
]
