-- Pairs of memories that can't both be true. Who may decide stands in the statement: the owner of both, or for what a
-- project shares its owner and admins.

-- fragment: may_decide
-- $1 whoever acts.
CASE
        WHEN c.project_id IS NULL THEN c.owner_a = $1
        ELSE EXISTS (
            SELECT FROM project_members AS p JOIN projects AS q ON q.id = p.project_id
            WHERE p.project_id = c.project_id AND p.user_id = $1 AND p.role IN ('owner', 'admin') AND q.archived_at IS NULL
        )
    END

-- fragment: may_see
-- $1 whoever acts.
CASE
        WHEN c.project_id IS NULL THEN c.owner_a = $1
        ELSE EXISTS (SELECT FROM project_members AS p WHERE p.project_id = c.project_id AND p.user_id = $1)
    END

-- fragment: stands
-- Both still hold, and are still the project's.
a.status = 'active' AND b.status = 'active'
    AND (c.project_id IS NULL OR (a.project_id = c.project_id AND b.project_id = c.project_id))

-- fragment: asked
-- Their owner is asked about the two, or was: one says what the other one's fact is held against.
(c.project_id IS NULL AND EXISTS (
        SELECT FROM corrections AS q JOIN evidence AS e ON e.user_id = q.user_id AND e.fact_id = q.fact_id
        WHERE q.user_id = a.user_id AND (q.memory_id, e.memory_id) IN ((a.id, b.id), (b.id, a.id))
    ))

-- fragment: columns
c.id, c.owner_a, c.memory_a, c.owner_b, c.memory_b, c.project_id, c.explanation, c.found_by, c.detected_at, c.resolution,
    c.resolved_at, c.resolved_by, c.note, c.changed_on, c.run_id

-- name: flag
-- $1 the id, $2 and $3 one memory, $4 and $5 the other, $6 the project that both must belong to, $7 why, $8 who says so.
INSERT INTO contradictions AS c (id, owner_a, memory_a, owner_b, memory_b, project_id, explanation, found_by)
SELECT $1, a.user_id, a.id, b.user_id, b.id, $6, $7, $8
FROM memories AS a, memories AS b, (SELECT $6::text AS project_id) AS c
WHERE ((a.user_id, a.id) IN (($2::text, $3::uuid), ($4::text, $5::uuid)))
    AND ((b.user_id, b.id) IN (($2::text, $3::uuid), ($4::text, $5::uuid)))
    AND (a.user_id, a.id) < (b.user_id, b.id)
    AND {{stands}} AND NOT {{asked}}
ON CONFLICT (owner_a, memory_a, owner_b, memory_b) DO NOTHING
RETURNING c.id

-- name: list_known
-- Of the memories named by owner ($1) and id ($2), the pairs that were ever flagged.
SELECT c.memory_a, c.memory_b
FROM contradictions AS c
JOIN unnest($1::text[], $2::uuid[]) AS a (user_id, id) ON a.user_id = c.owner_a AND a.id = c.memory_a
JOIN unnest($1::text[], $2::uuid[]) AS b (user_id, id) ON b.user_id = c.owner_b AND b.id = c.memory_b

-- name: list_asked
-- $1 the owner.
SELECT f.subject, f.attribute, f.value AS held, q.value AS said
FROM corrections AS q JOIN identity_facts AS f ON f.user_id = q.user_id AND f.id = q.fact_id
WHERE q.user_id = $1

-- name: list_open
-- Those that a person may decide, $1; of that project, $2, or of all where it is null; $3 the most.
SELECT {{columns}}
FROM contradictions AS c
JOIN memories AS a ON a.user_id = c.owner_a AND a.id = c.memory_a
JOIN memories AS b ON b.user_id = c.owner_b AND b.id = c.memory_b
WHERE c.resolution IS NULL AND ($2::text IS NULL OR c.project_id = $2) AND {{may_decide}} AND {{stands}}
    AND NOT {{asked}}
ORDER BY c.detected_at, c.id
LIMIT $3

-- name: list_pending
-- Those of anybody: $1 the most.
SELECT {{columns}}
FROM contradictions AS c
JOIN memories AS a ON a.user_id = c.owner_a AND a.id = c.memory_a
JOIN memories AS b ON b.user_id = c.owner_b AND b.id = c.memory_b
WHERE c.resolution IS NULL AND {{stands}} AND NOT {{asked}}
ORDER BY c.detected_at, c.id
LIMIT $1

-- name: get
-- $2 the id.
SELECT {{columns}}, {{may_decide}} AS may_decide FROM contradictions AS c WHERE c.id = $2 AND {{may_see}}

-- name: claim
-- $1 who looks at it, $2 the id, $3 for how long, as long as nobody else does.
UPDATE contradictions AS c SET claimed_by = $1, claimed_until = now() + $3::interval
WHERE c.id = $2 AND c.resolution IS NULL AND {{may_decide}}
    AND (c.claimed_by IS NULL OR c.claimed_by = $1 OR c.claimed_until < now())
RETURNING c.id

-- name: get_claimant
SELECT c.claimed_by FROM contradictions AS c
WHERE c.id = $2 AND c.resolution IS NULL AND {{may_decide}} AND c.claimed_by <> $1 AND c.claimed_until >= now()

-- name: release
UPDATE contradictions SET claimed_by = NULL, claimed_until = NULL WHERE id = $2 AND claimed_by = $1

-- name: lock
-- $2 the id: whoever comes second waits, and finds it decided.
SELECT {{columns}} FROM contradictions AS c WHERE c.id = $2 AND {{may_decide}} FOR UPDATE

-- name: lock_pair
-- The two memories, while both stand.
SELECT a.id
FROM contradictions AS c
JOIN memories AS a ON a.user_id = c.owner_a AND a.id = c.memory_a
JOIN memories AS b ON b.user_id = c.owner_b AND b.id = c.memory_b
WHERE c.id = $1 AND {{stands}}
FOR UPDATE OF a, b

-- name: get_pair
-- $1 whoever may decide it, $2 the id. First memory a, then b.
SELECT m.*
FROM contradictions AS c
JOIN memories AS m ON (m.user_id, m.id) IN ((c.owner_a, c.memory_a), (c.owner_b, c.memory_b))
WHERE c.id = $2 AND {{may_decide}} AND (c.project_id IS NULL OR m.project_id = c.project_id)
ORDER BY (m.user_id, m.id) = (c.owner_b, c.memory_b)

-- name: begin
-- $3 from when on it holds.
UPDATE memories SET valid_from = $3, valid_to = CASE WHEN valid_to >= $3 THEN valid_to END, updated_at = now()
WHERE user_id = $1 AND id = $2

-- name: decide
-- $2 the resolution, $3 who decided, $4 a note, $5 the date of a change, $6 the run.
UPDATE contradictions SET
    resolution = $2, resolved_at = now(), resolved_by = $3, note = $4, changed_on = $5, run_id = $6, claimed_by = NULL,
    claimed_until = NULL
WHERE id = $1

-- name: reopen
-- $1 the run that decided it.
UPDATE contradictions SET
    resolution = NULL, resolved_at = NULL, resolved_by = NULL, note = NULL, changed_on = NULL, run_id = NULL
WHERE run_id = $1

-- name: list_comparable
-- What an owner knows, identity and semantic memories, the latest first: $1 the owner, $2 the most.
SELECT m.*
FROM memories AS m
WHERE m.user_id = $1 AND m.memory_type IN ('identity', 'semantic') AND m.status = 'active' AND m.source <> 'compaction'
    AND m.project_id IS NULL AND m.embedding IS NOT NULL AND m.embedding_model_id = $3
    AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = m.user_id AND o.opted_out_at IS NOT NULL)
ORDER BY m.created_at DESC, m.id DESC
LIMIT $2

-- name: list_comparable_of_project
-- The same of what a project knows, whoever said it: $1 the project.
SELECT m.*
FROM memories AS m
WHERE m.project_id = $1 AND m.status = 'active' AND m.source <> 'compaction'
    AND m.memory_type IN ('identity', 'semantic') AND m.embedding IS NOT NULL AND m.embedding_model_id = $3
    AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = m.user_id AND o.opted_out_at IS NOT NULL)
    AND EXISTS (SELECT FROM projects AS p WHERE p.id = $1 AND p.archived_at IS NULL)
ORDER BY m.created_at DESC, m.id DESC
LIMIT $2

-- name: projects_of
-- Live projects that an owner told something.
SELECT DISTINCT p.id
FROM projects AS p JOIN project_members AS o ON o.project_id = p.id
WHERE o.user_id = $1 AND p.archived_at IS NULL
ORDER BY p.id
