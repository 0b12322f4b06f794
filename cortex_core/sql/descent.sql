-- What was drawn from a memory (derivations), when that memory changes. All of it happens under the owner's lock.

-- name: list_reworded
-- Of the edited memories named by owner ($1) and id ($2) those that something was drawn from: reading otherwise, they are
-- active, also if they were archived.
SELECT DISTINCT m.user_id, m.id
FROM unnest($1::text[], $2::uuid[]) AS s (user_id, id)
JOIN memories AS m ON m.user_id = s.user_id AND m.id = s.id AND m.status = 'active'
JOIN derivations AS d ON d.user_id = m.user_id AND d.source_id = m.id

-- name: withdraw_summaries
-- Of the memories $2: their summaries go, and what was summarised speaks for itself again.
WITH gone AS (
    SELECT DISTINCT r.id
    FROM derivations AS d JOIN memories AS r ON r.user_id = d.user_id AND r.id = d.derived_id
    WHERE d.user_id = $1 AND d.source_id = ANY($2::uuid[]) AND r.source = 'compaction'
), restored AS (
    UPDATE memories AS m SET status = 'active', updated_at = now()
    FROM gone AS g JOIN derivations AS d ON d.user_id = $1 AND d.derived_id = g.id
    WHERE m.user_id = $1 AND m.id = d.source_id AND m.status = 'archived'
)
DELETE FROM memories AS m USING gone AS g WHERE m.user_id = $1 AND m.id = g.id

-- name: take_proof
-- The memories $2 show no pattern any more.
DELETE FROM derivations AS d USING memories AS r
WHERE d.user_id = $1 AND d.source_id = ANY($2::uuid[])
    AND r.user_id = d.user_id AND r.id = d.derived_id AND r.source = 'consolidation'
RETURNING d.derived_id

-- name: drop_unproven
-- Of the patterns $2, those that fewer than $3 memories show.
DELETE FROM memories AS m
WHERE m.user_id = $1 AND m.id = ANY($2::uuid[])
    AND (SELECT count(*) FROM derivations AS d WHERE d.user_id = $1 AND d.derived_id = m.id) < $3

-- name: list_drawn
SELECT m.id, m.audience
FROM derivations AS d JOIN memories AS m ON m.user_id = d.user_id AND m.id = d.derived_id
WHERE d.user_id = $1 AND d.source_id = $2
