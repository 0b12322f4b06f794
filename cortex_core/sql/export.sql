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
    id, subject, attribute, value, has_many, confidence, heard_in(f) AS audiences, source, valid_from, valid_to, supersedes,
    recorded_at, ended_at,
    ARRAY(
        SELECT memory_id FROM evidence AS e WHERE e.user_id = f.user_id AND e.fact_id = f.id ORDER BY memory_id
    ) AS evidence
FROM identity_facts AS f
WHERE user_id = $1
ORDER BY subject, attribute, valid_from, recorded_at

-- name: correction
-- What the person said against a fact, and was or will be asked about.
SELECT id, fact_id, memory_id, value, valid_from, created_at, asked_at, answered_at, answer
FROM corrections WHERE user_id = $1 ORDER BY created_at, id

-- name: session
SELECT state, revised_at, expires_at FROM sessions WHERE user_id = $1

-- name: contradiction
-- Of a pair with somebody else's memory only what is the person's own.
SELECT
    id, CASE WHEN owner_a = $1 THEN memory_a END AS memory_a, CASE WHEN owner_b = $1 THEN memory_b END AS memory_b,
    project_id, CASE WHEN owner_a = owner_b THEN explanation END AS explanation, found_by, detected_at, resolution, resolved_at
FROM contradictions
WHERE $1 IN (owner_a, owner_b)
ORDER BY detected_at, id

-- name: derivation
SELECT derived_id, array_agg(source_id ORDER BY source_id) AS source_ids
FROM derivations WHERE user_id = $1 GROUP BY derived_id ORDER BY derived_id

-- name: run
-- What background work did, and what it changed.
SELECT
    id, job, status, started_at, completed_at, counts, error, undone_at,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object('kind', c.kind, 'target', c.target) ORDER BY c.kind, c.target), '[]')
        FROM changes AS c WHERE c.user_id = $1 AND c.run_id = r.id
    ) AS changes
FROM consolidation_runs AS r
WHERE user_id = $1 OR EXISTS (SELECT FROM changes AS c WHERE c.user_id = $1 AND c.run_id = r.id)
ORDER BY started_at, id

-- name: dead_letter
-- Without the payload: it may hold anything, and its memory, if it is one, can't be read.
SELECT memory_id, entry_id, reason, sqlstate, attempts, first_failed_at, last_failed_at
FROM dead_letters WHERE user_id = $1 ORDER BY id

-- name: departure
SELECT guild_id, erase_at FROM departures WHERE user_id = $1 ORDER BY guild_id
