-- Payments by bank transfer, invoice or cash: the books of a provider that is the shop itself.

create table payments.manual_payments (
  id             text collate "C" primary key,         -- manual_ and the key that the payment makes its object under
  payment_id     text collate "C" not null references payments.payments,
  attempt_id     text collate "C",                     -- null: it came in without one
  means          text not null check (means in ('bank-transfer', 'invoice', 'cash')),
  status         text not null check (status in ('awaited', 'received', 'cancelled')),
  amount_minor   bigint not null check (amount_minor > 0),
  currency       text not null,
  reference      bytea,                                -- sealed: what the bank's statement says
  received_at    timestamptz,
  recorded_by    text collate "C",
  created_at     timestamptz not null,
  check ((status = 'received') = (received_at is not null))
);
create index manual_payments_payment on payments.manual_payments (payment_id);
create index manual_payments_created on payments.manual_payments (created_at, id);

-- What staff send back by hand.
create table payments.manual_refunds (
  id           text collate "C" primary key,           -- of the refund
  manual_id    text collate "C" not null references payments.manual_payments,
  amount_minor bigint not null check (amount_minor > 0),
  created_at   timestamptz not null
);
create index manual_refunds_payment on payments.manual_refunds (manual_id);

do $$
declare
  said record;
  name text;
begin
  for said in select * from (values
    ('payments.manual_payments', 'not personal', 'id payment_id attempt_id means status amount_minor currency received_at created_at'),
    ('payments.manual_payments', 'personal: sealed', 'reference'),
    ('payments.manual_payments', 'personal: plain, the id of a member of staff', 'recorded_by'),
    ('payments.manual_refunds', 'not personal', 'id manual_id amount_minor created_at')
  ) as v (of_table, comment, columns) loop
    foreach name in array string_to_array(said.columns, ' ') loop
      execute format('comment on column %s.%I is %L', said.of_table, name, said.comment);
    end loop;
  end loop;
end $$;
