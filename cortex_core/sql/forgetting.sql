-- name: mark_owner
INSERT INTO owners (user_id, forgotten_at) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET forgotten_at = excluded.forgotten_at

-- name: stop_writes
SELECT pg_advisory_xact_lock(hashtext('cortex writes'))

-- name: bury
INSERT INTO tombstones AS t (memory_id, user_id, version) SELECT unnest($2::uuid[]), $1, $3
ON CONFLICT (memory_id, user_id) DO UPDATE SET version = greatest(t.version, excluded.version)

-- name: facts_resting_on
-- Facts that lose all their evidence with these memories.
SELECT fact_id FROM evidence WHERE user_id = $1 GROUP BY fact_id HAVING bool_and(memory_id = ANY($2::uuid[]))

-- name: delete_facts
DELETE FROM identity_facts WHERE user_id = $1 AND id = ANY($2::uuid[]) RETURNING id

-- name: delete_all_facts
DELETE FROM identity_facts WHERE user_id = $1 RETURNING id

-- name: delete_memories
DELETE FROM memories WHERE user_id = $1 AND id = ANY($2::uuid[]) AND version <= $3 RETURNING id

-- name: delete_all_memories
DELETE FROM memories WHERE user_id = $1 RETURNING id

-- name: delete_dead_letters
DELETE FROM dead_letters WHERE user_id = $1 AND ($2::uuid[] IS NULL OR memory_id = ANY($2)) RETURNING id

-- name: delete_session
DELETE FROM sessions WHERE user_id = $1 RETURNING user_id

-- name: take_time
SET LOCAL statement_timeout = '60s'

-- name: forget_common_words
-- They are counted anew.
WITH gone AS (DELETE FROM common_words WHERE user_id = $1)
UPDATE owners SET words_counted = 0 WHERE user_id = $1 AND words_counted > 0

-- name: delete_runs
DELETE FROM consolidation_runs WHERE user_id = $1
