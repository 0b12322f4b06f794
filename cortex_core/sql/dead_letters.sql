-- name: add
INSERT INTO dead_letters (user_id, memory_id, entry_id, payload, reason, sqlstate, attempts, first_failed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (entry_id) DO NOTHING

-- name: list
SELECT id, user_id, memory_id, entry_id, payload, reason, sqlstate, attempts, first_failed_at, last_failed_at
FROM dead_letters ORDER BY id LIMIT $1

-- name: take
DELETE FROM dead_letters WHERE id = $1 RETURNING payload

-- name: count
SELECT count(*) FROM dead_letters
