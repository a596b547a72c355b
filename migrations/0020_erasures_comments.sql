-- What users.erasures says of people: `stoa rotate-keys` and the test of personal columns read it.
comment on column users.erasures.id is 'not personal';
comment on column users.erasures.user_id is 'personal: plain, an id that is all that stays of an erased account';
comment on column users.erasures.email_index is 'personal: blind index';
comment on column users.erasures.erased_at is 'not personal';
comment on column users.erasures.requested_by is 'personal: plain, an id that is all that stays of an erased account';
