-- What is drawn from memories: summaries, patterns, merged memories.

-- fragment: compactable
-- An owner's episodes of whole weeks (Monday to Sunday, UTC) before $2, in groups that may share a summary: one week, one
-- audience, one project, one place. Nothing that somebody keeps on purpose, that a fact rests on, or that somebody brought
-- back by undoing a run; of projects only where the owner may tell them something now.
SELECT m.*, date_trunc('week', m.created_at, 'UTC') AS week
FROM memories AS m
WHERE m.user_id = $1 AND m.memory_type = 'episodic' AND m.status = 'active' AND m.created_at < $2
    AND 'pinned' <> ALL (m.tags)
    -- NOT IN, which is worked out once: a join would be looked up for each memory where statistics are young.
    AND m.id NOT IN (SELECT e.memory_id FROM evidence AS e WHERE e.user_id = $1)
    AND m.id NOT IN (
        SELECT c.target
        FROM changes AS c JOIN consolidation_runs AS r ON r.id = c.run_id
        WHERE c.user_id = $1 AND c.kind = 'memory archived' AND r.undone_at IS NOT NULL
    )
    AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = $1 AND o.opted_out_at IS NOT NULL)
    AND (m.project_id IS NULL OR m.project_id IN (
        SELECT p.project_id
        FROM project_members AS p JOIN projects AS q ON q.id = p.project_id
        WHERE p.user_id = $1 AND q.archived_at IS NULL
    ))

-- name: list_compactable
-- $3 how many there must be at least in all, $4 in a group, $5 the most, past the first $6; whole groups but the first and
-- the last.
WITH offered AS MATERIALIZED (
    SELECT id, created_at, week, audience, project_id, said_in FROM ({{compactable}}) AS m
), grouped AS (
    SELECT
        *, count(*) OVER () AS in_all, count(*) OVER (PARTITION BY week, audience, project_id, said_in) AS in_group
    FROM offered
), chosen AS (
    SELECT * FROM grouped
    WHERE in_all >= $3 AND in_group >= $4
    ORDER BY week, audience, project_id, said_in, created_at, id
    LIMIT $5 OFFSET $6
)
SELECT m.*, c.week
FROM chosen AS c JOIN memories AS m ON m.user_id = $1 AND m.id = c.id
ORDER BY c.week, m.audience, m.project_id, m.said_in, m.created_at, m.id

-- name: list_unchanged
-- Of the memories $3 with the versions $4, those that may still be compacted, as `list_compactable` has it.
SELECT m.id
FROM ({{compactable}}) AS m
JOIN unnest($3::uuid[], $4::bigint[], $5::text[], $6::text[]) AS s (id, version, audience, project_id) USING (id)
WHERE m.version = s.version AND m.audience = s.audience AND m.project_id IS NOT DISTINCT FROM s.project_id

-- name: lock
SELECT id, status, created_at, valid_from, valid_to
FROM memories WHERE user_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR UPDATE

-- name: drop_misplaced
-- A project takes nothing from who left it; then nothing is drawn either. $3 the project that it was drawn for.
DELETE FROM memories WHERE user_id = $1 AND id = $2 AND project_id IS DISTINCT FROM $3 RETURNING id

-- name: add
-- $2 what was drawn, $3 from which memories.
INSERT INTO derivations (user_id, derived_id, source_id) SELECT $1, $2, unnest($3::uuid[]) ON CONFLICT DO NOTHING

-- name: archive
UPDATE memories SET status = 'archived', updated_at = now() WHERE user_id = $1 AND id = ANY($2::uuid[])

-- name: list_sources
-- What a memory was drawn from, oldest first.
SELECT m.*
FROM derivations AS d JOIN memories AS m ON m.user_id = d.user_id AND m.id = d.source_id
WHERE d.user_id = $1 AND d.derived_id = $2
ORDER BY m.created_at, m.id

-- name: list_recent_episodes
-- What an owner said since $2, in their own words, the latest first: $3 the most.
SELECT m.*
FROM memories AS m
WHERE m.user_id = $1 AND m.memory_type = 'episodic' AND m.status = 'active' AND m.created_at >= $2
    AND coalesce(m.author_id, m.user_id) = m.user_id
    AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = m.user_id AND o.opted_out_at IS NOT NULL)
ORDER BY m.created_at DESC, m.id DESC
LIMIT $3

-- name: hold_evidence
-- Those of the memories $2 that still stand, kept as they are until the transaction ends.
SELECT * FROM memories WHERE user_id = $1 AND id = ANY($2::uuid[]) AND status = 'active' ORDER BY created_at, id FOR SHARE

-- name: list_patterns
-- All that were ever drawn in a project or in none ($2), also those that were taken back, each with its evidence and how
-- much of that is among the memories $3; with the stems of what shows it there and here, if it is any. $4 the most.
SELECT
    m.id, m.content, m.audience, m.status, m.embedding, m.embedding_model_id, m.metadata ->> 'pattern_category' AS category,
    tsvector_to_array(m.terms) AS stems, e.count, e.shared,
    CASE WHEN e.shared > 0 THEN (
        SELECT array_agg(DISTINCT stem)
        FROM memories AS s, unnest(tsvector_to_array(s.terms)) AS stem
        WHERE s.user_id = $1 AND (s.id = ANY(e.ids) OR s.id = ANY($3))
    ) ELSE '{}' END AS said
FROM memories AS m, LATERAL (
    SELECT
        array_agg(d.source_id) AS ids, count(*) AS count, count(*) FILTER (WHERE d.source_id = ANY($3::uuid[])) AS shared
    FROM derivations AS d WHERE d.user_id = m.user_id AND d.derived_id = m.id
) AS e
WHERE m.user_id = $1 AND m.source = 'consolidation' AND m.project_id IS NOT DISTINCT FROM $2
ORDER BY m.created_at DESC, m.id DESC
LIMIT $4

-- name: stem
SELECT tsvector_to_array(to_tsvector('english', $1))

-- name: list_shown_patterns
-- Those that stand, for a language model that looks for more of them in a project or in none ($2): the latest $3.
SELECT id, content, audience
FROM memories
WHERE user_id = $1 AND source = 'consolidation' AND status = 'active' AND project_id IS NOT DISTINCT FROM $2
ORDER BY created_at DESC, id DESC
LIMIT $3
