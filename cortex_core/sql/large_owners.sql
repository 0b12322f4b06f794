-- name: look_up
SELECT memory_count, has_own_index, quote_literal(user_id) AS literal FROM owners WHERE user_id = $1

-- name: lock
-- One process at a time does this work; resetting the connection unlocks it.
SELECT pg_try_advisory_lock(hashtext('cortex large owners'))

-- name: list_uncounted
-- Owners of $1 memories or more who have half as many again as when their words were counted.
SELECT user_id FROM owners WHERE memory_count >= $1 AND memory_count >= 1.5 * words_counted

-- name: count_words
-- Words that $2 memories or more of the owner's hold.
WITH counted AS (
    SELECT word, ndoc AS memories
    FROM ts_stat('SELECT terms FROM memories WHERE user_id = ' || quote_literal($1::text))
    WHERE ndoc >= $2
), gone AS (
    DELETE FROM common_words WHERE user_id = $1 AND word NOT IN (SELECT word FROM counted)
), kept AS (
    INSERT INTO common_words (user_id, word, memories) SELECT $1, word, memories FROM counted
    ON CONFLICT (user_id, word) DO UPDATE SET memories = excluded.memories
)
UPDATE owners SET words_counted = memory_count WHERE user_id = $1

-- name: list_unindexed
SELECT user_id FROM owners WHERE memory_count >= $1 AND NOT has_own_index

-- name: list_indexed_needlessly
SELECT user_id FROM owners WHERE memory_count < $1 AND has_own_index

-- name: word_create_index
-- Data definition takes no parameters, so the server quotes them into a statement.
SELECT format(
    'CREATE INDEX CONCURRENTLY %I ON memories USING hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops) WHERE user_id = %L',
    'memories_of_' || md5($1), $2::integer, $1::text
)

-- name: word_drop_index
SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I', 'memories_of_' || md5($1::text))

-- name: mark_index
UPDATE owners SET has_own_index = $2 WHERE user_id = $1
