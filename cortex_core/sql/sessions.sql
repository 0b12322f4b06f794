-- name: put
INSERT INTO sessions (user_id, state, revised_at, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id) DO UPDATE SET state = excluded.state, revised_at = excluded.revised_at, expires_at = excluded.expires_at
WHERE sessions.revised_at < excluded.revised_at

-- name: get
SELECT state FROM sessions WHERE user_id = $1 AND expires_at > now()
