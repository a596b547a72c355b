-- One good link of a purpose for each account, also when two letters are written at once. Addresses that letters go to, and
-- that are not the account's, get purposes of their own: a wish for another one is bound to the password like a link, and
-- the one from before a change is used from the start. Whoever holds a link of before asks for another.
delete from users.links where used_at is null;

alter table users.links
  drop constraint links_purpose_check,
  drop constraint links_check1,
  add constraint links_purpose check
    (purpose in ('verify-email', 'reset-password', 'change-email', 'wanted-email', 'former-email')),
  add constraint links_address check
    ((purpose in ('change-email', 'wanted-email', 'former-email')) = (new_email is not null)),
  add constraint links_former check (purpose <> 'former-email' or used_at is not null);

create unique index links_good on users.links (user_id, purpose) where used_at is null;
