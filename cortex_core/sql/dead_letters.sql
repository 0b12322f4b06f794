-- name: add
-- What was acknowledged at $9 and forgotten since isn't kept.
INSERT INTO dead_letters (user_id, memory_id, entry_id, payload, reason, sqlstate, attempts, first_failed_at)
SELECT $1::text, $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::integer, $8::timestamptz
WHERE NOT EXISTS (SELECT FROM tombstones AS t WHERE t.memory_id = $2 AND (t.user_id = $1 OR t.user_id IS NULL))
    AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = $1 AND o.forgotten_at >= $9)
ON CONFLICT (entry_id) DO NOTHING

-- name: list
SELECT id, user_id, memory_id, entry_id, payload, reason, sqlstate, attempts, first_failed_at, last_failed_at
FROM dead_letters ORDER BY id LIMIT $1

-- name: take
DELETE FROM dead_letters WHERE id = $1 RETURNING payload

-- name: drop
DELETE FROM dead_letters WHERE entry_id = $1

-- name: count
SELECT count(*) FROM dead_letters
