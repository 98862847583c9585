import { type Kysely, sql } from 'kysely'

/** Where the process that signs roots stands: the Merkle tree of the events it has read, as the roots of its whole subtrees. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table kehu.root_range (
      one boolean primary key default true check (one),
      place_id text not null,
      position bigint not null,
      event_id uuid not null,
      size bigint not null,
      peaks text[] not null,
      unsigned bigint not null
    )`.execute(db)
  await sql`comment on table kehu.root_range is 'How far the log has been read for the next signed root. Made anew from the log when it is missing or in doubt.'`.execute(db)
  await sql`comment on column kehu.root_range.size is 'How many events the tree has: the ordinal of the one at position'`.execute(db)
  await sql`comment on column kehu.root_range.peaks is 'Roots of its whole subtrees (RFC 6962), the largest first'`.execute(db)
  await sql`comment on column kehu.root_range.unsigned is 'Events since the last signed root, roots not counted'`.execute(db)
}
