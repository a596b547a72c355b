-- A session that is revoked takes its refresh token with it; those that were revoked before left theirs unused.
update users.refresh_tokens t set used_at = s.revoked_at
from users.sessions s
where s.id = t.session_id and s.revoked_at is not null and t.used_at is null;
