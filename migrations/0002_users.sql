-- People with an account, and their sessions. E-mail and name are sealed; an e-mail is found by its blind index.
create schema users;

create table users.users (
  id            text collate "C" primary key,
  email         bytea not null,                    -- sealed
  email_index   bytea not null unique check (octet_length(email_index) = 32),
  name          bytea,                             -- sealed
  password_hash text not null,
  roles         text[] not null check (cardinality(roles) > 0),
  disabled_at   timestamptz,
  version       integer not null default 1,
  created_at    timestamptz not null,
  updated_at    timestamptz not null
);
create index users_staff on users.users (id) where roles <> '{customer}';

-- A session is also the family of its refresh tokens: revoking it ends them all, and every access token made of them.
create table users.sessions (
  id         text collate "C" primary key,
  user_id    text collate "C" not null references users.users,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz
);
create index sessions_user on users.sessions (user_id);
create index sessions_end on users.sessions (expires_at);

-- Only hashes are kept. Of a family at most one token is live: using it makes its single successor.
create table users.refresh_tokens (
  hash       bytea primary key check (octet_length(hash) = 32),
  session_id text collate "C" not null references users.sessions on delete cascade,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at    timestamptz
);
create index refresh_tokens_session on users.refresh_tokens (session_id);
create index refresh_tokens_end on users.refresh_tokens (expires_at);
create unique index refresh_tokens_live on users.refresh_tokens (session_id) where used_at is null;
