-- Whom we forgot: kept so that a restored backup forgets them again. Ids and blind indexes, no personal data; append-only.
create table users.erasures (
  id           text collate "C" primary key,
  user_id      text collate "C",                    -- null: a guest
  email_index  bytea check (octet_length(email_index) = 32),
  erased_at    timestamptz not null,
  requested_by text collate "C",                    -- null: the operator's command line
  check (user_id is not null or email_index is not null)
);

-- Notes stay as rows of the order's history; what they say of a person can be taken out.
do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    revoke update, delete, truncate on users.erasures from stoa_app;
    grant update (text) on orders.notes to stoa_app;
  end if;
end $$;
