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

-- fragment: guild
-- The server in which it was said, which pays for reading it; empty outside of servers.
split_part(coalesce(m.said_in, m.audience), ':', 2)

-- name: list_awaiting_owners
-- Who has memories that no language model read, and whose first is the oldest: one look into the index for each owner.
WITH RECURSIVE awaiting AS (
    (SELECT user_id, created_at FROM memories WHERE analysed_at IS NULL ORDER BY user_id, created_at LIMIT 1)
    UNION ALL
    SELECT next.user_id, next.created_at
    FROM awaiting, LATERAL (
        SELECT m.user_id, m.created_at
        FROM memories AS m WHERE m.analysed_at IS NULL AND m.user_id > awaiting.user_id
        ORDER BY m.user_id, m.created_at LIMIT 1
    ) AS next
)
SELECT user_id FROM awaiting ORDER BY created_at, user_id

-- name: list_groups_to_analyse
-- Of the owners $1, what one of them said to one audience and no language model read, among the first two hundred:
-- where there is enough of it ($2), nothing came since $3, or something has waited since $4.
SELECT
    user_id, audience, min(said_in) AS said_in, count(*) AS waiting, min(updated_at) <= $4 AS is_overdue
FROM unnest($1::text[]) AS o (owner), LATERAL (
    SELECT m.user_id, m.audience, coalesce(m.said_in, m.audience) AS said_in, {{guild}} AS guild, m.updated_at
    FROM memories AS m
    WHERE m.user_id = o.owner AND m.analysed_at IS NULL AND {{to_read}}
    ORDER BY m.created_at
    LIMIT 200
) AS first
GROUP BY user_id, audience, guild
HAVING count(*) >= $2 OR max(updated_at) <= $3 OR min(updated_at) <= $4
ORDER BY min(updated_at), user_id, audience

-- name: list_to_analyse
-- What the owner $1 said to the audience $2 in the server in which $3 is.
SELECT m.*
FROM memories AS m
WHERE m.user_id = $1 AND m.audience = $2 AND {{guild}} = split_part($3, ':', 2) AND m.analysed_at IS NULL AND {{to_read}}
ORDER BY m.created_at, m.id
LIMIT $4

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
-- All facts of an attribute, with what they rest on. What ended did so when the next one was first said. What held at no time,
-- though it was believed and nothing that was said ended it, a person took back.
SELECT
    f.id, f.value, f.has_many, f.confidence, f.audience, f.source, f.valid_from, f.valid_to, f.supersedes,
    coalesce(max(m.created_at), f.valid_from) AS said_at,
    coalesce(array_agg(m.id) FILTER (WHERE m.id IS NOT NULL), '{}') AS evidence,
    coalesce(array_agg(DISTINCT m.audience) FILTER (WHERE m.status <> 'superseded'), '{}') AS heard_in,
    CASE WHEN f.valid_to IS NOT NULL THEN greatest(f.valid_to, (
        SELECT min(proof.created_at)
        FROM identity_facts AS n
        JOIN evidence AS s ON s.user_id = n.user_id AND s.fact_id = n.id
        JOIN memories AS proof ON proof.user_id = s.user_id AND proof.id = s.memory_id
        WHERE n.user_id = f.user_id AND n.supersedes = f.id
    )) END AS closed_at,
    -- Of what holds the comparison alone is null, and the rest would be looked up.
    CASE WHEN f.valid_to IS NOT NULL AND f.valid_to = f.valid_from AND f.ended_at > f.recorded_at
        AND NOT EXISTS (
            SELECT FROM changes AS c JOIN consolidation_runs AS r ON r.id = c.run_id
            WHERE c.user_id = f.user_id AND c.target = f.id AND c.kind = 'fact ended' AND r.undone_at IS NULL
        )
    THEN f.ended_at END AS taken_back_at
FROM identity_facts AS f
LEFT JOIN evidence AS e ON e.user_id = f.user_id AND e.fact_id = f.id
LEFT JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
WHERE f.user_id = $1 AND f.subject = $2 AND f.attribute = $3
GROUP BY f.user_id, f.id
ORDER BY f.recorded_at, f.id

-- name: list_said
-- What holds by an owner's words. News is what rests on nothing but the last thing that was said to $2 before $3.
WITH last AS (
    SELECT m.id
    FROM memories AS m
    WHERE m.user_id = $1 AND m.audience = $2 AND m.created_at < $3 AND m.source = 'conversation'
        AND coalesce(m.author_id, m.user_id) = m.user_id
    ORDER BY m.created_at DESC, m.id DESC LIMIT 1
)
SELECT
    (c.fact).subject, (c.fact).attribute, (c.fact).value, c.audiences, c.said_at,
    c.evidence = ARRAY[(SELECT id FROM last)] AS is_news
FROM current_facts($1) AS c
ORDER BY (c.fact).attribute, (c.fact).recorded_at, (c.fact).id

-- name: is_forgotten
-- Whether that was forgotten after it was said.
SELECT EXISTS (
    SELECT FROM forgotten_contents AS f
    WHERE f.user_id = $1 AND f.digest = digest_of($1, $2) AND f.forgotten_at >= $3
)

-- name: reinforce
UPDATE identity_facts SET confidence = $3 WHERE user_id = $1 AND id = $2

-- name: let_others_hold
UPDATE identity_facts SET has_many = true WHERE user_id = $1 AND id = $2 AND NOT has_many
RETURNING valid_from, valid_to, ended_at, NOT has_many AS has_many
