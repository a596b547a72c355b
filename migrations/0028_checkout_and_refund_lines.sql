-- Whether orders are taken. A pause takes the table exclusively: it waits for the orders that are being placed, which have
-- the table for sharing and write nothing to the row, and none can overtake it.
create table orders.checkout (
  single     boolean primary key default true check (single),
  paused     boolean not null default false,
  reason     text,
  changed_by text,                               -- the account on the machine that the command ran under
  changed_at timestamptz not null
);
insert into orders.checkout (changed_at) values (now());

-- What went back by lines: counted when it is promised, given back when the provider does not make it.
create table orders.refund_lines (
  refund_id    text collate "C" not null,
  order_id     text collate "C" not null references orders.orders,
  item_id      text collate "C",                 -- null: shipping
  quantity     integer not null check (quantity >= 0),
  amount_minor bigint not null check (amount_minor >= 0),
  failed_at    timestamptz,
  unique nulls not distinct (refund_id, item_id),
  check ((item_id is null) = (quantity = 0))
);
create index refund_lines_order on orders.refund_lines (order_id);

-- Of a line, the sums of its rows above that have not failed; money that went back without naming lines is the payment's.
alter table orders.order_lines add column refunded_units integer not null default 0;
update orders.order_lines set refunded_minor = 0 where refunded_minor > 0;
alter table orders.order_lines
  add constraint order_lines_refunded_units check (refunded_units between 0 and quantity),
  add constraint order_lines_refunded_minor
    check (refunded_minor <= total_minor + case when tax_included then 0 else tax_minor end);
alter table orders.orders
  add column shipping_refunded_minor bigint not null default 0,
  add constraint orders_shipping_refunded check (shipping_refunded_minor between 0 and shipping_minor + shipping_tax_minor);

do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    revoke insert, delete, truncate on orders.checkout from stoa_app;
    revoke delete, truncate on orders.refund_lines from stoa_app;
  end if;
end $$;

comment on column orders.checkout.single is 'not personal';
comment on column orders.checkout.paused is 'not personal';
comment on column orders.checkout.reason is 'personal: plain, the words of an operator';
comment on column orders.checkout.changed_by is 'personal: plain, the account of an operator on the machine';
comment on column orders.checkout.changed_at is 'not personal';
comment on column orders.refund_lines.refund_id is 'not personal';
comment on column orders.refund_lines.order_id is 'not personal';
comment on column orders.refund_lines.item_id is 'not personal';
comment on column orders.refund_lines.quantity is 'not personal';
comment on column orders.refund_lines.amount_minor is 'not personal';
comment on column orders.refund_lines.failed_at is 'not personal';
comment on column orders.order_lines.refunded_units is 'not personal';
comment on column orders.orders.shipping_refunded_minor is 'not personal';
