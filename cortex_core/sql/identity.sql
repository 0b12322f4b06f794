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

-- name: supersede_evidence
UPDATE memories SET status = 'superseded', valid_to = greatest($3, valid_from), updated_at = now()
WHERE user_id = $1 AND memory_type = 'identity' AND status = 'active'
    AND id IN (SELECT memory_id FROM evidence WHERE user_id = $1 AND fact_id = $2)
RETURNING id
