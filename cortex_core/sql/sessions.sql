-- name: put
-- What was said before everything of the owner was forgotten doesn't come back; of those who opted out nothing is kept.
INSERT INTO sessions (user_id, state, revised_at, expires_at)
SELECT $1::text, $2::jsonb, $3::timestamptz, $4::timestamptz
WHERE NOT EXISTS (SELECT FROM owners WHERE user_id = $1 AND (forgotten_at >= $3 OR opted_out_at <= $3))
ON CONFLICT (user_id) DO UPDATE SET state = excluded.state, revised_at = excluded.revised_at, expires_at = excluded.expires_at
WHERE sessions.revised_at <= excluded.revised_at

-- name: get
SELECT state FROM sessions WHERE user_id = $1 AND expires_at > now()
