-- What providers sent is sealed, found by its payment, and forgotten. What was booked is beyond change, its owner's too.

-- Bound to the event's id, which is known before there is a row. Nothing needs those that came in clear: objects are read again.
alter table payments.inbox drop column body, add column sealed_body bytea;
create index inbox_object on payments.inbox (provider, provider_payment_id, id) where provider_payment_id is not null;
create index inbox_received on payments.inbox using brin (received_at);

create index ledger_booked on payments.ledger (booked_at, id);

create function payments.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% of %.%: what was booked stays as it is; book what sets it right', tg_op, tg_table_schema, tg_table_name
    using errcode = 'restrict_violation';
end $$;
create trigger ledger_append_only before update or delete or truncate on payments.ledger
  for each statement execute function payments.refuse_change();

-- What waits for a person, or for the day on which a provider lets it go.
create index payments_authorised on payments.payments (authorised_until) where status = 'authorised';
create index disputes_open on payments.disputes (payment_id) where status = 'open';

comment on column payments.inbox.sealed_body is 'personal: sealed for event_id';
