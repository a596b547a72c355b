-- Each comparison of the books with the providers: what it compared, what it healed, and what waits for a person.
create table payments.reconciliations (
  id         bigint generated always as identity primary key,
  from_at    timestamptz not null,                     -- payments made in this span
  before_at  timestamptz not null,
  compared   integer not null,
  healed     jsonb not null,                           -- [{subject, detail}]: ids and amounts
  open       jsonb not null,
  ended_at   timestamptz not null
);

do $$
declare
  name text;
begin
  foreach name in array array['id', 'from_at', 'before_at', 'compared', 'healed', 'open', 'ended_at'] loop
    execute format('comment on column payments.reconciliations.%I is %L', name, 'not personal');
  end loop;
end $$;
