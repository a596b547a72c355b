-- What every context shares: events and who consumed them, receipts of commands, the audit log.
-- The owner role migrates; stoa_app runs the service and has no DDL (both exist in the embedded database).
create schema if not exists platform;

do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    alter default privileges grant usage on schemas to stoa_app;
    alter default privileges grant select, insert, update, delete on tables to stoa_app;
    alter default privileges grant usage, select on sequences to stoa_app;
    grant usage on schema platform to stoa_app;
  end if;
end $$;

-- Facts, in the order their rows were made (not the order they commit in: see platform/messaging/relay.ts).
create table platform.events (
  id bigint generated always as identity primary key,
  type text collate "C" not null,
  subject text collate "C" not null,
  data jsonb not null,
  request_id text not null,
  occurred_at timestamptz not null,
  published_at timestamptz
);
create index events_unpublished on platform.events (id) where published_at is null;
create index events_subject on platform.events (subject, id);

-- One effect per consumer and event: written in the reaction's own transaction.
create table platform.consumed (
  consumer text collate "C" not null,
  event_id bigint not null,
  consumed_at timestamptz not null,
  primary key (consumer, event_id)
);

-- Events that a consumer could not take yet: tried again until parked_at is set, then only by an operator's replay.
create table platform.deliveries (
  consumer text collate "C" not null,
  event_id bigint not null references platform.events (id),
  attempts integer not null check (attempts > 0),
  next_attempt_at timestamptz,
  last_error text not null,
  parked_at timestamptz,
  primary key (consumer, event_id),
  check ((next_attempt_at is null) = (parked_at is not null))
);
create index deliveries_due on platform.deliveries (next_attempt_at) where parked_at is null;

-- The answer of a committed command, by sha256(caller, method, path, Idempotency-Key); the body is sealed.
create table platform.receipts (
  key bytea primary key check (octet_length(key) = 32),
  request_hash bytea not null check (octet_length(request_hash) = 32),
  status smallint not null check (status between 200 and 299),
  location text,
  sealed_body bytea not null,
  created_at timestamptz not null
);
create index receipts_created_at on platform.receipts (created_at);

-- Append-only for the service: what people with rights changed.
create table platform.audit_log (
  id bigint generated always as identity primary key,
  occurred_at timestamptz not null,
  actor_kind text not null,
  actor_id text collate "C",
  request_id text not null,
  action text not null,
  subject text collate "C" not null,
  before jsonb,
  after jsonb
);
create index audit_log_subject on platform.audit_log (subject, id);

do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    revoke update, delete, truncate on platform.audit_log from stoa_app;
  end if;
end $$;
