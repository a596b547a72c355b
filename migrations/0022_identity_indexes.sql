-- no-transaction
-- On tables that a living shop writes to: built beside its work, which they do not hold up.
create index concurrently if not exists audit_log_actor on platform.audit_log (actor_id, id);
create index concurrently if not exists audit_log_action on platform.audit_log (action, id);
create index concurrently if not exists carts_untouched on orders.carts (updated_at) where status <> 'ordered';
