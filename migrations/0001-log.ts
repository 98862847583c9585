import { type Kysely, sql } from 'kysely'

/** The log, the receipts, the refused attempts, the keyring, the checkpoints of projections. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`create schema if not exists kehu`.execute(db)
  await sql`create extension if not exists btree_gist`.execute(db)
  await sql`create extension if not exists pg_trgm`.execute(db)

  await sql`
    create table kehu.event (
      position bigint primary key,
      stream_key uuid not null,
      revision integer not null check (revision >= 0),
      event_id uuid not null,
      stream text not null,
      type text not null,
      data text not null,
      metadata text not null,
      hash bytea not null,
      constraint event_place unique (stream_key, revision)
    )`.execute(db)
  await sql`comment on table kehu.event is 'The log: every event, in order, for ever. Written only by kehu.append_events.'`.execute(db)
  await sql`comment on column kehu.event.position is 'Order of the whole log: 1, 2, 3 … without gaps, in order of commit'`.execute(db)
  await sql`comment on column kehu.event.stream_key is 'First 128 bits of the SHA-256 of the stream name'`.execute(db)
  await sql`comment on column kehu.event.data is 'RFC 8785 text; personal values sealed'`.execute(db)
  await sql`comment on column kehu.event.metadata is 'RFC 8785 text'`.execute(db)
  await sql`comment on column kehu.event.hash is 'As in the metadata: links the next event of the stream to this one'`.execute(db)
  // The organisation's own configuration is read at every start: few events, found without scanning the log.
  await sql`
    create index event_configuration on kehu.event (position)
    where split_part(stream, '-', 1) in ('category', 'department', 'employee', 'policy', 'system')`.execute(db)

  await sql`
    create table kehu.receipt (
      command_id uuid primary key,
      command_hash text not null,
      command text not null,
      streams text[] not null,
      status integer not null,
      answer text not null,
      position bigint,
      recorded_at timestamptz not null
    )`.execute(db)
  await sql`comment on table kehu.receipt is 'What became of each command: the same key gets the same answer. Ids only, no personal values.'`.execute(db)

  await sql`
    create table kehu.refused_attempt (
      attempt_id uuid primary key,
      at timestamptz not null,
      actor text not null,
      on_behalf_of text,
      role text not null,
      command text not null,
      command_id uuid not null,
      problem text not null,
      stream text,
      ran_into jsonb not null
    )`.execute(db)
  await sql`comment on table kehu.refused_attempt is 'Commands refused by a rule or for want of rights: who, when, what it ran into. Identifiers as keyed hashes.'`.execute(db)

  await sql`
    create table kehu.keyring (
      subject text primary key,
      nonce text,
      wrapped text,
      wrapped_by text not null,
      created_at timestamptz not null default now(),
      destroyed_at timestamptz
    )`.execute(db)
  await sql`comment on table kehu.keyring is 'One key per data subject, wrapped by a master key. A row without a key is a tombstone: that subject is erased.'`.execute(db)

  await sql`
    create table kehu.read_audit (
      read_id uuid primary key,
      at timestamptz not null,
      actor text not null,
      role text not null,
      route text not null,
      parameters jsonb not null
    )`.execute(db)
  await sql`comment on table kehu.read_audit is 'Every read by an auditor or analyst. Search terms as keyed hashes.'`.execute(db)

  await sql`
    create table kehu.checkpoint (
      model text not null,
      version integer not null,
      build text not null,
      position bigint not null,
      ordinal bigint not null,
      event_id uuid,
      place_id text not null,
      recorded_max text,
      ready boolean not null,
      stopped text,
      primary key (model, version, build)
    )`.execute(db)
  await sql`comment on table kehu.checkpoint is 'How far each version of each read model has read; build is live, or rebuild while one is made beside it.'`.execute(db)

  await sql`comment on column kehu.checkpoint.stopped is 'The event that could not be projected, and why; null while all is well'`.execute(db)

  await createAppend(db)
}

/**
 * One call appends a batch: many appends, each to its own stream. Answers a row for each append, in order.
 * The advisory lock comes first and as a statement of its own: a lock taken in the statement that reads would
 * still see the snapshot from before it, and two writers would get one position.
 * Outcomes: a = appended (or there already), c = conflict, r = its receipt is there.
 */
const createAppend = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create function kehu.append_events(
      a_stream uuid[], a_expected integer[], a_prev bytea[], a_from integer[], a_count integer[],
      r_command uuid[], r_hash text[], r_name text[], r_streams text[], r_status integer[], r_answer text[], r_at timestamptz[],
      e_stream uuid[], e_revision integer[], e_id uuid[], e_name text[], e_type text[], e_data text[], e_metadata text[], e_hash bytea[]
    ) returns table (outcome text, first_position bigint, actual integer)
    language plpgsql volatile as $body$
    declare
      last bigint;
      clean boolean;
      written boolean := false;
      head_revision integer;
      head_hash bytea;
      place bigint;
      place_id uuid;
    begin
      perform pg_advisory_xact_lock(${sql.lit(APPEND_LOCK)});
      last := coalesce((select e.position from kehu.event e order by e.position desc limit 1), 0);

      select coalesce(bool_and(
        case when a.expected = -1
          then (select true from kehu.event e where e.stream_key = a.stream limit 1) is null
          else (select e.revision = a.expected and e.hash = a.prev from kehu.event e where e.stream_key = a.stream order by e.revision desc limit 1) is true
        end
        and (a.command is null or (select true from kehu.receipt r where r.command_id = a.command) is null)
      ), true) into clean
      from unnest(a_stream, a_expected, a_prev, r_command) as a (stream, expected, prev, command);

      if clean then
        insert into kehu.event (position, stream_key, revision, event_id, stream, type, data, metadata, hash)
        select last + e.n, e.stream, e.revision, e.id, e.name, e.type, e.data, e.metadata, e.hash
        from unnest(e_stream, e_revision, e_id, e_name, e_type, e_data, e_metadata, e_hash)
          with ordinality as e (stream, revision, id, name, type, data, metadata, hash, n);
        insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, position, recorded_at)
        select r.command, r.hash, r.name, string_to_array(r.streams, ' '), r.status, r.answer, last + r.first + r.count - 1, r.at
        from unnest(r_command, r_hash, r_name, r_streams, r_status, r_answer, r_at, a_from, a_count) as r (command, hash, name, streams, status, answer, at, first, count)
        where r.command is not null;
        perform pg_notify('kehu_log', (last + cardinality(e_id))::text);
        return query select 'a', last + a.first, null::integer from unnest(a_from) with ordinality as a (first, n) order by a.n;
        return;
      end if;

      for i in 1 .. cardinality(a_stream) loop
        outcome := null; first_position := null; actual := null;
        if r_command[i] is not null and exists (select from kehu.receipt r where r.command_id = r_command[i]) then
          outcome := 'r';
        else
          head_revision := -1; head_hash := null;
          select e.revision, e.hash into head_revision, head_hash from kehu.event e where e.stream_key = a_stream[i] order by e.revision desc limit 1;
          head_revision := coalesce(head_revision, -1);
          if head_revision = a_expected[i] and (head_revision = -1 or head_hash = a_prev[i]) then
            insert into kehu.event (position, stream_key, revision, event_id, stream, type, data, metadata, hash)
            select last + n - a_from[i] + 1, e_stream[n], e_revision[n], e_id[n], e_name[n], e_type[n], e_data[n], e_metadata[n], e_hash[n]
            from generate_series(a_from[i], a_from[i] + a_count[i] - 1) as n;
            if r_command[i] is not null then
              insert into kehu.receipt (command_id, command_hash, command, streams, status, answer, position, recorded_at)
              values (r_command[i], r_hash[i], r_name[i], string_to_array(r_streams[i], ' '), r_status[i], r_answer[i], last + a_count[i], r_at[i]);
            end if;
            outcome := 'a'; first_position := last + 1; last := last + a_count[i]; written := true;
          else
            place := null; place_id := null;
            select e.position, e.event_id into place, place_id from kehu.event e where e.stream_key = a_stream[i] and e.revision = a_expected[i] + 1;
            if place_id = e_id[a_from[i]] then
              outcome := 'a'; first_position := place;
            else
              outcome := 'c'; actual := head_revision;
            end if;
          end if;
        end if;
        return next;
      end loop;
      if written then perform pg_notify('kehu_log', last::text); end if;
    end
    $body$`.execute(db)
}

/** Every writer of this log takes this advisory lock: position order is commit order. */
export const APPEND_LOCK = 727_001
