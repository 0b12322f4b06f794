-- name: current
SELECT * FROM identity_facts WHERE user_id = $1 AND valid_to IS NULL ORDER BY attribute

-- name: history
SELECT * FROM identity_facts WHERE user_id = $1 AND ($2::text IS NULL OR attribute = $2) ORDER BY valid_from, recorded_at

-- name: end_current
UPDATE identity_facts SET valid_to = greatest($3, valid_from)
WHERE user_id = $1 AND attribute = $2 AND valid_to IS NULL
RETURNING id

-- name: add
INSERT INTO identity_facts (user_id, id, attribute, value, confidence, audience, source, valid_from, supersedes)
VALUES ($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9)
RETURNING *

-- name: add_evidence
INSERT INTO evidence (user_id, fact_id, memory_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

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

-- name: list_resting_on
-- Current facts that rest on a memory, among others or alone.
SELECT
    f.id, f.audience,
    NOT EXISTS (SELECT FROM evidence AS e WHERE e.user_id = $1 AND e.fact_id = f.id AND e.memory_id <> $2) AS rests_on_it_alone
FROM identity_facts AS f
WHERE f.user_id = $1 AND f.valid_to IS NULL
    AND EXISTS (SELECT FROM evidence AS e WHERE e.user_id = $1 AND e.fact_id = f.id AND e.memory_id = $2)

-- name: list_statements
-- The memories that state what an attribute is or was.
SELECT DISTINCT m.id
FROM identity_facts AS f
JOIN evidence AS e ON e.user_id = f.user_id AND e.fact_id = f.id
JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id AND m.memory_type = 'identity'
WHERE f.user_id = $1 AND f.attribute = $2

-- name: delete
DELETE FROM identity_facts WHERE user_id = $1 AND attribute = $2 RETURNING id

-- name: end
UPDATE identity_facts SET valid_to = greatest($3, valid_from) WHERE user_id = $1 AND id = $2 AND valid_to IS NULL

-- name: supersede_evidence
UPDATE memories SET status = 'superseded', valid_to = greatest($3, valid_from), updated_at = now()
WHERE user_id = $1 AND memory_type = 'identity' AND status = 'active'
    AND id IN (SELECT memory_id FROM evidence WHERE user_id = $1 AND fact_id = $2)
RETURNING id
