-- Runs of background work, and what each changed, so that it can be taken back.

-- name: log
INSERT INTO consolidation_runs (id, user_id, job, status, started_at, completed_at, counts, error, epoch)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET
    status = excluded.status, completed_at = excluded.completed_at, counts = excluded.counts, error = excluded.error

-- name: close_interrupted
-- $1 the owner, $2 the epoch that works now: whoever had an earlier one is gone. What is nobody's own has a lease for each
-- job, $3.
UPDATE consolidation_runs SET status = 'failed', completed_at = now(), error = 'The process that did it ended.'
WHERE status = 'running' AND epoch < $2 AND (user_id = $1 OR ($1 = '' AND user_id IS NULL AND job = $3))

-- name: list
-- A parameter that is null doesn't filter: $1 since when, $2 the owner, $3 the job; $4 the most.
SELECT id, job, user_id, status, started_at, completed_at, counts, error, epoch, undone_at
FROM consolidation_runs
WHERE ($1::timestamptz IS NULL OR started_at >= $1) AND ($2::text IS NULL OR user_id = $2) AND ($3::text IS NULL OR job = $3)
ORDER BY started_at DESC, id DESC
LIMIT $4

-- fragment: can_be_taken_back
-- Whether the run changed something, or was somebody's decision to leave things as they are.
(
    EXISTS (SELECT FROM changes AS c WHERE c.user_id = r.user_id AND c.run_id = r.id)
    OR EXISTS (SELECT FROM contradictions AS c WHERE c.run_id = r.id)
    OR EXISTS (SELECT FROM corrections AS c WHERE c.run_id = r.id)
)

-- name: drop_empty
-- What was logged before $1, of runs that changed nothing that could be taken back.
DELETE FROM consolidation_runs AS r
WHERE r.started_at < $1 AND r.status <> 'running' AND NOT {{can_be_taken_back}}

-- name: add_changes
-- $1 the run, $2 the owner, $3 the kind, $4 the targets, $5 what each was before, as JSON.
INSERT INTO changes (run_id, user_id, kind, target, before)
SELECT $1, $2, $3, target, coalesce(before, '{}')::jsonb FROM unnest($4::uuid[], $5::text[]) AS c (target, before)
ON CONFLICT DO NOTHING

-- fragment: owners_known
-- Each with when their last memory was made: one look into the index for each owner, not for each memory.
RECURSIVE known AS (
    (SELECT user_id, created_at FROM memories ORDER BY user_id, created_at DESC LIMIT 1)
    UNION ALL
    SELECT next.user_id, next.created_at
    FROM known, LATERAL (
        SELECT m.user_id, m.created_at
        FROM memories AS m WHERE m.user_id > known.user_id
        ORDER BY m.user_id, m.created_at DESC LIMIT 1
    ) AS next
)

-- name: list_due
-- Owners who said something since their last run, less the hour in which a memory may be on its way, and whoever had none
-- for longer than $1: what nobody adds to grows old, too. $2 is now, $3 the job.
WITH {{owners_known}}
SELECT k.user_id
FROM known AS k
LEFT JOIN LATERAL (
    SELECT r.started_at
    FROM consolidation_runs AS r
    WHERE r.user_id = k.user_id AND r.job = $3 AND r.status = 'succeeded'
    ORDER BY r.started_at DESC LIMIT 1
) AS last ON true
WHERE (
        last.started_at IS NULL
        OR k.created_at > last.started_at - interval '1 hour'
        OR last.started_at < $2::timestamptz - $1::interval
    )
    AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = k.user_id AND o.opted_out_at IS NOT NULL)
ORDER BY k.user_id

-- name: list_speakers
-- $1 since when.
WITH {{owners_known}}
SELECT user_id FROM known WHERE created_at >= $1 ORDER BY user_id

-- name: last_success
-- $1 the owner, $2 the job.
SELECT max(started_at) FROM consolidation_runs
WHERE user_id IS NOT DISTINCT FROM $1 AND job = $2 AND status = 'succeeded'

-- name: list_parts
-- The runs that the run $2 of the owner $1 sums up, if it is of the job $3, and that weren't taken back: the latest first.
SELECT r.id
FROM consolidation_runs AS w
JOIN consolidation_runs AS r ON r.user_id = w.user_id AND r.epoch = w.epoch AND r.started_at >= w.started_at AND r.id <> w.id
WHERE w.user_id = $1 AND w.id = $2 AND w.job = $3 AND r.undone_at IS NULL
ORDER BY r.started_at DESC, r.id DESC

-- name: changed_anything
-- Whether one of the runs $1 changed something that can be taken back.
SELECT EXISTS (SELECT FROM consolidation_runs AS r WHERE r.id = ANY($1::uuid[]) AND {{can_be_taken_back}})

-- name: log_summary
-- The run that wrote the summary $2 of the owner $1 is logged once more, as $3, for that summary alone.
INSERT INTO consolidation_runs (id, user_id, job, status, started_at, completed_at, counts, epoch)
SELECT
    $3, r.user_id, r.job, 'succeeded', r.started_at, r.completed_at,
    jsonb_build_object('summaries', 1, 'memories_compacted', (
        SELECT count(*) FROM derivations AS d WHERE d.user_id = $1 AND d.derived_id = $2
    )),
    r.epoch
FROM memories AS m
JOIN changes AS c ON c.user_id = m.user_id AND c.target = m.id AND c.kind = 'memory added'
JOIN consolidation_runs AS r ON r.id = c.run_id AND r.undone_at IS NULL
WHERE m.user_id = $1 AND m.id = $2 AND m.source = 'compaction' AND m.status = 'active'
RETURNING id

-- name: split_off
-- What was changed for the summary $2 of the owner $1 was done by the run $3: that it was added, and archived what it retells.
UPDATE changes AS c SET run_id = $3
FROM changes AS a
WHERE a.user_id = $1 AND a.target = $2 AND a.kind = 'memory added' AND c.user_id = $1 AND c.run_id = a.run_id
    AND (c.target = $2 OR (c.kind = 'memory archived' AND c.target IN (
        SELECT source_id FROM derivations WHERE user_id = $1 AND derived_id = $2
    )))

-- name: lock
-- $1 the owner, $2 the run.
SELECT status, undone_at FROM consolidation_runs WHERE user_id IS NOT DISTINCT FROM $1 AND id = $2 FOR UPDATE

-- name: is_built_upon
-- Whether a later run changed what this one did.
SELECT EXISTS (
    SELECT
    FROM changes AS mine
    JOIN changes AS other ON other.user_id = mine.user_id AND other.target = mine.target AND other.run_id <> mine.run_id
    JOIN consolidation_runs AS later ON later.id = other.run_id
    WHERE mine.run_id = $1 AND later.undone_at IS NULL
        AND later.started_at > (SELECT started_at FROM consolidation_runs WHERE id = $1)
)

-- name: take_back_memories
-- $1 the run, $2 whose memories it may have changed, here and in the next four.
-- What it archived, superseded or changed is as before, unless somebody decided otherwise since.
UPDATE memories AS m SET
    status = coalesce(c.before ->> 'status', 'active'),
    valid_from = coalesce((c.before ->> 'valid_from')::timestamptz, m.valid_from),
    valid_to = (c.before ->> 'valid_to')::timestamptz,
    updated_at = now()
FROM changes AS c
WHERE c.run_id = $1 AND c.user_id = ANY($2::text[]) AND m.user_id = c.user_id AND m.id = c.target
    AND m.status = CASE c.kind
        WHEN 'memory archived' THEN 'archived'
        WHEN 'memory superseded' THEN 'superseded'
        WHEN 'memory changed' THEN 'active'
    END
RETURNING m.id

-- name: take_back_added_memories
-- They stay, so that the next run knows them and doesn't add them again, and prove nothing.
WITH withdrawn AS (
    UPDATE memories AS m SET status = 'archived', updated_at = now()
    FROM changes AS c
    WHERE c.run_id = $1 AND c.user_id = ANY($2::text[]) AND c.kind = 'memory added'
        AND m.user_id = c.user_id AND m.id = c.target AND m.status = 'active'
    RETURNING m.user_id, m.id
), unproven AS (
    DELETE FROM evidence AS e USING withdrawn AS w WHERE e.user_id = w.user_id AND e.memory_id = w.id
)
SELECT id FROM withdrawn

-- name: take_back_added_facts
-- They were believed until now, and held at no time.
UPDATE identity_facts AS f SET valid_to = f.valid_from, ended_at = coalesce(f.ended_at, now())
FROM changes AS c
WHERE c.run_id = $1 AND c.user_id = ANY($2::text[]) AND c.kind = 'fact added' AND f.user_id = c.user_id AND f.id = c.target
    AND (f.valid_to IS NULL OR EXISTS (
        SELECT FROM changes AS e
        WHERE e.run_id = c.run_id AND e.user_id = c.user_id AND e.target = c.target AND e.kind = 'fact ended'
    ))
RETURNING f.id

-- name: take_back_changed_facts
-- They held when they did before; what ended since stays so. One holds alone again unless others do beside it now.
UPDATE identity_facts AS f SET
    has_many = CASE
        WHEN EXISTS (
            SELECT FROM identity_facts AS o
            WHERE o.user_id = f.user_id AND o.subject = f.subject AND o.attribute = f.attribute AND o.valid_to IS NULL
                AND o.id <> f.id
        ) THEN f.has_many
        ELSE coalesce((c.before ->> 'has_many')::boolean, f.has_many)
    END,
    valid_from = least((c.before ->> 'valid_from')::timestamptz, f.valid_to),
    valid_to = coalesce((c.before ->> 'valid_to')::timestamptz, f.valid_to),
    ended_at = coalesce((c.before ->> 'ended_at')::timestamptz, f.ended_at)
FROM changes AS c
WHERE c.run_id = $1 AND c.user_id = ANY($2::text[]) AND c.kind = 'fact changed' AND f.user_id = c.user_id AND f.id = c.target
RETURNING f.id

-- name: list_ended_facts
-- Those that it had not added itself: they hold again, once that is taken back.
SELECT c.user_id, c.target
FROM changes AS c
WHERE c.run_id = $1 AND c.user_id = ANY($2::text[]) AND c.kind = 'fact ended'
    AND NOT EXISTS (
        SELECT FROM changes AS a
        WHERE a.run_id = c.run_id AND a.user_id = c.user_id AND a.target = c.target AND a.kind = 'fact added'
    )

-- name: mark_undone
UPDATE consolidation_runs SET undone_at = now() WHERE id = $1

-- name: settle
-- Its owner decided on the memory $2: that it holds no more isn't taken back with the run that had found so, too.
DELETE FROM changes WHERE user_id = $1 AND target = $2 AND kind = 'memory superseded'
