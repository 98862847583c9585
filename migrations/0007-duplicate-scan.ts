import { type Kysely, sql } from 'kysely'

/** How far each scan for duplicates has come, so that one that was interrupted goes on. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table kehu.duplicate_scan (
      scan_id uuid primary key,
      model_version integer not null,
      weights_version integer not null,
      through_key bigint,
      compared bigint not null,
      found bigint not null,
      started_at timestamptz not null,
      finished_at timestamptz
    )`.execute(db)
  await sql`comment on table kehu.duplicate_scan is 'Scans for duplicates: by which weights, through which blocking key, and what they found'`.execute(db)
}
