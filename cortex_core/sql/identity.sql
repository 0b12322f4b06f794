-- fragment: of_oneself
user_id = $1 AND subject = ''

-- name: current
SELECT (c.fact).*, c.audiences FROM current_facts($1) AS c WHERE (c.fact).subject = ''
ORDER BY (c.fact).attribute, (c.fact).recorded_at, (c.fact).id

-- name: as_of
-- What was believed at $2. Of one value at a time that was the last: what it had superseded may hold again by now.
WITH believed AS (
    SELECT f.*, heard_in(f) AS audiences FROM identity_facts AS f
    WHERE {{of_oneself}} AND recorded_at <= $2 AND (ended_at IS NULL OR ended_at > $2)
)
SELECT * FROM believed AS f
WHERE has_many OR NOT EXISTS (
    SELECT FROM believed AS o
    WHERE o.attribute = f.attribute AND NOT o.has_many AND (o.recorded_at, o.id) > (f.recorded_at, f.id)
)
ORDER BY attribute, recorded_at, id

-- name: history
SELECT f.*, heard_in(f) AS audiences FROM identity_facts AS f
WHERE {{of_oneself}} AND ($2::text IS NULL OR attribute = $2) AND ($3::text IS NULL OR value_key = $3)
ORDER BY valid_from, recorded_at

-- name: end
UPDATE identity_facts SET valid_to = greatest($3, valid_from), ended_at = greatest($4, recorded_at)
WHERE user_id = $1 AND id = $2 AND valid_to IS NULL

-- name: end_values
-- Of an attribute at $3: those of $4, or all if that is null; what holds alone in any case.
UPDATE identity_facts SET valid_to = greatest($3, valid_from), ended_at = greatest($3, recorded_at)
WHERE {{of_oneself}} AND attribute = $2 AND valid_to IS NULL
    AND ($4::text[] IS NULL OR NOT has_many OR value_key = ANY($4))
RETURNING id, value_key

-- name: others_hold
SELECT EXISTS (SELECT FROM identity_facts WHERE {{of_oneself}} AND attribute = $2 AND valid_to IS NULL)

-- name: add
INSERT INTO identity_facts AS f (
    user_id, id, subject, attribute, value, value_key, has_many, confidence, audience, source, valid_from, valid_to,
    supersedes, recorded_at, ended_at
)
VALUES (
    $1, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9, $10, $11, $12::timestamptz, $13, $14::timestamptz,
    CASE WHEN $12 IS NOT NULL THEN $14 END
)
RETURNING f.*, heard_in(f) AS audiences

-- name: add_evidence
INSERT INTO evidence (user_id, fact_id, memory_id) SELECT $1, $2, unnest($3::uuid[]) ON CONFLICT DO NOTHING

-- name: list_evidence
-- What the current facts rest on, oldest first.
SELECT e.fact_id, m.*
FROM identity_facts AS f
JOIN evidence AS e ON e.user_id = f.user_id AND e.fact_id = f.id
JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
WHERE f.user_id = $1 AND f.valid_to IS NULL
ORDER BY m.created_at, m.id

-- name: set_audience
UPDATE identity_facts SET audience = $3 WHERE user_id = $1 AND id = $2

-- name: set_audience_of_evidence
-- The memory that states a fact goes with it; what was said in a conversation keeps its own audience.
UPDATE memories SET audience = $3, updated_at = now()
WHERE user_id = $1 AND memory_type = 'identity' AND id IN (SELECT memory_id FROM evidence WHERE user_id = $1 AND fact_id = $2)

-- name: set_audience_of_values
UPDATE identity_facts SET audience = $4
WHERE {{of_oneself}} AND attribute = $2 AND valid_to IS NULL AND ($3::text IS NULL OR value_key = $3)
RETURNING id

-- name: list_resting_on
-- Current facts that rest on a memory, among others or alone.
SELECT
    f.id, f.audience, heard_in(f) AS audiences,
    NOT EXISTS (SELECT FROM evidence AS e WHERE e.user_id = $1 AND e.fact_id = f.id AND e.memory_id <> $2) AS rests_on_it_alone
FROM identity_facts AS f
WHERE f.user_id = $1 AND f.valid_to IS NULL
    AND EXISTS (SELECT FROM evidence AS e WHERE e.user_id = $1 AND e.fact_id = f.id AND e.memory_id = $2)

-- name: list_statements
-- The memories that state what an attribute is or was, or one of its values.
SELECT DISTINCT m.id
FROM identity_facts AS f
JOIN evidence AS e ON e.user_id = f.user_id AND e.fact_id = f.id
JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id AND m.memory_type = 'identity'
WHERE f.user_id = $1 AND f.subject = '' AND f.attribute = $2 AND ($3::text IS NULL OR f.value_key = $3)

-- name: supersede_evidence
-- The memory that states a fact ends with it; what was said in a conversation was said.
UPDATE memories SET status = 'superseded', valid_to = greatest($3, valid_from), updated_at = now()
WHERE user_id = $1 AND memory_type = 'identity' AND status = 'active'
    AND id IN (SELECT memory_id FROM evidence WHERE user_id = $1 AND fact_id = $2)
RETURNING id

-- name: list_reworded
-- Of edited memories, whose new words nobody read yet, those that facts rest on.
SELECT m.user_id, m.id
FROM unnest($1::text[], $2::uuid[]) AS edited (user_id, id)
JOIN memories AS m ON m.user_id = edited.user_id AND m.id = edited.id
WHERE m.learned_at IS NULL AND m.analysed_at IS NULL
    AND EXISTS (SELECT FROM evidence AS e WHERE e.user_id = m.user_id AND e.memory_id = m.id)

-- name: drop_questions
DELETE FROM corrections AS c USING memories AS m, unnest($1::text[], $2::uuid[]) AS edited (user_id, id)
WHERE m.user_id = edited.user_id AND m.id = edited.id AND m.learned_at IS NULL AND m.analysed_at IS NULL
    AND c.user_id = m.user_id AND c.memory_id = m.id AND c.answered_at IS NULL
