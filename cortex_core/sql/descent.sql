-- What was drawn from a memory (derivations), when that memory changes. All of it happens under the owner's lock.

-- name: list_reworded
-- Of the edited memories named by owner ($1) and id ($2) those that something was drawn from which may not rest on them any
-- more: reading otherwise, they are active, also if they were not; reading as before, their owner kept them back.
SELECT DISTINCT m.user_id, m.id
FROM unnest($1::text[], $2::uuid[]) AS s (user_id, id)
JOIN memories AS m ON m.user_id = s.user_id AND m.id = s.id
JOIN derivations AS d ON d.user_id = m.user_id AND d.source_id = m.id
JOIN memories AS r ON r.user_id = d.user_id AND r.id = d.derived_id
WHERE m.status = 'active'
    OR (m.audience = 'owner' AND r.audience <> 'owner') OR (m.project_id IS NULL AND r.project_id IS NOT NULL)

-- name: drop_contradictions
-- Of the edited memories named by owner ($1) and id ($2), whose new words nobody read yet: what was found between the old
-- ones and something that holds beside them.
DELETE FROM contradictions AS c USING unnest($1::text[], $2::uuid[]) AS s (user_id, id), memories AS a, memories AS b
WHERE (s.user_id, s.id) IN ((c.owner_a, c.memory_a), (c.owner_b, c.memory_b))
    AND c.resolution IS DISTINCT FROM 'both_valid'
    AND a.user_id = c.owner_a AND a.id = c.memory_a AND a.status = 'active'
    AND b.user_id = c.owner_b AND b.id = c.memory_b AND b.status = 'active'
    AND EXISTS (
        SELECT FROM memories AS m
        WHERE m.user_id = s.user_id AND m.id = s.id AND m.learned_at IS NULL AND m.analysed_at IS NULL
    )

-- name: list_retellings
-- What says the memories $2 in other words and stands for them: summaries and merged memories.
SELECT DISTINCT r.id
FROM derivations AS d JOIN memories AS r ON r.user_id = d.user_id AND r.id = d.derived_id
WHERE d.user_id = $1 AND d.source_id = ANY($2::uuid[]) AND r.source IN ('compaction', 'contradiction_merge')

-- name: bring_back
-- What was archived in favour of $2, which go, speaks for itself again.
UPDATE memories AS m SET status = 'active', updated_at = now()
FROM derivations AS d JOIN memories AS r ON r.user_id = d.user_id AND r.id = d.derived_id AND r.source = 'compaction'
WHERE d.user_id = $1 AND d.derived_id = ANY($2::uuid[]) AND m.user_id = $1 AND m.id = d.source_id AND m.status = 'archived'

-- name: list_mergers
-- The decisions by which those of $2 that hold were merged, as runs.
SELECT r.id
FROM memories AS m
JOIN changes AS c ON c.user_id = m.user_id AND c.target = m.id AND c.kind = 'memory added'
JOIN consolidation_runs AS r ON r.id = c.run_id AND r.undone_at IS NULL
WHERE m.user_id = $1 AND m.id = ANY($2::uuid[]) AND m.source = 'contradiction_merge' AND m.status = 'active'

-- name: delete
-- Their texts aren't barred: drawn from what is left, they may come out the same.
DELETE FROM memories WHERE user_id = $1 AND id = ANY($2::uuid[])

-- name: take_proof
-- The memories $2 show no pattern any more.
DELETE FROM derivations AS d USING memories AS r
WHERE d.user_id = $1 AND d.source_id = ANY($2::uuid[])
    AND r.user_id = d.user_id AND r.id = d.derived_id AND r.source = 'consolidation'
RETURNING d.derived_id AS id

-- name: list_unproven
-- Of $2, the patterns that fewer than $3 memories show which were not taken back.
SELECT p.id
FROM memories AS p
WHERE p.user_id = $1 AND p.id = ANY($2::uuid[]) AND p.source = 'consolidation'
    AND (
        SELECT count(*)
        FROM derivations AS d JOIN memories AS s ON s.user_id = d.user_id AND s.id = d.source_id
        WHERE d.user_id = $1 AND d.derived_id = p.id AND s.status <> 'superseded'
    ) < $3

-- name: list_drawn
SELECT m.id, m.audience, m.project_id
FROM derivations AS d JOIN memories AS m ON m.user_id = d.user_id AND m.id = d.derived_id
WHERE d.user_id = $1 AND d.source_id = $2
