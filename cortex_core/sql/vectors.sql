-- name: register_model
INSERT INTO embedding_models (name, dimensions) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING

-- name: list_models
SELECT id, name, dimensions FROM embedding_models

-- name: models_in_use
SELECT name FROM embedding_models AS e WHERE EXISTS (SELECT FROM memories WHERE embedding_model_id = e.id)

-- name: list_missing
SELECT user_id, id, version, content
FROM memories
WHERE embedding IS NULL AND embedding_error IS NULL
ORDER BY created_at DESC
LIMIT $1

-- name: now
SELECT clock_timestamp()

-- name: is_any_missing
SELECT EXISTS (SELECT FROM memories WHERE embedding IS NULL AND embedding_error IS NULL AND updated_at <= $1)

-- name: fill
WITH filled AS (
    UPDATE memories AS m SET embedding = f.embedding, embedding_model_id = $6
    FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::halfvec[], $5::bytea[])
        AS f (user_id, id, version, embedding, signs)
    WHERE m.user_id = f.user_id AND m.id = f.id AND m.version = f.version
    RETURNING f.user_id, f.id, f.signs
)
INSERT INTO memory_pieces (user_id, id, signs) SELECT user_id, id, signs FROM filled WHERE signs IS NOT NULL
ON CONFLICT (user_id, id) DO UPDATE SET signs = excluded.signs

-- name: give_up
UPDATE memories SET embedding_error = $4 WHERE user_id = $1 AND id = $2 AND version = $3
