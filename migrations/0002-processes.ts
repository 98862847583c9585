import { type Kysely, sql } from 'kysely'

/** Where each process stands, and the commands it could not get accepted. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`create table kehu.process (process text primary key, position bigint not null)`.execute(db)
  await sql`comment on table kehu.process is 'How far each process that reacts to events has read the log'`.execute(db)
  await sql`
    create table kehu.parked (
      process text not null,
      key text not null,
      command text not null,
      body jsonb not null,
      problem text not null,
      detail text not null,
      since timestamptz not null,
      tries integer not null,
      next_at timestamptz not null,
      primary key (process, key)
    )`.execute(db)
  await sql`comment on table kehu.parked is 'Commands of processes that were refused: tried again ever more slowly, shown by kehu processes. Bodies hold ids and sums, no personal values.'`.execute(db)
}
