-- Shipments and returns stay as they are, but for what tells whose they were when a person is forgotten.
do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    grant update (tracking_number) on orders.shipments to stoa_app;
    grant update (reason) on orders.returns to stoa_app;
  end if;
end $$;
