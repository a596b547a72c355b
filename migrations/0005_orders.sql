-- Carts and orders. A cart is one row, so that every change of it is one statement that no other can interleave with.
-- bytea columns are sealed (platform/security/encryption.ts) or, where named _index, blind indexes.

create schema orders;

-- Numbers are prefix || (start - 1 + nextval): unique, with gaps.
create sequence orders.order_numbers;

create table orders.carts (
  id text collate "C" primary key,
  status text not null default 'open' check (status in ('open', 'ordered', 'merged')),
  user_id text collate "C",
  order_id text collate "C",                 -- the order that froze it
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  items jsonb not null default '{}' check (jsonb_typeof(items) = 'object'),  -- variant id → {id, quantity, metadata}
  email bytea,
  shipping_address bytea,
  billing_address bytea,
  note bytea,
  shipping_method text,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  check (status <> 'ordered' or order_id is not null)
) with (fillfactor = 70);
create index carts_user on orders.carts (user_id) where user_id is not null;

create table orders.orders (
  id text collate "C" primary key,
  number text collate "C" not null unique,
  cart_id text collate "C" not null,
  user_id text collate "C",
  token_version integer not null default 1 check (token_version > 0),
  status text not null check (status in ('pending', 'paid', 'shipped', 'delivered', 'expired', 'cancelled', 'returned')),
  payment_status text not null check (payment_status in
    ('unpaid', 'authorised', 'paid', 'partiallyRefunded', 'refunded', 'disputed', 'review')),
  fulfilment text not null check (fulfilment in ('none', 'partial', 'shipped', 'delivered')),
  return_status text not null check (return_status in ('none', 'requested', 'partial', 'returned')),
  payment_id text collate "C" unique,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  subtotal_minor bigint not null check (subtotal_minor >= 0),
  discount_minor bigint not null check (discount_minor between 0 and subtotal_minor),
  shipping_minor bigint not null check (shipping_minor >= 0),
  shipping_tax_minor bigint not null check (shipping_tax_minor >= 0),
  tax_minor bigint not null check (tax_minor >= shipping_tax_minor),
  tax_included boolean not null,
  total_minor bigint not null check (total_minor >= 0),
  refunded_minor bigint not null default 0 check (refunded_minor between 0 and total_minor),
  email bytea not null,
  email_index bytea not null,
  shipping_address bytea,
  billing_address bytea,
  note bytea,
  shipping_method jsonb,                     -- {id, title} as chosen
  metadata jsonb not null default '{}',
  hold_until timestamptz,
  placed_at timestamptz not null,
  updated_at timestamptz not null,
  check ((status = 'pending') = (hold_until is not null)),
  check (payment_id is not null or total_minor = 0)
) with (fillfactor = 70);
-- A cart is ordered once; an expired or cancelled order gives it free.
create unique index orders_cart on orders.orders (cart_id) where status not in ('expired', 'cancelled');
create index orders_due on orders.orders (hold_until) where status = 'pending';
create index orders_user on orders.orders (user_id, id) where user_id is not null;
create index orders_email on orders.orders (email_index, id);
create index orders_status on orders.orders (status, id);

create table orders.order_lines (
  order_id text collate "C" not null references orders.orders,
  position integer not null,
  id text collate "C" not null,
  variant_id text collate "C" not null,
  product_id text collate "C" not null,
  sku text,
  title text not null,
  variant_title text,
  options jsonb not null,
  image text,
  requires_shipping boolean not null,
  metadata jsonb not null,
  unit_price_minor bigint not null check (unit_price_minor >= 0),
  quantity integer not null check (quantity > 0),
  cancelled integer not null default 0 check (cancelled >= 0),
  shipped integer not null default 0 check (shipped >= 0),
  returned integer not null default 0 check (returned between 0 and shipped),
  subtotal_minor bigint not null check (subtotal_minor >= 0),
  discount_minor bigint not null check (discount_minor between 0 and subtotal_minor),
  total_minor bigint not null check (total_minor = subtotal_minor - discount_minor),
  tax_rate integer not null check (tax_rate >= 0),
  tax_included boolean not null,
  tax_minor bigint not null check (tax_minor >= 0),
  refunded_minor bigint not null default 0 check (refunded_minor >= 0),
  primary key (order_id, position),
  check (cancelled + shipped <= quantity)
);
create index order_lines_sku on orders.order_lines (sku, order_id) where sku is not null;
create index order_lines_variant on orders.order_lines (variant_id, order_id);

create table orders.shipments (
  id text collate "C" primary key,
  order_id text collate "C" not null references orders.orders,
  items jsonb not null,                      -- [{itemId, quantity}]
  carrier text,
  tracking_number text,
  shipped_at timestamptz not null
);
create index shipments_order on orders.shipments (order_id);

create table orders.returns (
  id text collate "C" primary key,
  order_id text collate "C" not null references orders.orders,
  items jsonb not null,                      -- [{itemId, quantity, restock, refundMinor}]
  reason text not null,
  returned_at timestamptz not null
);
create index returns_order on orders.returns (order_id);

-- What staff wrote about an order; text is sealed, as it may name people.
create table orders.notes (
  id text collate "C" primary key,
  order_id text collate "C" not null references orders.orders,
  author_id text collate "C",
  text bytea not null,
  written_at timestamptz not null
);
create index notes_order on orders.notes (order_id);

-- What happened to an order, never changed: ids and amounts, nothing personal.
create table orders.timeline (
  id bigint generated always as identity primary key,
  order_id text collate "C" not null references orders.orders,
  at timestamptz not null,
  kind text collate "C" not null,
  from_status text,                          -- both null: the status stayed; from_status alone null: it began
  to_status text,
  actor_kind text not null,
  actor_id text collate "C",
  facts jsonb not null default '{}'
);
create index timeline_order on orders.timeline (order_id, id);

do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    revoke update, delete, truncate on orders.timeline, orders.shipments, orders.returns, orders.notes from stoa_app;
  end if;
end $$;
