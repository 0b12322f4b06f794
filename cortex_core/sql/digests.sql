-- What was learned about people lately, for those who want to be told.

-- name: list_due
-- Whose week is over, and whom nobody was to tell lately: $1 now, $2 how long a week is, $3 how long they are left alone
-- after a try, $4 after whom, $5 the most.
SELECT
    o.user_id, o.digest_sent_at, o.digest_claimed_at,
    (
        SELECT f.value #>> '{}' FROM identity_facts AS f
        WHERE f.user_id = o.user_id AND f.subject = '' AND f.attribute = 'timezone' AND f.valid_to IS NULL
        LIMIT 1
    ) AS timezone
FROM owners AS o
WHERE o.wants_digest AND o.opted_out_at IS NULL AND o.digest_sent_at <= $1::timestamptz - $2::interval AND o.user_id > $4
    AND coalesce(o.digest_claimed_at <= $1::timestamptz - $3::interval, true)
ORDER BY o.user_id
LIMIT $5

-- name: claim
-- $2 when somebody was to tell the last one, as the claimant saw it: of several who see the same, one tells the next, at $3.
UPDATE owners SET digest_claimed_at = $3
WHERE user_id = $1 AND digest_claimed_at IS NOT DISTINCT FROM $2 AND wants_digest AND opted_out_at IS NULL
RETURNING user_id

-- name: note_sent
-- $2 until when was told.
UPDATE owners SET digest_sent_at = greatest(digest_sent_at, $2) WHERE user_id = $1

-- fragment: learned
-- What was changed by runs that ended from $2 to $3, by id and kind: what one that goes on has changed is news when it has
-- ended. What a person decided is none to them.
learned AS (
    SELECT DISTINCT c.kind, c.target
    FROM changes AS c JOIN consolidation_runs AS r ON r.id = c.run_id
    WHERE c.user_id = $1 AND r.user_id = $1 AND r.undone_at IS NULL
        AND r.job NOT IN ('contradiction resolved', 'question answered') AND r.completed_at >= $2 AND r.completed_at < $3
)

-- name: list_news
-- What was learned from $2 to $3 and is still so: facts that were added, with what they took the place of, and facts that
-- ended without a successor.
WITH {{learned}}
SELECT f.*, heard_in(f) AS audiences, l.kind, o.value AS before
FROM learned AS l
JOIN identity_facts AS f ON f.user_id = $1 AND f.id = l.target
LEFT JOIN identity_facts AS o ON o.user_id = f.user_id AND o.id = f.supersedes
WHERE CASE l.kind
        WHEN 'fact added' THEN f.valid_to IS NULL
        WHEN 'fact ended' THEN f.valid_to IS NOT NULL AND NOT EXISTS (
            SELECT FROM identity_facts AS n WHERE n.user_id = f.user_id AND n.supersedes = f.id
        )
    END
ORDER BY f.subject, f.attribute, f.recorded_at, f.id

-- fragment: standing_pattern
m.source = 'consolidation' AND m.status = 'active'

-- name: list_patterns
-- Those that were drawn from $2 to $3 and still stand.
WITH {{learned}}
SELECT m.*
FROM learned AS l JOIN memories AS m ON m.user_id = $1 AND m.id = l.target
WHERE l.kind = 'memory added' AND {{standing_pattern}}
ORDER BY m.created_at, m.id

-- name: has_pattern
SELECT EXISTS (SELECT FROM memories AS m WHERE m.user_id = $1 AND m.id = $2 AND {{standing_pattern}})

-- name: lock_fact
SELECT valid_to FROM identity_facts WHERE user_id = $1 AND id = $2 FOR UPDATE
