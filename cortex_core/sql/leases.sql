-- Who works on an owner. $1 the owner, $2 the job; times are the database's, which all processes share.

-- name: take
-- $3 the new holder, $4 for how long. Nothing is returned while somebody else's has not run out.
INSERT INTO leases AS l (user_id, job, epoch, holder, expires_at)
VALUES ($1, $2, 1, $3, clock_timestamp() + $4::interval)
ON CONFLICT (user_id, job) DO UPDATE SET epoch = l.epoch + 1, holder = excluded.holder, expires_at = excluded.expires_at
WHERE l.expires_at <= clock_timestamp()
RETURNING epoch

-- name: renew
-- $3 the epoch, $4 the holder, $5 for how long.
UPDATE leases SET expires_at = clock_timestamp() + $5::interval
WHERE user_id = $1 AND job = $2 AND epoch = $3 AND holder = $4
RETURNING epoch

-- name: give_back
-- The row stays, so that epochs never repeat.
UPDATE leases SET expires_at = '-infinity' WHERE user_id = $1 AND job = $2 AND epoch = $3 AND holder = $4

-- name: fence
-- Whoever wants to take it over waits for the end of this transaction.
SELECT epoch FROM leases WHERE user_id = $1 AND job = $2 AND epoch = $3 AND holder = $4 FOR UPDATE
