-- What becomes of facts when they, or what they rest on, are taken back. All of it happens under the owner's lock. What
-- answers with times answers with those before.

-- fragment: rests_on_it_alone
-- On the memory $2, and on nothing else that stands. The memory that only states a fact is superseded with it.
f.user_id = $1
    AND EXISTS (SELECT FROM evidence AS e WHERE e.user_id = f.user_id AND e.fact_id = f.id AND e.memory_id = $2)
    AND NOT EXISTS (
        SELECT FROM evidence AS e JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
        WHERE e.user_id = f.user_id AND e.fact_id = f.id AND m.id <> $2
            AND (m.status <> 'superseded' OR (m.memory_type = 'identity' AND f.valid_to IS NOT NULL))
    )

-- fragment: may_stand
-- Not all that it rests on was taken back. The memory that only states it comes back with it.
EXISTS (
        SELECT FROM evidence AS e JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
        WHERE e.user_id = f.user_id AND e.fact_id = f.id AND (m.status <> 'superseded' OR m.memory_type = 'identity')
    )

-- name: list_resting_on_it_alone
SELECT f.id FROM identity_facts AS f WHERE {{rests_on_it_alone}}

-- name: end_resting_on_it_alone
-- At $3.
UPDATE identity_facts AS f SET valid_to = greatest($3, f.valid_from), ended_at = greatest(now(), f.recorded_at)
WHERE {{rests_on_it_alone}} AND f.valid_to IS NULL
RETURNING f.id, f.valid_from, NULL::timestamptz AS valid_to, NULL::timestamptz AS ended_at

-- name: withdraw
-- The facts $2 were believed until now, and held at no time. The latest come first, each with what holds in its stead: what
-- it had taken the place of, unless that had come in between two of them, and was taken back with the second.
WITH was AS (
    SELECT id, valid_from, valid_to, ended_at FROM identity_facts WHERE user_id = $1 AND id = ANY($2::uuid[])
), withdrawn AS (
    UPDATE identity_facts AS f
    SET valid_to = f.valid_from, ended_at = coalesce(f.ended_at, greatest(now(), f.recorded_at))
    WHERE f.user_id = $1 AND f.id = ANY($2)
    RETURNING f.id, f.supersedes, f.recorded_at
)
SELECT
    w.id, w.recorded_at, was.valid_from, was.valid_to, was.ended_at,
    CASE WHEN o.supersedes = ANY($2) THEN o.supersedes ELSE o.id END AS heir
FROM withdrawn AS w
JOIN was ON was.id = w.id
LEFT JOIN identity_facts AS o ON o.user_id = $1 AND o.id = w.supersedes
ORDER BY w.recorded_at DESC, w.id DESC

-- name: restore
-- The fact $2, or if that can't stand any more the next one whose place it had taken, holds again: until $3, when the one
-- that was recorded at $4 had ended it, or until now where $3 is null and nothing stands against it.
WITH RECURSIVE line AS (
    SELECT f.id, f.supersedes, f.valid_from, f.valid_to, f.ended_at, {{may_stand}} AS may_stand
    FROM identity_facts AS f
    WHERE f.user_id = $1 AND f.id = $2
    UNION ALL
    SELECT f.id, f.supersedes, f.valid_from, f.valid_to, f.ended_at, {{may_stand}}
    FROM line AS l JOIN identity_facts AS f ON f.user_id = $1 AND f.id = l.supersedes
    WHERE NOT l.may_stand
)
UPDATE identity_facts AS f SET
    valid_to = CASE WHEN $3 IS NOT NULL THEN greatest($3, f.valid_from) END,
    ended_at = CASE WHEN $3 IS NOT NULL THEN f.ended_at END
FROM line AS was
WHERE was.may_stand AND f.user_id = $1 AND f.id = was.id AND f.valid_to IS NOT NULL
    AND CASE
        WHEN $3::timestamptz IS NOT NULL THEN f.ended_at <= $4
        ELSE NOT EXISTS (
            SELECT FROM identity_facts AS o
            WHERE o.user_id = f.user_id AND o.subject = f.subject AND o.attribute = f.attribute AND o.valid_to IS NULL
                AND (NOT f.has_many OR NOT o.has_many OR o.value_key = f.value_key)
        )
    END
RETURNING f.id, was.valid_from, was.valid_to, was.ended_at

-- name: revive_statements
-- The memory that only states the fact $2, which holds again.
WITH was AS (
    SELECT m.id, m.status, m.valid_from, m.valid_to
    FROM evidence AS e JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
    WHERE e.user_id = $1 AND e.fact_id = $2 AND m.memory_type = 'identity' AND m.status = 'superseded'
)
UPDATE memories AS m SET status = 'active', valid_to = NULL, updated_at = now()
FROM was WHERE m.user_id = $1 AND m.id = was.id
RETURNING was.*

-- name: date_change
-- Where a fact that rests on $3 took the place of one that rests on $2, it did so at $4.
WITH change AS (
    SELECT o.id AS older, n.id AS newer, greatest($4::timestamptz, o.valid_from) AS at
    FROM identity_facts AS n
    JOIN identity_facts AS o ON o.user_id = n.user_id AND o.id = n.supersedes AND o.valid_to IS NOT NULL
    JOIN evidence AS s ON s.user_id = n.user_id AND s.fact_id = n.id AND s.memory_id = $3
    JOIN evidence AS e ON e.user_id = o.user_id AND e.fact_id = o.id AND e.memory_id = $2
    WHERE n.user_id = $1
), was AS (
    SELECT f.id, f.valid_from, f.valid_to, f.ended_at, c.at, f.id = c.newer AS is_newer
    FROM identity_facts AS f JOIN change AS c ON f.id IN (c.older, c.newer)
    WHERE f.user_id = $1
)
UPDATE identity_facts AS f SET
    valid_from = CASE WHEN was.is_newer THEN least(was.at, f.valid_to) ELSE f.valid_from END,
    valid_to = CASE WHEN was.is_newer THEN f.valid_to ELSE was.at END
FROM was WHERE f.user_id = $1 AND f.id = was.id
RETURNING f.id, was.valid_from, was.valid_to, was.ended_at

-- name: share
-- What rests on the memories $2 rests on $3 as well.
INSERT INTO evidence (user_id, fact_id, memory_id)
SELECT DISTINCT user_id, fact_id, $3::uuid FROM evidence WHERE user_id = $1 AND memory_id = ANY($2::uuid[])
ON CONFLICT DO NOTHING

-- name: drop
-- What the memory $2 said.
DELETE FROM evidence WHERE user_id = $1 AND memory_id = $2

-- name: delete_bare
-- The fact $2, if it rests on nothing any more. What took its place took that of what it had superseded.
WITH gone AS (
    DELETE FROM identity_facts AS f
    WHERE f.user_id = $1 AND f.id = $2
        AND NOT EXISTS (SELECT FROM evidence AS e WHERE e.user_id = f.user_id AND e.fact_id = f.id)
    RETURNING f.id, f.supersedes
)
UPDATE identity_facts AS f SET supersedes = g.supersedes FROM gone AS g WHERE f.user_id = $1 AND f.supersedes = g.id
