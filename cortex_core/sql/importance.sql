-- name: list_off
-- What is furthest from `scoring.calculate_importance`, and what that gives: $1 the owner, $2 now, $3 the weights of types as
-- JSON, $4 the least difference that is worth a write, $5 the most. What is pinned or identity never loses any.
SELECT id, importance
FROM (
    SELECT id, was, CASE WHEN is_kept THEN greatest(was, formula) ELSE formula END AS importance
    FROM (
        SELECT
            m.id, m.importance AS was, 'pinned' = ANY (m.tags) OR m.memory_type = 'identity' AS is_kept,
            0.40 * m.emotional_score
                + 0.20 / (1 + ln(1 + greatest(0, extract(epoch FROM $2::timestamptz - m.created_at)) / 3600))
                + 0.20 * least(1, ln(1 + m.access_count) / 5)
                + 0.20 * ($3::jsonb ->> m.memory_type)::float8 AS formula
        FROM memories AS m
        WHERE m.user_id = $1 AND m.status = 'active'
    ) AS scored
) AS aimed
WHERE abs(importance - was) >= $4
ORDER BY abs(importance - was) DESC
LIMIT $5

-- name: set
-- When a memory was updated stays as it is: nothing is news of it.
UPDATE memories AS m SET importance = n.importance
FROM unnest($2::uuid[], $3::float8[]) AS n (id, importance)
WHERE m.user_id = $1 AND m.id = n.id
