import { type Kysely, sql } from 'kysely'
import { APPEND_LOCK } from './0001-log.ts'

/**
 * One call appends a batch: many appends, each to its own stream. With nothing in the way of any, all are written at
 * once, and one row says so: w = the first event of the first append is at first_position, the others behind it
 * without a gap. Else, and for one append alone, they are written one by one, with a row for each, in order:
 * a = appended (or there already), c = conflict, r = a receipt of it is there. Who appends tells the readers: a NOTIFY
 * in each transaction would cost more than most of them.
 *
 * kehu.append_events stays for a process of the version before while both run: it takes the same lock.
 * The advisory lock comes first and as a statement of its own: a lock taken in the statement that reads would
 * still see the snapshot from before it, and two writers would get one position.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create function kehu.append_batch(
      a_stream uuid[], a_expected integer[], a_prev bytea[], a_from integer[], a_count integer[],
      r_last integer[], r_command uuid[], r_hash text[], r_name text[], r_streams text[], r_status integer[], r_answer text[], r_at timestamptz[],
      e_stream uuid[], e_revision integer[], e_id uuid[], e_name text[], e_type text[], e_data text[], e_metadata text[], e_hash bytea[]
    ) returns table (outcome text, first_position bigint, actual integer)
    language plpgsql volatile as $body$
    declare
      last bigint;
      clean boolean;
      head_revision integer;
      head_hash bytea;
      place bigint;
      place_id uuid;
      r_first integer;
      r_end integer := 0;
    begin
      perform pg_advisory_xact_lock(${sql.lit(APPEND_LOCK)});
      last := coalesce((select e.position from kehu.event e order by e.position desc limit 1), 0);

      -- Every look at a big table is a scalar subquery: EXISTS or a JOIN over all of them at once collapses as tables grow.
      clean := cardinality(a_stream) > 1 and (
        select coalesce(bool_and(
          case when a.expected = -1
            then (select true from kehu.event e where e.stream_key = a.stream limit 1) is null
            else (select e.revision = a.expected and e.hash = a.prev from kehu.event e where e.stream_key = a.stream order by e.revision desc limit 1) is true
          end), true)
        from unnest(a_stream, a_expected, a_prev) as a (stream, expected, prev)
      ) and (
        select coalesce(bool_and((select true from kehu.receipt r where r.command_id = c.command) is null), true)
        from unnest(r_command) as c (command)
      );

      if clean then
        insert into kehu.event (position, stream_key, revision, event_id, stream, type, data, metadata, hash)
        select last + e.n, e.stream, e.revision, e.id, e.name, e.type, e.data, e.metadata, e.hash
        from unnest(e_stream, e_revision, e_id, e_name, e_type, e_data, e_metadata, e_hash)
          with ordinality as e (stream, revision, id, name, type, data, metadata, hash, n);
        if cardinality(r_command) > 0 then
          insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, position, recorded_at)
          select r.command, r.hash, r.name, string_to_array(r.streams, ' '), r.status, r.answer, last + r.number, r.at
          from unnest(r_last, r_command, r_hash, r_name, r_streams, r_status, r_answer, r_at) as r (number, command, hash, name, streams, status, answer, at);
        end if;
        outcome := 'w'; first_position := last + 1;
        return next;
        return;
      end if;

      for i in 1 .. cardinality(a_stream) loop
        outcome := null; first_position := null; actual := null;
        -- The receipts of this append: from r_first to r_end.
        r_first := r_end + 1;
        while r_last[r_end + 1] < a_from[i] + a_count[i] loop r_end := r_end + 1; end loop;
        head_revision := -1; head_hash := null;
        select e.revision, e.hash into head_revision, head_hash from kehu.event e where e.stream_key = a_stream[i] order by e.revision desc limit 1;
        head_revision := coalesce(head_revision, -1);
        if r_first <= r_end and exists (select from generate_series(r_first, r_end) as n where (select true from kehu.receipt r where r.command_id = r_command[n]) is true) then
          outcome := 'r'; actual := head_revision;
        elsif head_revision = a_expected[i] and (head_revision = -1 or head_hash = a_prev[i]) then
          for n in a_from[i] .. a_from[i] + a_count[i] - 1 loop
            insert into kehu.event (position, stream_key, revision, event_id, stream, type, data, metadata, hash)
            values (last + n - a_from[i] + 1, e_stream[n], e_revision[n], e_id[n], e_name[n], e_type[n], e_data[n], e_metadata[n], e_hash[n]);
          end loop;
          for n in r_first .. r_end loop
            insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, position, recorded_at)
            values (r_command[n], r_hash[n], r_name[n], string_to_array(r_streams[n], ' '), r_status[n], r_answer[n], last + r_last[n] - a_from[i] + 1, r_at[n]);
          end loop;
          outcome := 'a'; first_position := last + 1; last := last + a_count[i];
        else
          place := null; place_id := null;
          select e.position, e.event_id into place, place_id from kehu.event e where e.stream_key = a_stream[i] and e.revision = a_expected[i] + 1;
          if place_id = e_id[a_from[i]] then
            outcome := 'a'; first_position := place;
          else
            outcome := 'c'; actual := head_revision;
          end if;
        end if;
        return next;
      end loop;
    end
    $body$`.execute(db)
}
