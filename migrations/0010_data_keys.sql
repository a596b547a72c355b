-- Data keys: what columns are sealed and indexed with, themselves sealed under a master key from ENCRYPTION_KEYS (ADR 10).
create table platform.data_keys (
  id           smallint primary key check (id > 0),  -- in the header of every value that it seals
  purpose      text not null check (purpose in ('columns', 'receipts', 'index')),
  version_1_id smallint check (version_1_id between 0 and 255),  -- derived from this master key before there were data keys
  wrapped      bytea not null,
  created_at   timestamptz not null,
  seals_from   timestamptz,                          -- null: announced, so that every process knows it before one seals with it
  retired_at   timestamptz,                          -- nothing is sealed with it any more
  seals        bigint not null default 0             -- about how often it has sealed
);
create unique index data_keys_index on platform.data_keys (purpose) where purpose = 'index';

-- The processes that hold the keys: a rotation waits for those. Of no worth after a crash, so that it costs no log.
create unlogged table platform.key_holders (
  process     text collate "C" primary key,
  master_keys text[] not null,                       -- id and a name of each, derived from it
  knows       smallint not null,
  seals_with  smallint not null,
  until       timestamptz not null                   -- unless it says more, it has ended by then
);

do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    revoke update, delete, truncate on platform.data_keys from stoa_app;
    grant update (seals) on platform.data_keys to stoa_app;
  end if;
end $$;

-- What each column says of people. `stoa rotate-keys` seals anew what is marked as sealed, and a test refuses a column
-- that says nothing: every later migration comments the columns that it adds.
do $$
declare
  line record;
  name text;
begin
  for line in select place, says, columns from (values
    ('catalog.holds', 'not personal', 'reference variant_id location quantity held committed released shipped returned held_at'),
    ('catalog.images', 'not personal', 'id product_id position url alt'),
    ('catalog.import_pieces', 'not personal', 'import_id piece bytes'),
    ('catalog.imported_products', 'not personal', 'product_id file_name content_hash'),
    ('catalog.imported_quantities', 'not personal', 'variant_id quantity'),
    ('catalog.imports', 'not personal', 'id file_name sha256 options status rows rows_done report problem created_at updated_at finished_at'),
    ('catalog.locations', 'not personal', 'id name'),
    ('catalog.lowest_prices', 'not personal', 'product_id currency amount_minor'),
    ('catalog.movements', 'not personal', 'id variant_id location on_hand_change held_change committed_change shortage reason reference occurred_at'),
    ('catalog.movements', 'personal: plain, the id of a member of staff', 'actor_id'),
    ('catalog.movements', 'personal: plain, a remark of staff about stock', 'note'),
    ('catalog.prices', 'not personal', 'variant_id currency amount_minor compare_at_minor'),
    ('catalog.products', 'not personal', 'id handle title description description_html description_given vendor category tags status options attributes metadata version created_at updated_at published_at words option_pairs search'),
    ('catalog.stock', 'not personal', 'variant_id location on_hand held committed tracked back_order shortage'),
    ('catalog.variants', 'not personal', 'id product_id position sku title options option_key barcode weight_grams taxable requires_shipping image_id attributes metadata status'),

    ('orders.carts', 'not personal', 'id status order_id currency shipping_method created_at updated_at'),
    ('orders.carts', 'personal: plain, an id that is all that stays of an erased account', 'user_id'),
    ('orders.carts', 'personal: sealed', 'email shipping_address billing_address note'),
    ('orders.carts', 'personal: plain, products, and data of the shop''s own that must name nobody', 'items metadata'),
    ('orders.notes', 'not personal', 'id order_id written_at'),
    ('orders.notes', 'personal: plain, the id of a member of staff', 'author_id'),
    ('orders.notes', 'personal: sealed', 'text'),
    ('orders.order_lines', 'not personal', 'order_id position id variant_id product_id sku title variant_title options image requires_shipping unit_price_minor quantity cancelled shipped returned subtotal_minor discount_minor total_minor tax_rate tax_included tax_minor refunded_minor'),
    ('orders.order_lines', 'personal: plain, data of the shop''s own that must name nobody', 'metadata'),
    ('orders.orders', 'not personal', 'id number cart_id token_version status payment_status fulfilment return_status payment_id currency subtotal_minor discount_minor shipping_minor shipping_tax_minor tax_minor tax_included total_minor refunded_minor shipping_method hold_until placed_at updated_at'),
    ('orders.orders', 'personal: plain, an id that is all that stays of an erased account', 'user_id'),
    ('orders.orders', 'personal: sealed', 'email shipping_address billing_address note'),
    ('orders.orders', 'personal: blind index', 'email_index'),
    ('orders.orders', 'personal: plain, data of the shop''s own that must name nobody', 'metadata'),
    ('orders.returns', 'not personal', 'id order_id items returned_at'),
    ('orders.returns', 'personal: plain, a remark of staff about goods', 'reason'),
    ('orders.shipments', 'not personal', 'id order_id items carrier shipped_at'),
    ('orders.shipments', 'personal: plain, the carrier''s number of a parcel', 'tracking_number'),
    ('orders.timeline', 'not personal', 'id order_id at kind from_status to_status actor_kind facts'),
    ('orders.timeline', 'personal: plain, an id that is all that stays of an erased account', 'actor_id'),

    ('payments.attempts', 'not personal', 'id payment_id provider status redirect_url decline_code decline_message decline_retryable lease_until asked created_at ended_at'),
    ('payments.attempts', 'personal: one-way', 'key_hash request_hash'),
    ('payments.attempts', 'personal: sealed with the caller''s secret', 'sealed_answer'),
    ('payments.captures', 'not personal', 'id payment_id provider provider_payment_id amount_minor currency surplus captured_at'),
    ('payments.inbox', 'not personal', 'id provider event_id type provider_payment_id claims_capture received_at due_at tries last_error done_at parked_at'),
    ('payments.inbox', 'personal: plain, the very bytes that a provider signed: ids and amounts', 'body'),
    ('payments.ledger', 'not personal', 'id payment_id refund_id kind debit credit amount_minor currency booked_at'),
    ('payments.payments', 'not personal', 'id order_id order_number token_version status amount_minor currency captured_minor refunded_minor refunding_minor provider provider_payment_id review_reason payable_until opened_at closing_reason closing_since close_at'),
    ('payments.payments', 'personal: plain, an id that is all that stays of an erased account', 'buyer_user_id'),
    ('payments.refunds', 'not personal', 'id payment_id provider provider_payment_id provider_refund_id surplus amount_minor currency status lease_until tries last_error created_at ended_at'),
    ('payments.refunds', 'personal: plain, the id of a member of staff', 'requested_by'),
    ('payments.refunds', 'personal: plain, a remark of staff about money', 'reason'),
    ('payments.refunds', 'personal: one-way', 'key_hash request_hash'),
    ('payments.refunds', 'personal: sealed with the caller''s secret', 'sealed_answer'),

    ('platform.audit_log', 'not personal', 'id occurred_at actor_kind request_id action subject before after'),
    ('platform.audit_log', 'personal: plain, an id that is all that stays of an erased account', 'actor_id'),
    ('platform.audit_log', 'personal: sealed for request_id', 'address'),
    ('platform.consumed', 'not personal', 'consumer event_id consumed_at'),
    ('platform.data_keys', 'not personal', 'id purpose version_1_id wrapped created_at seals_from retired_at seals'),
    ('platform.deliveries', 'not personal', 'consumer event_id attempts next_attempt_at last_error parked_at'),
    ('platform.events', 'not personal', 'id type subject data request_id occurred_at published_at'),
    ('platform.key_holders', 'not personal', 'process master_keys knows seals_with until'),
    ('platform.migrations', 'not personal', 'name checksum applied_at'),
    ('platform.receipts', 'not personal', 'status location created_at'),
    ('platform.receipts', 'personal: one-way', 'key request_hash'),
    ('platform.receipts', 'personal: sealed with the caller''s secret', 'sealed_body'),

    ('users.addresses', 'not personal', 'id created_at updated_at version'),
    ('users.addresses', 'personal: plain, an id that is all that stays of an erased account', 'user_id'),
    ('users.addresses', 'personal: sealed', 'address'),
    ('users.api_keys', 'not personal', 'id name hint permissions created_at expires_at last_used_at revoked_at replaced_by'),
    ('users.api_keys', 'personal: plain, the id of a member of staff', 'created_by'),
    ('users.api_keys', 'personal: one-way', 'hash'),
    ('users.links', 'not personal', 'purpose created_at expires_at used_at'),
    ('users.links', 'personal: plain, an id that is all that stays of an erased account', 'user_id'),
    ('users.links', 'personal: one-way', 'hash bound_to'),
    ('users.links', 'personal: sealed for hash in hex', 'new_email'),
    ('users.recovery_codes', 'not personal', 'used_at'),
    ('users.recovery_codes', 'personal: plain, an id that is all that stays of an erased account', 'user_id'),
    ('users.recovery_codes', 'personal: one-way', 'hash'),
    ('users.refresh_tokens', 'not personal', 'session_id created_at expires_at used_at'),
    ('users.refresh_tokens', 'personal: one-way', 'hash'),
    ('users.refresh_tokens', 'personal: sealed with the caller''s secret', 'successor'),
    ('users.roles', 'not personal', 'name description permissions built_in version updated_at'),
    ('users.second_factors', 'personal: plain, an id that is all that stays of an erased account', 'user_id'),
    ('users.second_factors', 'personal: sealed', 'secret'),
    ('users.second_factors', 'personal: plain, when the account used it', 'created_at confirmed_at last_step'),
    ('users.sessions', 'not personal', 'id expires_at revoked_at revoked_for'),
    ('users.sessions', 'personal: plain, an id that is all that stays of an erased account', 'user_id'),
    ('users.sessions', 'personal: plain, when the account was used', 'created_at authenticated_at second_factor_at last_used_at'),
    ('users.sessions', 'personal: sealed', 'address device'),
    ('users.users', 'not personal', 'disabled_at version created_at updated_at erased_at'),
    ('users.users', 'personal: plain, an id that is all that stays of an erased account', 'id'),
    ('users.users', 'personal: sealed', 'email name'),
    ('users.users', 'personal: blind index', 'email_index'),
    ('users.users', 'personal: one-way', 'password_hash'),
    ('users.users', 'personal: plain, of little meaning without the rest', 'roles locale email_verified_at')
  ) as said (place, says, columns) loop
    foreach name in array string_to_array(line.columns, ' ') loop
      execute format('comment on column %s.%I is %L', line.place, name, line.says);
    end loop;
  end loop;
end $$;
