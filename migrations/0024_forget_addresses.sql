-- The audit log stays as it is, but for where a forgotten person was.
do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    grant update (address) on platform.audit_log to stoa_app;
  end if;
end $$;
