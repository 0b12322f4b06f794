-- name: mark_owner
INSERT INTO owners (user_id, forgotten_at) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET forgotten_at = excluded.forgotten_at

-- name: stop_writes
SELECT pg_advisory_xact_lock(hashtext('cortex writes'))

-- name: bury
INSERT INTO tombstones AS t (memory_id, user_id, version, forgotten_at) SELECT unnest($2::uuid[]), $1, $3, $4
ON CONFLICT (memory_id, user_id) DO UPDATE SET
    version = greatest(t.version, excluded.version), forgotten_at = greatest(t.forgotten_at, excluded.forgotten_at)

-- fragment: bury_contents
-- Of $1, what is gone: from another source, too, it can't be learned again if it was said up to then.
buried AS (
    INSERT INTO forgotten_contents AS f (user_id, digest, forgotten_at)
    SELECT $1, digest_of($1, content), max(until) FROM gone GROUP BY 2
    ON CONFLICT (user_id, digest) DO UPDATE SET forgotten_at = greatest(f.forgotten_at, excluded.forgotten_at)
)
SELECT id FROM gone

-- name: list_touched_facts
-- Facts that lose evidence with these memories, and the audiences of what is left of it: null if nothing is.
SELECT f.id, f.audience, array_agg(DISTINCT m.audience) FILTER (WHERE m.id <> ALL($2::uuid[])) AS audiences_left
FROM identity_facts AS f
JOIN evidence AS e ON e.user_id = f.user_id AND e.fact_id = f.id
JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
WHERE f.user_id = $1 AND f.id IN (SELECT fact_id FROM evidence WHERE user_id = $1 AND memory_id = ANY($2))
GROUP BY f.id, f.audience

-- name: narrow_fact
UPDATE identity_facts SET audience = $3 WHERE user_id = $1 AND id = $2

-- fragment: gone_facts
-- Named as `state_fact` in knowledge/identity.py does.
RETURNING
    id, CASE WHEN subject <> '' THEN subject || ', ' ELSE '' END || attribute || ': ' || coalesce(value #>> '{}', 'null') AS content,
    $2::timestamptz AS until

-- name: delete_facts
WITH gone AS (
    DELETE FROM identity_facts WHERE user_id = $1 AND id = ANY($3::uuid[]) {{gone_facts}}
), {{bury_contents}}

-- name: delete_all_facts
WITH gone AS (
    DELETE FROM identity_facts WHERE user_id = $1 {{gone_facts}}
), {{bury_contents}}

-- fragment: gone_memories
RETURNING id, content, greatest($2::timestamptz, created_at) AS until

-- name: delete_memories
WITH gone AS (
    DELETE FROM memories WHERE user_id = $1 AND id = ANY($3::uuid[]) {{gone_memories}}
), {{bury_contents}}

-- name: delete_all_memories
WITH gone AS (
    DELETE FROM memories WHERE user_id = $1 {{gone_memories}}
), {{bury_contents}}

-- name: delete_contradictions
DELETE FROM contradictions
WHERE (owner_a = $1 AND memory_a = ANY($2::uuid[])) OR (owner_b = $1 AND memory_b = ANY($2))
RETURNING id

-- name: delete_all_contradictions
DELETE FROM contradictions WHERE $1 IN (owner_a, owner_b) RETURNING id

-- name: unname_reviewer
-- What somebody decided about others' memories stays decided, without their name and what they noted; what they were
-- about to decide is free.
UPDATE contradictions SET
    resolved_by = nullif(resolved_by, $1),
    note = CASE WHEN resolved_by IS DISTINCT FROM $1 THEN note END,
    claimed_by = nullif(claimed_by, $1),
    claimed_until = CASE WHEN claimed_by IS DISTINCT FROM $1 THEN claimed_until END
WHERE $1 IN (resolved_by, claimed_by)

-- name: delete_dead_letters
-- A language model's unreadable answer may repeat any memory of its owner.
DELETE FROM dead_letters
WHERE user_id = $1 AND ($2::uuid[] IS NULL OR memory_id = ANY($2) OR (memory_id IS NULL AND entry_id LIKE 'analysis %'))
RETURNING id

-- name: delete_session
DELETE FROM sessions WHERE user_id = $1 RETURNING user_id

-- name: take_time
SET LOCAL statement_timeout = '60s'

-- name: forget_common_words
-- They are counted anew.
WITH gone AS (DELETE FROM common_words WHERE user_id = $1)
UPDATE owners SET words_counted = 0 WHERE user_id = $1 AND words_counted > 0

-- name: delete_runs
DELETE FROM consolidation_runs WHERE user_id = $1

-- name: delete_leases
-- Whoever works on the owner at this moment can't commit any more.
DELETE FROM leases WHERE user_id = $1

-- name: list_meant
-- $2 what is to be forgotten, up to version $3: a later one stays, with all that rests on it. What retells memories, a
-- summary or a merged memory, stands for those that were put away in its favour: they are meant as well.
WITH RECURSIVE meant AS (
    SELECT id, source, status FROM memories WHERE user_id = $1 AND id = ANY($2::uuid[]) AND version <= $3
    UNION
    SELECT m.id, m.source, m.status
    FROM meant AS n
    JOIN derivations AS d ON d.user_id = $1 AND d.derived_id = n.id
    JOIN memories AS m ON m.user_id = $1 AND m.id = d.source_id
    WHERE CASE n.source
        WHEN 'compaction' THEN m.status = 'archived'
        WHEN 'contradiction_merge' THEN m.status = 'superseded' AND n.status <> 'archived'
    END
)
SELECT id FROM meant

-- name: list_drawn_from
-- What was drawn from $2: what retells it always, else what was drawn from nothing besides.
SELECT DISTINCT m.id
FROM derivations AS d
JOIN memories AS m ON m.user_id = $1 AND m.id = d.derived_id
WHERE d.user_id = $1 AND d.source_id = ANY($2::uuid[]) AND m.id <> ALL($2)
    AND (
        m.source IN ('compaction', 'contradiction_merge')
        OR NOT EXISTS (
            SELECT FROM derivations AS o WHERE o.user_id = $1 AND o.derived_id = m.id AND o.source_id <> ALL($2)
        )
    )
