-- A second factor is replaced only once its successor is confirmed, so that nobody is locked out in between: `secret` is the
-- one that counts, `next_secret` one that was shown and not yet confirmed.
alter table users.second_factors
  add column next_secret bytea,                     -- sealed
  alter column secret drop not null,
  add constraint second_factors_confirmed check ((secret is null) = (confirmed_at is null));

-- Wrong passwords in a row. The key is an e-mail's blind index, account or none, for whoever is unknown there; the hash of
-- what a device or session is known by counts its own.
create table users.failed_logins (
  key      bytea primary key check (octet_length(key) = 32),
  failures integer not null check (failures > 0),
  last_at  timestamptz not null
) with (fillfactor = 70);
create index failed_logins_end on users.failed_logins (last_at);

comment on column users.second_factors.next_secret is 'personal: sealed';
comment on column users.failed_logins.key is 'personal: one-way';
comment on column users.failed_logins.failures is 'not personal';
comment on column users.failed_logins.last_at is 'personal: plain, when somebody last failed to log in';
