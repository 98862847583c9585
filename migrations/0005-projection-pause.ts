import { type Kysely, sql } from 'kysely'

/** Read models that an operator has paused. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`create table kehu.projection_pause (model text primary key, since timestamptz not null default now())`.execute(db)
  await sql`comment on table kehu.projection_pause is 'Read models that are paused, in every process and every version, until an operator resumes them'`.execute(db)
}
