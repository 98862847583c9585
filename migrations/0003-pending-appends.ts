import { type Kysely, sql } from 'kysely'

/**
 * Where the log is not in this database, a receipt cannot commit with its events. It is written down first, as
 * pending, with the place the events are meant for; what stands at that place later tells whether they got there.
 * A refusal's receipt and pending appends of the same command exclude each other: whoever writes down either holds
 * the command's lock, taken in a statement before the one that looks.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table kehu.pending_append (
      event_id uuid primary key,
      turn bigint not null generated always as identity,
      stream text not null,
      expected_revision integer not null,
      events integer not null,
      command_id uuid not null,
      command_hash text not null,
      command text not null,
      streams text[] not null,
      status integer not null,
      answer text not null,
      recorded_at timestamptz not null,
      since timestamptz not null default clock_timestamp()
    )`.execute(db)
  await sql`create index pending_append_command on kehu.pending_append (command_id)`.execute(db)
  await sql`comment on table kehu.pending_append is 'Appends on their way to EventStoreDB, with the receipts they will have. Empty but for the moment; rows that stay are settled by what the log holds.'`.execute(db)
  await sql`comment on column kehu.pending_append.event_id is 'The first event of the append: at expected_revision + 1 of its stream, or nowhere'`.execute(db)

  await sql`comment on column kehu.pending_append.turn is 'Of two appends of one command the earlier goes first'`.execute(db)

  await sql`
    create table kehu.place (
      one boolean primary key default true check (one),
      place_id text not null
    )`.execute(db)
  await sql`comment on table kehu.place is 'The place of the log whose positions the receipts name'`.execute(db)

  await sql`
    create function kehu.register_appends(
      p_event uuid[], p_stream text[], p_expected integer[], p_events integer[],
      p_command uuid[], p_hash text[], p_name text[], p_streams text[], p_status integer[], p_answer text[], p_at timestamptz[]
    ) returns table (answered boolean, rivals boolean, fresh boolean)
    language plpgsql volatile as $body$
    declare
      there uuid[];
    begin
      perform pg_advisory_xact_lock(${sql.lit(COMMAND_LOCK)}, key) from (select distinct hashtext(c::text) as key from unnest(p_command) as c order by 1) as keys;
      there := array(select a.event_id from kehu.pending_append a where a.event_id = any (p_event));
      insert into kehu.pending_append (event_id, stream, expected_revision, events, command_id, command_hash, command, streams, status, answer, recorded_at)
      select p.event, p.stream, p.expected, p.events, p.command, p.hash, p.name, string_to_array(p.streams, ' '), p.status, p.answer, p.at
      from unnest(p_event, p_stream, p_expected, p_events, p_command, p_hash, p_name, p_streams, p_status, p_answer, p_at)
        with ordinality as p (event, stream, expected, events, command, hash, name, streams, status, answer, at, n)
      where (select true from kehu.receipt r where r.command_id = p.command) is null
      order by p.n
      on conflict (event_id) do nothing;
      return query
        select exists (select from kehu.receipt r where r.command_id = p.command),
          exists (
            select from kehu.pending_append own, kehu.pending_append other
            where own.event_id = p.event and other.command_id = p.command and other.turn < own.turn),
          p.event <> all (there)
        from unnest(p_event, p_command) with ordinality as p (event, command, n) order by p.n;
    end
    $body$`.execute(db)

  await sql`
    create function kehu.settle_appends(p_event uuid[], p_position bigint[]) returns void
    language plpgsql volatile as $body$
    begin
      insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, position, recorded_at)
      select a.command_id, a.command_hash, a.command, a.streams, a.status, a.answer, p.position, a.recorded_at
      from unnest(p_event, p_position) as p (event, position)
      join kehu.pending_append a on a.event_id = p.event
      where p.position is not null
      order by a.command_id
      on conflict (command_id) do nothing;
      delete from kehu.pending_append a using unnest(p_event) as p (event) where a.event_id = p.event;
    end
    $body$`.execute(db)

  await sql`
    create function kehu.record_receipt(
      r_command uuid, r_hash text, r_name text, r_streams text[], r_status integer, r_answer text, r_at timestamptz,
      t_id uuid, t_at timestamptz, t_actor text, t_on_behalf_of text, t_role text, t_problem text, t_stream text, t_ran_into jsonb
    ) returns text
    language plpgsql volatile as $body$
    begin
      perform pg_advisory_xact_lock(${sql.lit(COMMAND_LOCK)}, hashtext(r_command::text));
      if exists (select from kehu.receipt r where r.command_id = r_command) then return 'there'; end if;
      if exists (select from kehu.pending_append a where a.command_id = r_command) then return 'pending'; end if;
      insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, recorded_at)
      values (r_command, r_hash, r_name, r_streams, r_status, r_answer, r_at);
      if t_id is not null then
        insert into kehu.refused_attempt (attempt_id, at, actor, on_behalf_of, role, command, command_id, problem, stream, ran_into)
        values (t_id, t_at, t_actor, t_on_behalf_of, t_role, r_name, r_command, t_problem, t_stream, t_ran_into);
      end if;
      return 'kept';
    end
    $body$`.execute(db)
}

/** The advisory locks of commands whose receipts and pending appends are written, beside their hash. */
const COMMAND_LOCK = 727_002
