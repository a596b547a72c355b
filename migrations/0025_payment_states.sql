-- Money that is authorised and captured later, disputes, and payments that a person decides about.

alter table payments.payments
  add column capture_minor bigint check (capture_minor between 1 and amount_minor),  -- asked for; null: all of it
  add column authorised_until timestamptz,             -- when the provider lets authorised money go
  add column objects_left integer not null default 0,  -- how many objects at providers were left for another one
  add constraint payments_authorised check (status <> 'authorised' or authorised_until is not null);

-- A provider's own script on the buyer's device may ask for the buyer's approval: then there is no page to go to.
alter table payments.attempts
  drop constraint attempts_check3,
  add constraint attempts_redirect check (status = 'requiresAction' or redirect_url is null);

-- Staff's wish to take authorised money: the row is its receipt, and carried out again past its lease.
create table payments.capture_requests (
  id            text collate "C" primary key,
  payment_id    text collate "C" not null references payments.payments,
  amount_minor  bigint not null check (amount_minor > 0),
  requested_by  text collate "C",
  status        text not null check (status in ('pending', 'succeeded', 'failed')),
  key_hash      bytea not null check (octet_length(key_hash) = 32),
  request_hash  bytea not null check (octet_length(request_hash) = 32),
  sealed_answer bytea,
  lease_until   timestamptz,
  tries         integer not null default 0,
  last_error    text,
  created_at    timestamptz not null,
  ended_at      timestamptz,
  unique (payment_id, key_hash),
  check ((status = 'pending') = (lease_until is not null)),
  check ((status = 'pending') = (ended_at is null))
);
-- One capture per payment: under way or done.
create unique index capture_requests_one on payments.capture_requests (payment_id) where status <> 'failed';
create index capture_requests_due on payments.capture_requests (lease_until) where lease_until is not null;

create table payments.disputes (
  id                  bigint generated always as identity primary key,
  payment_id          text collate "C" not null references payments.payments,
  provider            text not null,
  provider_payment_id text collate "C" not null,
  provider_dispute_id text collate "C" not null,
  amount_minor        bigint not null check (amount_minor > 0),
  currency            text not null,
  reason              text not null,                   -- the provider's word
  status              text not null check (status in ('open', 'won', 'lost')),
  opened_at           timestamptz not null,
  ended_at            timestamptz,
  unique (provider, provider_dispute_id),
  check ((status = 'open') = (ended_at is null))
);
create index disputes_payment on payments.disputes (payment_id);

-- What a provider took that does not fit its payment. Nothing moves until somebody decides; then it is not asked again.
create table payments.reviews (
  id                  bigint generated always as identity primary key,
  payment_id          text collate "C" not null references payments.payments,
  provider            text not null,
  provider_payment_id text collate "C" not null,
  reason              text not null,
  taken_minor         bigint not null check (taken_minor >= 0),
  currency            text not null,
  held_at             timestamptz not null,
  decision            text check (decision in ('accept', 'refund', 'dismiss')),
  decided_by          text collate "C",
  decided_at          timestamptz,
  unique (payment_id, provider, provider_payment_id),
  check ((decision is null) = (decided_at is null))
);

-- Disputed money leaves the provider's account while the dispute is open, and comes back or is lost. A refund that failed
-- after it was sent comes back too.
alter table payments.ledger
  drop constraint ledger_kind_check,
  drop constraint ledger_check1,
  add column provider_dispute_id text collate "C",
  add constraint ledger_kind_check
    check (kind in ('capture', 'refund', 'refund-failed', 'dispute', 'dispute-won', 'dispute-lost')),
  add constraint ledger_refund check ((kind in ('refund', 'refund-failed')) = (refund_id is not null)),
  add constraint ledger_dispute check ((kind like 'dispute%') = (provider_dispute_id is not null));
drop index payments.ledger_refund;
create unique index ledger_refund on payments.ledger (refund_id, kind) where refund_id is not null;
create unique index ledger_dispute on payments.ledger (payment_id, provider_dispute_id, kind)
  where provider_dispute_id is not null;

do $$
declare
  said record;
  name text;
begin
  for said in select * from (values
    ('payments.payments', 'not personal', 'capture_minor authorised_until objects_left'),
    ('payments.capture_requests', 'not personal', 'id payment_id amount_minor status lease_until tries last_error created_at ended_at'),
    ('payments.capture_requests', 'personal: plain, the id of a member of staff', 'requested_by'),
    ('payments.capture_requests', 'personal: one-way', 'key_hash request_hash'),
    ('payments.capture_requests', 'personal: sealed with the caller''s secret', 'sealed_answer'),
    ('payments.disputes', 'not personal', 'id payment_id provider provider_payment_id provider_dispute_id amount_minor currency reason status opened_at ended_at'),
    ('payments.reviews', 'not personal', 'id payment_id provider provider_payment_id reason taken_minor currency held_at decision decided_at'),
    ('payments.reviews', 'personal: plain, the id of a member of staff', 'decided_by'),
    ('payments.ledger', 'not personal', 'provider_dispute_id')
  ) as v (of_table, comment, columns) loop
    foreach name in array string_to_array(said.columns, ' ') loop
      execute format('comment on column %s.%I is %L', said.of_table, name, said.comment);
    end loop;
  end loop;
end $$;
