-- What went back of money that came in by hand, on its own row: refunds at the same time cannot exceed it.
alter table payments.manual_payments
  add column refunded_minor bigint not null default 0,
  add constraint manual_payments_refunded check (refunded_minor between 0 and amount_minor);
update payments.manual_payments m set refunded_minor =
  coalesce((select sum(r.amount_minor) from payments.manual_refunds r where r.manual_id = m.id), 0);
comment on column payments.manual_payments.refunded_minor is 'not personal';
