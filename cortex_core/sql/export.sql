-- What is kept about one person ($1), for that person.

-- name: memories
-- In the order in which they were said, after the place of $2 and $3.
SELECT
    id, user_id, content, author_id, author_name, project_id, audience, said_in, memory_type, status, emotional_score,
    importance, confidence, created_at, updated_at, last_accessed, access_count, valid_from, valid_to, supersedes, source, source_id,
    channel_id, position, tags, metadata, version
FROM memories
WHERE user_id = $1 AND (created_at, id) > ($2, $3)
ORDER BY created_at, id
LIMIT $4

-- name: facts
SELECT
    id, attribute, value, confidence, audience, source, valid_from, valid_to, supersedes, recorded_at,
    ARRAY(
        SELECT memory_id FROM evidence AS e WHERE e.user_id = f.user_id AND e.fact_id = f.id ORDER BY memory_id
    ) AS evidence
FROM identity_facts AS f
WHERE user_id = $1
ORDER BY attribute, valid_from, recorded_at

-- name: session
SELECT state, revised_at, expires_at FROM sessions WHERE user_id = $1

-- name: contradiction
SELECT id, memory_a, memory_b, explanation, detected_at FROM contradictions WHERE user_id = $1 ORDER BY detected_at, id

-- name: dead_letter
-- Without the payload: it may hold anything, and its memory, if it is one, can't be read.
SELECT memory_id, entry_id, reason, sqlstate, attempts, first_failed_at, last_failed_at
FROM dead_letters WHERE user_id = $1 ORDER BY id

-- name: departure
SELECT guild_id, erase_at FROM departures WHERE user_id = $1 ORDER BY guild_id
