import { sql, type Kysely } from 'kysely'

/**
 * Moves checkpoints from where their runners read them, several at once, and tells who waits for them in one notice:
 * model, version, build and position of each. Where one is elsewhere by now it fails (KH001) and takes the transaction
 * with it: so what the runner wants to write need not wait for the answer.
 *
 * kehu.move_checkpoint stays for a process of the version before while both run, which reads the first of a notice.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create function kehu.move_checkpoints(
      a_model text[], a_version integer[], a_build text[], a_from bigint[], a_to bigint[], a_ordinal bigint[], a_event_id uuid[], a_recorded_max text[], a_ready boolean[]
    ) returns void
    language plpgsql volatile as $body$
    declare
      moved integer;
    begin
      update kehu.checkpoint c set position = m.until, ordinal = m.ordinal, event_id = m.event_id, recorded_max = m.recorded_max, ready = m.ready, stopped = null
      from unnest(a_model, a_version, a_build, a_from, a_to, a_ordinal, a_event_id, a_recorded_max, a_ready) as m (model, version, build, since, until, ordinal, event_id, recorded_max, ready)
      where c.model = m.model and c.version = m.version and c.build = m.build and c.position = m.since;
      get diagnostics moved = row_count;
      if moved <> cardinality(a_model) then
        raise exception 'another runner moved a checkpoint of %', array_to_string(a_model, ', ') using errcode = 'KH001';
      end if;
      perform pg_notify('kehu_projection', (select string_agg(concat_ws(' ', m.model, m.version, m.build, m.until), ' ') from unnest(a_model, a_version, a_build, a_to) as m (model, version, build, until)));
    end
    $body$`.execute(db)
}
