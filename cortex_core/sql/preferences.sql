-- name: get
-- A pause without an end ends with the years that a datetime knows.
SELECT
    opted_out_at IS NOT NULL AS opted_out,
    CASE WHEN paused_until = 'infinity' THEN timestamptz '9999-12-31 23:59:59.999999+00' ELSE paused_until END AS paused_until,
    keeps_private, wants_digest
FROM owners WHERE user_id = $1

-- name: put
-- The week of a digest begins when it is wished for.
INSERT INTO owners AS o (user_id, opted_out_at, paused_until, keeps_private, wants_digest, digest_sent_at)
VALUES ($1, CASE WHEN $2 THEN clock_timestamp() END, $3, $4, $5, CASE WHEN $5 THEN now() END)
ON CONFLICT (user_id) DO UPDATE SET
    opted_out_at = CASE WHEN $2 THEN coalesce(o.opted_out_at, excluded.opted_out_at) END,
    paused_until = excluded.paused_until, keeps_private = excluded.keeps_private, wants_digest = excluded.wants_digest,
    digest_sent_at = CASE WHEN o.wants_digest THEN o.digest_sent_at ELSE excluded.digest_sent_at END

-- name: take_back
-- What somebody told projects is theirs alone again.
UPDATE memories SET project_id = NULL, updated_at = now() WHERE user_id = $1 AND project_id IS NOT NULL
