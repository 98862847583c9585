import type { Table } from '../table.ts'

export type LookupTables = {
  customer: {
    customer_id: string
    ordinal: string
    category: string
    name: string | null
    stage: string
    tier: string
    owner_id: string | null
    owner_since: string
    last_owner_id: string | null
    responsible_id: string | null
    entered_by: string | null
    entered_at: string
    changed_at: string
    revision: number
    fields: string
    personal_fields: string
    ownership: string
    search: string
    absorbed_into: string | null
    survivor_id: string
    merging: string | null
  }
  identifier: { identity: string; customer_id: string; kind: string; value: string | null }
  contact: { contact_id: string; customer_id: string; place: number; name: string | null; fields: string; personal_fields: string }
  share: { customer_id: string; with_kind: string; with_id: string; access: string; until: string | null }
  employee: { employee_id: string; name: string | null; department_id: string; departed: boolean; revision: number }
  department: { department_id: string; name: string; parent_id: string | null; revision: number }
}

export const tables: readonly Table[] = [
  {
    name: 'customer',
    comment: 'Every customer 客户 as it is now',
    rewritten: true,
    columns: [
      { name: 'customer_id', type: 'text not null', comment: 'The customer 客户' },
      { name: 'ordinal', type: 'bigint not null', comment: 'Ordinal of its entry in the log: first entered, first counted' },
      { name: 'category', type: 'text not null', comment: 'Main class 主分类' },
      { name: 'name', type: 'text', comment: 'Name 名称; null once erased', personal: true },
      { name: 'stage', type: 'text not null', comment: 'Lifecycle stage 生命周期阶段' },
      { name: 'tier', type: 'text not null', comment: 'Tier 客户等级' },
      { name: 'owner_id', type: 'text', comment: 'Owner 归属; null: in the public pool 公海' },
      { name: 'owner_since', type: 'timestamptz not null', comment: 'When the owner, or the pool, came to hold it' },
      { name: 'last_owner_id', type: 'text', comment: 'Who holds it, in the pool who held it last; null: nobody ever did' },
      { name: 'responsible_id', type: 'text', comment: 'Whose department it belongs to: the owner, in the pool the last owner, else who entered it' },
      { name: 'entered_by', type: 'text', comment: 'Who first entered it' },
      { name: 'entered_at', type: 'timestamptz not null', comment: 'When it was entered; for a record taken over, when it was entered there' },
      { name: 'changed_at', type: 'timestamptz not null', comment: 'When its last event was recorded' },
      { name: 'revision', type: 'integer not null', comment: 'Revision of its last event a reader can see: the ETag' },
      { name: 'fields', type: 'jsonb not null', comment: 'Fields of its template that are not personal, by key' },
      { name: 'personal_fields', type: 'jsonb not null', comment: 'Fields of its template that are personal, by key', personal: true },
      { name: 'ownership', type: 'jsonb not null', comment: 'Changes of owner [effective time, revision, owner], from which the owner follows', personal: true },
      { name: 'search', type: 'text not null', comment: 'What a search for a part finds: name, pinyin, initials, phone numbers, contacts, of all it has absorbed as well', personal: true },
      { name: 'absorbed_into', type: 'text', comment: 'The customer it is part of since they were merged 合并; null: a customer of its own' },
      { name: 'survivor_id', type: 'text not null', comment: 'The customer that stands for it: itself, or where its merges lead' },
      { name: 'merging', type: 'jsonb', comment: 'What its stream says of merges: by which it is absorbed, which it made, whose values count', personal: true },
    ],
    constraints: ['primary key (customer_id)'],
    indexes: ['(ordinal)', '(owner_id, ordinal)', '(responsible_id, ordinal)', '(survivor_id) where absorbed_into is not null', 'using gin (search gin_trgm_ops)'],
    view: 'customer',
  },
  {
    name: 'identifier',
    comment: 'Identifiers 唯一标识 and who holds them',
    columns: [
      { name: 'identity', type: 'text not null', comment: 'Kind and keyed hash of the normalised value', personal: true },
      { name: 'customer_id', type: 'text not null', comment: 'The customer who holds it' },
      { name: 'kind', type: 'text not null', comment: 'mobile, email, uscc, resident-id, other' },
      { name: 'value', type: 'text', comment: 'The normalised value; null once erased', personal: true },
    ],
    constraints: ['primary key (identity)'],
    ownIndexes: ['(customer_id)'],
    view: 'identifier',
  },
  {
    name: 'contact',
    comment: 'Contacts 联系人: persons at a customer',
    columns: [
      { name: 'contact_id', type: 'text not null', comment: 'The contact' },
      { name: 'customer_id', type: 'text not null', comment: 'The customer' },
      { name: 'place', type: 'integer not null', comment: 'Order in which contacts were added' },
      { name: 'name', type: 'text', comment: 'Name; null once erased', personal: true },
      { name: 'fields', type: 'jsonb not null', comment: 'Fields that are not personal, by key (role 角色 …)' },
      { name: 'personal_fields', type: 'jsonb not null', comment: 'Fields that are personal, by key', personal: true },
    ],
    constraints: ['primary key (contact_id)'],
    ownIndexes: ['(customer_id)'],
    view: 'contact',
  },
  {
    name: 'share',
    comment: 'Shares 共享: who may read or work a customer without owning it',
    columns: [
      { name: 'customer_id', type: 'text not null', comment: 'The customer' },
      { name: 'with_kind', type: 'text not null', comment: 'employee or department' },
      { name: 'with_id', type: 'text not null', comment: 'Which one' },
      { name: 'access', type: 'text not null', comment: 'read or work' },
      { name: 'until', type: 'timestamptz', comment: 'When it ends by itself; null: when it is revoked' },
    ],
    constraints: ['primary key (customer_id, with_kind, with_id)'],
    indexes: ['(with_kind, with_id)', '(until) where until is not null'],
    view: 'share',
  },
  {
    name: 'employee',
    comment: 'Employees 员工',
    columns: [
      { name: 'employee_id', type: 'text not null', comment: 'The employee' },
      { name: 'name', type: 'text', comment: 'Name; null once erased', personal: true },
      { name: 'department_id', type: 'text not null', comment: 'Department 部门; the last one, once departed' },
      { name: 'departed', type: 'boolean not null', comment: 'Has left the organisation' },
      { name: 'revision', type: 'integer not null', comment: 'Revision of the last event' },
    ],
    constraints: ['primary key (employee_id)'],
    indexes: ['(department_id)'],
    view: 'employee',
  },
  {
    name: 'department',
    comment: 'Departments 部门, in a tree',
    columns: [
      { name: 'department_id', type: 'text not null', comment: 'The department' },
      { name: 'name', type: 'text not null', comment: 'Name' },
      { name: 'parent_id', type: 'text', comment: 'The department it belongs to; null at the top' },
      { name: 'revision', type: 'integer not null', comment: 'Revision of the last event' },
    ],
    constraints: ['primary key (department_id)'],
    view: 'department',
  },
]
