-- What may answer a question: the best by words and the nearest by vector, those of the time that is asked about, and
-- the two turns on either side of each, with the sign bits of their pieces.
--
-- $1 owner, $2 the question's vector or null, $3 its model, $4 its text, $5 audiences heard here or null for all,
-- $6 project, $7 types, $8 and $9 the time asked about, $10 how many by words, $11 how many by vector and by time.
--
-- The plans are generic ones. Steps are materialised and lookups lateral, so that no stale statistics lead the planner
-- into another order.

-- fragment: scope
m.user_id = $1
        AND m.status = 'active'
        AND ($5::text[] IS NULL OR m.audience = ANY($5))
        AND (m.project_id IS NULL OR m.project_id = $6)
        AND ($7::text[] IS NULL OR m.memory_type = ANY($7))

-- fragment: question
words AS MATERIALIZED (
    SELECT 1::bigint << (row_number() OVER ())::integer AS bit, lexeme, plainto_tsquery('simple', lexeme) AS query
    FROM (SELECT lexeme FROM unnest(to_tsvector('english', $4)) LIMIT 60) AS lexemes
), asked AS MATERIALIZED (
    SELECT replace(plainto_tsquery('english', $4)::text, ' & ', ' | ')::tsquery AS any_word
)

-- fragment: rare_words_first
-- How rare a word is among the owner's memories tells how much it says: the sum over the words that occur beats ts_rank.
rarity AS MATERIALIZED (
    SELECT w.bit, ln(1 + (total.number - known.number + 0.5) / (known.number + 0.5)) AS weight
    FROM words AS w
    CROSS JOIN (SELECT count(*) AS number FROM owned) AS total
    CROSS JOIN LATERAL (SELECT count(*) AS number FROM owned WHERE matched & w.bit <> 0) AS known
), by_words AS (
    SELECT o.id
    FROM owned AS o
    CROSS JOIN LATERAL (SELECT sum(r.weight) AS weight FROM rarity AS r WHERE o.matched & r.bit <> 0) AS found
    WHERE o.matched <> 0
    ORDER BY found.weight DESC, o.distance
    LIMIT $10
)

-- fragment: columns
m.id, m.user_id, m.content, m.author_id, m.author_name, m.project_id, m.audience, m.memory_type, m.status,
    m.emotional_score, m.importance, m.confidence, m.created_at, m.updated_at, m.last_accessed, m.access_count,
    m.valid_from, m.valid_to, m.supersedes, m.source, m.source_id, m.channel_id, m.position, m.tags, m.metadata,
    m.version

-- name: few
-- For an owner of few memories: each of them is looked at once.
WITH {{question}}, owned AS MATERIALIZED (
    SELECT
        m.id,
        m.channel_id,
        m.position,
        m.created_at,
        CASE WHEN m.embedding_model_id = $3 THEN m.embedding <=> $2::halfvec END AS distance,
        CASE
            WHEN m.terms @@ asked.any_word THEN (SELECT coalesce(sum(w.bit), 0)::bigint FROM words AS w WHERE m.terms @@ w.query)
            ELSE 0
        END AS matched
    FROM memories AS m, asked
    WHERE {{scope}}
), {{rare_words_first}}, seeds AS MATERIALIZED (
    SELECT id FROM by_words
    UNION
    (SELECT id FROM owned WHERE distance IS NOT NULL ORDER BY distance LIMIT $11)
    UNION
    (
        SELECT id FROM owned
        WHERE ($8::timestamptz IS NOT NULL OR $9::timestamptz IS NOT NULL)
            AND ($8 IS NULL OR created_at >= $8) AND ($9 IS NULL OR created_at < $9)
        ORDER BY distance LIMIT $11
    )
), wanted AS MATERIALIZED (
    SELECT id, distance, matched
    FROM (
        SELECT
            *,
            is_seed OR position IS NOT NULL AND bool_or(is_seed) OVER (
                PARTITION BY channel_id ORDER BY position RANGE BETWEEN 2 PRECEDING AND 2 FOLLOWING
            ) AS is_wanted
        FROM (SELECT *, id IN (SELECT id FROM seeds) AS is_seed FROM owned) AS marked
    ) AS placed
    WHERE is_wanted
)
SELECT {{columns}}, w.distance, w.matched, p.signs, m.signs AS direction
FROM wanted AS w
CROSS JOIN LATERAL (SELECT * FROM memories WHERE user_id = $1 AND id = w.id OFFSET 0) AS m
LEFT JOIN LATERAL (SELECT signs FROM memory_pieces WHERE user_id = $1 AND id = w.id OFFSET 0) AS p ON w.distance IS NOT NULL
