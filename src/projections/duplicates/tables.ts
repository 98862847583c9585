import type { Definition } from '../../domain/category/category.ts'
import type { Features } from '../../domain/matching/features.ts'
import type { Table } from '../table.ts'
import type { Profile } from './profile.ts'

export type DuplicatesTables = {
  held_identifier: { identity: string; kind: string; customer_id: string; held_since: string; revision: number }
  category: { category_id: string; version: number; definition: Definition }
  match_record: { record: string; customer_id: string; category: string; profile: Profile; features: Features; keys: string[]; absorbed_into: string | null }
  match_key: { key: string; record: string }
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
  {
    name: 'category',
    comment: 'What the categories say of their fields now, as far as matching reads it 主分类',
    columns: [
      { name: 'category_id', type: 'text not null', comment: 'The category' },
      { name: 'version', type: 'integer not null', comment: 'Its version' },
      { name: 'definition', type: 'jsonb not null', comment: 'Its definition, with the template' },
    ],
    constraints: ['primary key (category_id)'],
  },
  {
    name: 'match_record',
    comment: 'What of a customer is compared with others 查重',
    rewritten: true,
    columns: [
      { name: 'record', type: 'bigint not null', comment: 'Ordinal of its entry in the log: first entered, first counted' },
      { name: 'customer_id', type: 'text not null', comment: 'The customer 客户' },
      { name: 'category', type: 'text not null', comment: 'Main class 主分类' },
      { name: 'profile', type: 'jsonb not null', comment: 'Name, fields and identifiers, whatever the template says of them', personal: true },
      { name: 'features', type: 'jsonb not null', comment: 'The same as the matcher takes it, by the templates in force', personal: true },
      { name: 'keys', type: 'bigint[] not null', comment: 'Its blocking keys, hashed', personal: true },
      { name: 'absorbed_into', type: 'text', comment: 'The customer it is part of since they were merged 合并' },
    ],
    constraints: ['primary key (record)'],
    ownIndexes: ['(customer_id)'],
  },
  {
    name: 'match_key',
    comment: 'Blocks: records that share a key are compared with each other',
    columns: [
      { name: 'key', type: 'bigint not null', comment: 'A blocking key, hashed', personal: true },
      { name: 'record', type: 'bigint not null', comment: 'A record that has it' },
    ],
    constraints: ['primary key (key, record)'],
  },
]
