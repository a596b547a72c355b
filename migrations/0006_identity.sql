-- Identity in depth: verified addresses, links by mail, sessions one can list, second factors, the address book, stored
-- roles and API keys. bytea columns are sealed or, where named _index or _hash, one-way.

-- An erased account keeps its id, so that the books stay whole; nothing in it tells whose it was.
alter table users.users
  alter column email drop not null,
  add column email_verified_at timestamptz,
  add column locale text not null default 'en' check (locale ~ '^[a-z]{2}$'),
  add column erased_at timestamptz,
  add constraint users_erased check ((erased_at is null) = (email is not null));

-- What one sees of a session: since when, from where, with what, and how well it proved who it is.
alter table users.sessions
  add column authenticated_at timestamptz,          -- last proof by password; null only in rows from before this column
  add column second_factor_at timestamptz,          -- last proof by a second factor
  add column last_used_at timestamptz,              -- last login or refresh
  add column address bytea,                         -- sealed
  add column device bytea,                          -- sealed: the User-Agent
  add column revoked_for text check (revoked_for in
    ('logout', 'ended-elsewhere', 'password-changed', 'disabled', 'refresh-reuse', 'erased'));

-- The successor, sealed with the token that was used: who lost the answer asks again with it, and gets the same one.
alter table users.refresh_tokens
  add column successor bytea,
  add constraint refresh_tokens_successor check (successor is null or used_at is not null);

-- Links that are sent by mail: single use, short-lived, for one purpose, void once the password hash they were made for is gone.
create table users.links (
  hash        bytea primary key check (octet_length(hash) = 32),
  user_id     text collate "C" not null references users.users on delete cascade,
  purpose     text not null check (purpose in ('verify-email', 'reset-password', 'change-email')),
  bound_to    bytea not null check (octet_length(bound_to) = 32),  -- hash of the password hash and e-mail index it was made for
  new_email   bytea,                                -- sealed; change-email only
  created_at  timestamptz not null,
  expires_at  timestamptz not null check (expires_at <= created_at + interval '60 minutes'),
  used_at     timestamptz,
  check ((purpose = 'change-email') = (new_email is not null))
);
create index links_user on users.links (user_id, purpose);
create index links_end on users.links (expires_at);

-- TOTP (RFC 6238): enrolled when confirmed; a step is accepted once.
create table users.second_factors (
  user_id      text collate "C" primary key references users.users on delete cascade,
  secret       bytea not null,                      -- sealed
  created_at   timestamptz not null,
  confirmed_at timestamptz,
  last_step    bigint not null default 0
);
create table users.recovery_codes (
  user_id text collate "C" not null references users.users on delete cascade,
  hash    bytea not null check (octet_length(hash) = 32),
  used_at timestamptz,
  primary key (user_id, hash)
);

create table users.addresses (
  id         text collate "C" primary key,
  user_id    text collate "C" not null references users.users on delete cascade,
  address    bytea not null,                        -- sealed JSON
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version    integer not null default 1
);
create index addresses_user on users.addresses (user_id, id);

-- Who may do what. Filled from src/contexts/users/domain/roles.ts at every start; what staff changed stays as it is.
create table users.roles (
  name        text collate "C" primary key check (name ~ '^[a-z][a-z0-9-]{0,39}$'),
  description text not null,
  permissions text[] not null,
  built_in    boolean not null default false,
  version     integer not null default 1,
  updated_at  timestamptz not null
);

create table users.api_keys (
  id           text collate "C" primary key,
  name         text not null,
  hash         bytea not null unique check (octet_length(hash) = 32),
  hint         text not null,                       -- the last four characters
  permissions  text[] not null check (cardinality(permissions) > 0),
  created_by   text collate "C" references users.users,
  created_at   timestamptz not null,
  expires_at   timestamptz not null,
  last_used_at timestamptz,
  revoked_at   timestamptz,
  replaced_by  text collate "C" references users.api_keys
);

-- Where the actor was; sealed for the row's request id.
alter table platform.audit_log add column address bytea;
