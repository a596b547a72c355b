-- Payments: what is owed for each order, the attempts to pay it, what providers told us, what was given back, the books.
-- Amounts are minor units of the row's currency. Four tables are queues of their own: a partial index on when a row is due.

create schema payments;

create table payments.payments (
  id                  text collate "C" primary key,
  order_id            text collate "C" not null unique,
  order_number        text not null,
  buyer_user_id       text collate "C",
  token_version       integer not null,                -- of the order's token, a guest's proof
  status              text not null default 'open'
                        check (status in ('open', 'authorised', 'captured', 'cancelled', 'review', 'disputed', 'lost')),
  amount_minor        bigint not null check (amount_minor > 0),
  currency            text not null,
  captured_minor      bigint not null default 0 check (captured_minor between 0 and amount_minor),
  refunded_minor      bigint not null default 0 check (refunded_minor >= 0),
  refunding_minor     bigint not null default 0 check (refunding_minor >= 0),  -- promised to refunds under way
  provider            text,
  provider_payment_id text collate "C",                -- the one object there, however many attempts
  review_reason       text,
  payable_until       timestamptz not null,            -- attempts move it, never past 60 minutes from opened_at
  opened_at           timestamptz not null,
  closing_reason      text check (closing_reason in ('expired', 'cancelled')),
  closing_since       timestamptz,
  close_at            timestamptz,                     -- when to (again) cancel it at the provider; null: nothing to do
  check (refunded_minor + refunding_minor <= captured_minor),
  check ((closing_reason is null) = (closing_since is null)),
  check (provider is not null or provider_payment_id is null)
);
create unique index payments_provider_payment on payments.payments (provider, provider_payment_id);
create index payments_to_close on payments.payments (close_at) where close_at is not null;
create index payments_in_review on payments.payments (id) where review_reason is not null;

create table payments.attempts (
  id                text collate "C" primary key,
  payment_id        text collate "C" not null references payments.payments,
  key_hash          bytea not null check (octet_length(key_hash) = 32),    -- of caller, path and Idempotency-Key
  request_hash      bytea not null check (octet_length(request_hash) = 32),
  provider          text not null,
  status            text not null check (status in
                      ('created', 'processing', 'requiresAction', 'succeeded', 'declined', 'cancelled', 'unknown')),
  redirect_url      text,
  decline_code      text,
  decline_message   text,
  decline_retryable boolean,
  sealed_answer     bytea,                             -- the first answer, kept for its key; null until there is one
  lease_until       timestamptz,                       -- past it the provider is asked; null: it has ended
  asked             integer not null default 0,
  created_at        timestamptz not null,
  ended_at          timestamptz,
  unique (payment_id, key_hash),
  check ((status in ('created', 'processing', 'requiresAction', 'unknown')) = (lease_until is not null)),
  check ((lease_until is null) = (ended_at is not null)),
  check ((status in ('declined', 'cancelled')) = (decline_code is not null)),
  check ((status = 'requiresAction') = (redirect_url is not null))
);
create unique index attempts_live on payments.attempts (payment_id) where lease_until is not null;
create index attempts_due on payments.attempts (lease_until) where lease_until is not null;

-- Money that a provider took, once per provider payment. A surplus one is a second for the same order: it goes back.
create table payments.captures (
  id                  bigint generated always as identity primary key,
  payment_id          text collate "C" not null references payments.payments,
  provider            text not null,
  provider_payment_id text collate "C" not null,
  amount_minor        bigint not null check (amount_minor > 0),
  currency            text not null,
  surplus             boolean not null,
  captured_at         timestamptz not null,
  unique (provider, provider_payment_id)
);
create unique index captures_of_payment on payments.captures (payment_id) where not surplus;

create table payments.refunds (
  id                  text collate "C" primary key,
  payment_id          text collate "C" not null references payments.payments,
  provider            text not null,
  provider_payment_id text collate "C" not null,
  provider_refund_id  text collate "C",
  surplus             boolean not null,                -- of a surplus capture: outside the payment's sums
  amount_minor        bigint not null check (amount_minor > 0),
  currency            text not null,
  reason              text not null,
  requested_by        text collate "C",                -- null: Stoa itself
  status              text not null check (status in ('pending', 'succeeded', 'failed')),
  key_hash            bytea check (octet_length(key_hash) = 32),
  request_hash        bytea check (octet_length(request_hash) = 32),
  sealed_answer       bytea,
  lease_until         timestamptz,                     -- past it the refund is carried out (again, under the same key)
  tries               integer not null default 0,
  last_error          text,
  created_at          timestamptz not null,
  ended_at            timestamptz,
  unique (payment_id, key_hash),
  unique (provider, provider_refund_id),
  check ((key_hash is null) = (request_hash is null)),
  check ((status = 'pending') = (lease_until is not null)),
  check ((status = 'pending') = (ended_at is null))
);
create index refunds_due on payments.refunds (lease_until) where lease_until is not null;
create unique index refunds_surplus on payments.refunds (provider, provider_payment_id) where surplus;

-- Webhooks as they came: stored before anything else, then worked through. The table is its own queue.
create table payments.inbox (
  id                  bigint generated always as identity primary key,
  provider            text not null,
  event_id            text collate "C" not null,
  type                text not null,
  provider_payment_id text collate "C",                -- null: nothing that we act on
  claims_capture      boolean not null,
  body                bytea not null,                  -- the very bytes that were signed
  received_at         timestamptz not null,
  due_at              timestamptz,                     -- null: done, or parked
  tries               integer not null default 0,
  last_error          text,
  done_at             timestamptz,
  parked_at           timestamptz,                     -- given up until a person looks
  unique (provider, event_id),
  check ((due_at is null) = (done_at is not null or parked_at is not null))
);
create index inbox_due on payments.inbox (due_at, id) where due_at is not null;
create index inbox_parked on payments.inbox (id) where parked_at is not null;

-- Double entry, append-only. A row moves one amount from the credited account to the debited one, so that every entry
-- balances by its very shape: there is no row that could name one side only.
create table payments.ledger (
  id           bigint generated always as identity primary key,
  payment_id   text collate "C" not null references payments.payments,
  refund_id    text collate "C" references payments.refunds,
  kind         text not null check (kind in ('capture', 'refund')),
  debit        text not null,                          -- provider:sandbox, sales, surplus
  credit       text not null,
  amount_minor bigint not null check (amount_minor > 0),
  currency     text not null,
  booked_at    timestamptz not null,
  check (debit <> credit),
  check ((kind = 'refund') = (refund_id is not null))
);
create index ledger_payment on payments.ledger (payment_id, id);
create unique index ledger_refund on payments.ledger (refund_id) where refund_id is not null;

do $$
begin
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    revoke update, delete, truncate on payments.ledger, payments.captures from stoa_app;
  end if;
end $$;
