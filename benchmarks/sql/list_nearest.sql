-- The ten nearest of an owner's memories. Nothing is added to the distance so that no index orders by it.
SELECT id
FROM memories
WHERE user_id = $1 AND status = 'active' AND embedding_model_id = $3 AND project_id IS NULL
ORDER BY (embedding <=> $2) + 0
LIMIT 10
