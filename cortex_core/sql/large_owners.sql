-- name: look_up
SELECT memory_count, has_own_index, quote_literal(user_id) AS literal FROM owners WHERE user_id = $1

-- name: lock
-- One process at a time does this work; resetting the connection unlocks it.
SELECT pg_try_advisory_lock(hashtext('cortex large owners'))

-- name: list_uncounted
-- Owners of $1 memories or more who have half as many again as when their words were counted.
SELECT user_id FROM owners WHERE memory_count >= $1 AND memory_count >= 1.5 * words_counted

-- name: count_memories
SELECT memory_count FROM owners WHERE user_id = $1

-- name: count_words
-- Words that $2 memories or more of the owner's hold.
SELECT word, ndoc AS memories
FROM ts_stat('SELECT terms FROM memories WHERE user_id = ' || quote_literal($1::text))
WHERE ndoc >= $2

-- name: forget_words
-- Unless something was forgotten since there were $2 memories.
DELETE FROM common_words WHERE user_id = $1 AND EXISTS (SELECT FROM owners WHERE user_id = $1 AND memory_count >= $2)

-- name: keep_words
WITH counted AS (
    UPDATE owners SET words_counted = memory_count WHERE user_id = $1 AND memory_count >= $2 RETURNING user_id
)
INSERT INTO common_words (user_id, word, memories)
SELECT c.user_id, w.word, w.memories FROM counted AS c, unnest($3::text[], $4::integer[]) AS w (word, memories)

-- name: unmark_indexes
-- Owners of fewer than $1 memories are searched without one.
UPDATE owners SET has_own_index = false WHERE has_own_index AND memory_count < $1

-- name: word_drop_needless_indexes
-- Indexes that nobody uses: their owners have few memories or are gone, or making them was broken off.
SELECT format('DROP INDEX CONCURRENTLY %I', c.relname) AS statement
FROM pg_class AS c
JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE i.indrelid = 'memories'::regclass
    AND c.relname LIKE 'memories\_of\_%'
    AND (
        NOT i.indisvalid
        OR NOT EXISTS (SELECT FROM owners AS o WHERE o.has_own_index AND 'memories_of_' || md5(o.user_id) = c.relname)
    )

-- name: list_unindexed
SELECT user_id FROM owners WHERE memory_count >= $1 AND NOT has_own_index

-- name: word_create_index
-- Data definition takes no parameters, so the server quotes them into a statement.
SELECT format(
    'CREATE INDEX CONCURRENTLY %I ON memories USING hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops) WHERE user_id = %L',
    'memories_of_' || md5($1), $2::integer, $1::text
)

-- name: mark_index
UPDATE owners SET has_own_index = true WHERE user_id = $1
