import { sql, type Kysely } from 'kysely'

/**
 * Moves a checkpoint from where its runner read it, and tells who waits for it. Where it is elsewhere by now it fails
 * (KH001) and takes the transaction with it: so what the runner wants to write need not wait for the answer.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create function kehu.move_checkpoint(
      a_model text, a_version integer, a_build text, a_from bigint, a_to bigint, a_ordinal bigint, a_event_id uuid, a_recorded_max text, a_ready boolean
    ) returns void
    language plpgsql volatile as $body$
    begin
      update kehu.checkpoint set position = a_to, ordinal = a_ordinal, event_id = a_event_id, recorded_max = a_recorded_max, ready = a_ready, stopped = null
      where model = a_model and version = a_version and build = a_build and position = a_from;
      if not found then
        raise exception 'another runner moved the checkpoint of %', a_model using errcode = 'KH001';
      end if;
      perform pg_notify('kehu_projection', format('%s %s %s %s', a_model, a_version, a_build, a_to));
    end
    $body$`.execute(db)
}
