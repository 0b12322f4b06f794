-- What language models were asked about an owner's memories. $1 the owner, $2 the job of the lease, $3 the digest.

-- name: look_up
-- It came up again, so that it is kept.
UPDATE questions SET asked_at = now() WHERE user_id = $1 AND job = $2 AND digest = $3 RETURNING attempts, is_answered

-- name: count_attempt
INSERT INTO questions AS q (user_id, job, digest, attempts) VALUES ($1, $2, $3, 1)
ON CONFLICT (user_id, job, digest) DO UPDATE SET attempts = q.attempts + 1, asked_at = now()

-- name: mark_answered
INSERT INTO questions (user_id, job, digest, is_answered) VALUES ($1, $2, $3, true)
ON CONFLICT (user_id, job, digest) DO UPDATE SET is_answered = true, asked_at = now()

-- name: drop_old
-- Those that did not come up since $1.
DELETE FROM questions WHERE asked_at < $1
