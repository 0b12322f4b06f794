-- Reading memories for facts, and what is held meanwhile. All of it happens under the owner's lock.

-- fragment: to_read
-- What the owner said, or asked to remember.
coalesce(m.author_id, m.user_id) = m.user_id AND m.source IN ('conversation', 'remember') AND m.status = 'active'
    AND m.memory_type <> 'identity'
    AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = m.user_id AND o.opted_out_at IS NOT NULL)

-- name: list_to_learn
-- The next ones that the rules did not read, and whether they are to.
SELECT m.*, {{to_read}} AS is_to_read
FROM memories AS m
WHERE m.learned_at IS NULL
ORDER BY m.user_id, m.created_at, m.id
LIMIT $1

-- name: list_groups_to_analyse
-- What one owner said to one audience and no language model read: enough of it ($1), or nothing since $2.
-- The window of $3 memories begins after the owner $4.
WITH awaiting AS MATERIALIZED (
    SELECT m.user_id, m.audience, m.updated_at
    FROM memories AS m
    WHERE m.analysed_at IS NULL AND m.user_id > $4 AND {{to_read}}
    ORDER BY m.user_id, m.created_at
    LIMIT $3
)
SELECT user_id, audience, count(*) AS waiting, count(*) >= $1 OR max(updated_at) <= $2 AS is_due
FROM awaiting
GROUP BY user_id, audience
ORDER BY user_id, audience

-- name: list_to_analyse
SELECT m.*
FROM memories AS m
WHERE m.user_id = $1 AND m.audience = $2 AND m.analysed_at IS NULL AND {{to_read}}
ORDER BY m.created_at, m.id
LIMIT $3

-- fragment: was_read
FROM unnest($2::uuid[], $3::bigint[]) AS r (id, version)
WHERE m.user_id = $1 AND m.id = r.id AND m.version = r.version

-- name: mark_as_none
-- There is nothing to read in them.
UPDATE memories AS m SET learned_at = $4, analysed_at = $4 {{was_read}} AND m.learned_at IS NULL

-- name: mark_learned
UPDATE memories AS m SET learned_at = $4 {{was_read}} AND m.learned_at IS NULL RETURNING m.id

-- name: mark_analysed
UPDATE memories AS m SET analysed_at = $4 {{was_read}} AND m.analysed_at IS NULL RETURNING m.id

-- name: rate
UPDATE memories AS m SET
    emotional_score = r.emotional_score, importance = r.importance, memory_type = r.memory_type
FROM unnest($2::uuid[], $3::bigint[], $4::real[], $5::real[], $6::text[])
    AS r (id, version, emotional_score, importance, memory_type)
WHERE m.user_id = $1 AND m.id = r.id AND m.version = r.version

-- name: list_proof
-- Memories that something can be learned from now: none of whoever opted out meanwhile.
SELECT id, audience, created_at, source
FROM memories AS m
WHERE user_id = $1 AND id = ANY($2::uuid[]) AND status <> 'superseded'
    AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = m.user_id AND o.opted_out_at IS NOT NULL)

-- name: list_held
-- All facts of an attribute, with what they rest on. What ended did so when the next one was first said.
SELECT
    f.id, f.value, f.has_many, f.confidence, f.audience, f.source, f.valid_from, f.valid_to,
    coalesce(max(m.created_at), f.valid_from) AS said_at,
    coalesce(array_agg(m.id) FILTER (WHERE m.id IS NOT NULL), '{}') AS evidence,
    coalesce(array_agg(DISTINCT m.audience) FILTER (WHERE m.id IS NOT NULL), '{}') AS audiences,
    CASE WHEN f.valid_to IS NOT NULL THEN greatest(f.valid_to, (
        SELECT min(proof.created_at)
        FROM identity_facts AS n
        JOIN evidence AS s ON s.user_id = n.user_id AND s.fact_id = n.id
        JOIN memories AS proof ON proof.user_id = s.user_id AND proof.id = s.memory_id
        WHERE n.user_id = f.user_id AND n.supersedes = f.id
    )) END AS closed_at
FROM identity_facts AS f
LEFT JOIN evidence AS e ON e.user_id = f.user_id AND e.fact_id = f.id
LEFT JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
WHERE f.user_id = $1 AND f.subject = $2 AND f.attribute = $3
GROUP BY f.user_id, f.id
ORDER BY f.recorded_at, f.id

-- name: is_forgotten
-- Whether that was forgotten after it was said.
SELECT EXISTS (
    SELECT FROM forgotten_contents AS f
    WHERE f.user_id = $1 AND f.digest = digest_of($1, $2) AND f.forgotten_at >= $3
)

-- name: reinforce
UPDATE identity_facts SET confidence = $3, audience = $4 WHERE user_id = $1 AND id = $2

-- name: let_others_hold
UPDATE identity_facts SET has_many = true WHERE user_id = $1 AND id = $2

-- name: try_to_claim
-- One process at a time asks a language model about an owner; the claim ends with the connection at the latest.
SELECT pg_try_advisory_lock(hashtextextended('cortex analysis ' || $1, 0))

-- name: give_up_claim
SELECT pg_advisory_unlock(hashtextextended('cortex analysis ' || $1, 0))
