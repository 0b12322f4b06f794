-- What was learned about people lately, for those who want to be told.

-- name: list_due
-- Whose week is over: $1 now, $2 how long that is, $3 after whom, $4 the most.
SELECT
    o.user_id, o.digest_sent_at,
    (
        SELECT f.value #>> '{}' FROM identity_facts AS f
        WHERE f.user_id = o.user_id AND f.subject = '' AND f.attribute = 'timezone' AND f.valid_to IS NULL
        LIMIT 1
    ) AS timezone
FROM owners AS o
WHERE o.wants_digest AND o.opted_out_at IS NULL AND o.digest_sent_at <= $1::timestamptz - $2::interval AND o.user_id > $3
ORDER BY o.user_id
LIMIT $4

-- name: claim
-- $2 when the last one was, as the claimant saw it: of several who see the same, one tells the next, at $3.
UPDATE owners SET digest_sent_at = $3
WHERE user_id = $1 AND digest_sent_at = $2 AND wants_digest AND opted_out_at IS NULL
RETURNING user_id

-- name: list_news
-- What was learned from $2 to $3 and is still so: facts that were added, with what they took the place of, and facts that
-- ended without a successor. What a person decided is no news to them.
WITH learned AS (
    SELECT DISTINCT c.kind, c.target
    FROM changes AS c JOIN consolidation_runs AS r ON r.id = c.run_id
    WHERE c.user_id = $1 AND c.kind IN ('fact added', 'fact ended') AND r.user_id = $1 AND r.undone_at IS NULL
        AND r.job <> 'contradiction resolved' AND r.started_at >= $2 AND r.started_at < $3
)
SELECT f.*, l.kind, o.value AS before
FROM learned AS l
JOIN identity_facts AS f ON f.user_id = $1 AND f.id = l.target
LEFT JOIN identity_facts AS o ON o.user_id = f.user_id AND o.id = f.supersedes
WHERE CASE l.kind
        WHEN 'fact added' THEN f.valid_to IS NULL
        ELSE f.valid_to IS NOT NULL AND NOT EXISTS (
            SELECT FROM identity_facts AS n WHERE n.user_id = f.user_id AND n.supersedes = f.id
        )
    END
ORDER BY f.subject, f.attribute, f.recorded_at, f.id

-- name: lock_fact
SELECT id, valid_to, supersedes FROM identity_facts WHERE user_id = $1 AND id = $2 FOR UPDATE

-- name: withdraw
-- It was believed until now, and held at no time.
UPDATE identity_facts SET valid_to = valid_from, ended_at = greatest(now(), recorded_at)
WHERE user_id = $1 AND id = $2 AND valid_to IS NULL

-- name: revive_statements
-- The memory that only states a fact holds again with it.
UPDATE memories SET status = 'active', valid_to = NULL, updated_at = now()
WHERE user_id = $1 AND memory_type = 'identity' AND status = 'superseded'
    AND id IN (SELECT memory_id FROM evidence WHERE user_id = $1 AND fact_id = $2)
    AND EXISTS (SELECT FROM identity_facts WHERE user_id = $1 AND id = $2 AND valid_to IS NULL)
