-- Mails about orders: the language that a buyer is written to in, and which mails went out.

alter table orders.carts add column locale text not null default 'en'
  check (locale ~ '^[a-z]{2}(-([A-Z]{2}|[0-9]{3}))?$');
alter table orders.orders add column locale text not null default 'en'
  check (locale ~ '^[a-z]{2}(-([A-Z]{2}|[0-9]{3}))?$');

-- One row for each mail, so that its event can come twice and two processes can run its job. Leased, it is being sent.
create table orders.mails (
  order_id    text collate "C" not null references orders.orders,
  about       text collate "C" not null,  -- the id of its event, or a kind of mail that there is one of in a while
  event_id    bigint not null,            -- the latest event that it told of
  lease_until timestamptz not null,
  sent_at     timestamptz,
  primary key (order_id, about)
);

comment on column orders.carts.locale is 'personal: plain, of little meaning without the rest';
comment on column orders.orders.locale is 'personal: plain, of little meaning without the rest';
comment on column orders.mails.order_id is 'not personal';
comment on column orders.mails.about is 'not personal';
comment on column orders.mails.event_id is 'not personal';
comment on column orders.mails.lease_until is 'not personal';
comment on column orders.mails.sent_at is 'not personal';
