-- What may answer a question: the best by words and the nearest by vector, those of the time that is asked about, and
-- the two turns on either side of each, with the sign bits of their pieces.
--
-- $1 to $3 as in scope.sql, $4 types, $5 the question's vector or null, $6 its model, $7 its text, $8 and $9 the time
-- asked about, $10 how many by words, $11 how many by vector and by time, $12 the vector's sign bits. `<scope>` stands for
-- one of the conditions of scope.sql.
--
-- The plans are generic ones. Steps are materialised and lookups lateral, so that no stale statistics lead the planner
-- into another order.

-- fragment: candidates
<scope>
        AND m.status = 'active'
        AND ($4::text[] IS NULL OR m.memory_type = ANY($4))

-- fragment: question
words AS MATERIALIZED (
    SELECT
        1::bigint << (row_number() OVER ())::integer AS bit,
        lexeme,
        ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery AS query
    FROM (
        -- Of a long message the longest words, which are the rarest; more would take longer and find nothing else.
        SELECT lexeme FROM unnest(to_tsvector('english', $7)) ORDER BY length(lexeme) DESC, lexeme LIMIT 16
    ) AS lexemes
), asked AS MATERIALIZED (
    SELECT string_agg(query::text, ' | ')::tsquery AS any_word FROM words
)

-- fragment: rare_words_first
-- How rare a word is among the owner's memories tells how much it says: the sum over the words that occur beats ts_rank.
rarity AS MATERIALIZED (
    SELECT w.bit, ln(1 + (total.number - known.number + 0.5) / (known.number + 0.5)) AS weight
    FROM words AS w
    CROSS JOIN (SELECT count(*) AS number FROM owned) AS total
    CROSS JOIN LATERAL (SELECT count(*) AS number FROM owned WHERE matched & w.bit <> 0) AS known
), by_words AS (
    SELECT o.user_id, o.id
    FROM owned AS o
    CROSS JOIN LATERAL (SELECT sum(r.weight) AS weight FROM rarity AS r WHERE o.matched & r.bit <> 0) AS found
    WHERE o.matched <> 0
    ORDER BY found.weight DESC, o.distance
    LIMIT $10
)

-- fragment: columns
m.id, m.user_id, m.content, m.author_id, m.author_name, m.project_id, m.audience, m.said_in, m.memory_type,
    m.status, m.emotional_score, m.importance, m.confidence, m.created_at, m.updated_at, m.last_accessed, m.access_count,
    m.valid_from, m.valid_to, m.supersedes, m.source, m.source_id, m.channel_id, m.position, m.tags, m.metadata,
    m.version

-- name: few
-- Where there are few memories each of them is looked at once.
WITH {{question}}, owned AS MATERIALIZED (
    SELECT
        m.user_id,
        m.id,
        m.channel_id,
        m.position,
        m.created_at,
        CASE WHEN m.embedding_model_id = $6 THEN m.embedding <=> $5::halfvec END AS distance,
        CASE
            WHEN m.terms @@ asked.any_word THEN (SELECT coalesce(sum(w.bit), 0)::bigint FROM words AS w WHERE m.terms @@ w.query)
            ELSE 0
        END AS matched
    FROM memories AS m, asked
    WHERE {{candidates}}
), {{rare_words_first}}, seeds AS MATERIALIZED (
    SELECT user_id, id FROM by_words
    UNION
    (SELECT user_id, id FROM owned WHERE distance IS NOT NULL ORDER BY distance LIMIT $11)
    UNION
    (
        SELECT user_id, id FROM owned
        WHERE ($8::timestamptz IS NOT NULL OR $9::timestamptz IS NOT NULL)
            AND ($8 IS NULL OR created_at >= $8) AND ($9 IS NULL OR created_at < $9)
        ORDER BY distance, created_at DESC
        LIMIT $11
    )
), wanted AS MATERIALIZED (
    SELECT user_id, id, distance, matched
    FROM (
        SELECT  -- hashed where they stand; as joins they would be planned for the few rows that are expected
            *,
            (user_id, id) IN (SELECT user_id, id FROM seeds)
            OR (user_id, channel_id, position) IN (
                SELECT o.user_id, o.channel_id, o.position + step
                FROM owned AS o, generate_series(-2, 2) AS step
                WHERE (o.user_id, o.id) IN (SELECT user_id, id FROM seeds)
            ) AS is_wanted
        FROM owned
        OFFSET 0
    ) AS marked
    WHERE is_wanted
)
SELECT {{columns}}, w.distance, w.matched, p.signs, m.signs AS direction
FROM wanted AS w
CROSS JOIN LATERAL (SELECT * FROM memories WHERE user_id = w.user_id AND id = w.id OFFSET 0) AS m
LEFT JOIN LATERAL (SELECT signs FROM memory_pieces WHERE user_id = w.user_id AND id = w.id OFFSET 0) AS p
    ON w.distance IS NOT NULL

-- fragment: by_rare_words
-- Each word's memories by one lookup, rare words first; how many there are tells how much the word says.
rare_words AS MATERIALIZED (
    SELECT bit, hash, memories
    FROM (
        SELECT
            w.bit,
            c.memories,
            hash_words($1, ARRAY[w.lexeme]) AS hash,
            sum(coalesce(c.memories, 50)) OVER (ORDER BY coalesce(c.memories, 50), w.bit) AS expected,
            row_number() OVER (ORDER BY coalesce(c.memories, 50), w.bit) AS place
        FROM words AS w
        LEFT JOIN common_words AS c ON c.user_id = $1 AND c.word = w.lexeme
    ) AS ranked
    WHERE expected <= 1500 OR place = 1
), hits AS MATERIALIZED (
    SELECT w.bit, w.memories, m.user_id, m.id
    FROM rare_words AS w
    CROSS JOIN LATERAL (
        SELECT m.user_id, m.id
        FROM find_by_words($1, w.hash, 5000) AS m
        WHERE {{candidates}}
        ORDER BY m.created_at DESC
        LIMIT 500
    ) AS m
), by_words AS (
    SELECT user_id, id
    FROM hits
    JOIN (
        SELECT
            bit,
            ln(1 + (SELECT memory_count FROM owners WHERE user_id = $1) / greatest(count(*), max(memories))::numeric)
            AS weight
        FROM hits
        GROUP BY bit
    ) AS rarity USING (bit)
    GROUP BY user_id, id
    ORDER BY sum(weight) DESC
    LIMIT $10
)

-- fragment: by_shared_words
-- The same for projects, whose words nobody counts: how many of the looked up memories hold a word tells how much it says.
hits AS MATERIALIZED (
    SELECT w.bit, m.user_id, m.id
    FROM words AS w
    CROSS JOIN LATERAL (
        SELECT m.user_id, m.id
        FROM find_shared_by_words($1, <projects>, ARRAY[w.lexeme], 2000) AS m
        WHERE {{candidates}}
        ORDER BY m.created_at DESC
        LIMIT 500
    ) AS m
), by_words AS (
    SELECT user_id, id
    FROM hits
    JOIN (SELECT bit, ln(1 + 500 / count(*)::numeric) AS weight FROM hits GROUP BY bit) AS rarity USING (bit)
    GROUP BY user_id, id
    ORDER BY sum(weight) DESC
    LIMIT $10
)

-- fragment: near_by_signs
near AS MATERIALIZED (
    SELECT m.user_id, m.id
    FROM memories AS m
    WHERE {{candidates}} AND m.embedding_model_id = $6
    ORDER BY m.signs <~> $12::bit varying
    LIMIT 200
), by_vector AS (
    SELECT n.user_id, n.id
    FROM near AS n
    CROSS JOIN LATERAL (SELECT embedding FROM memories WHERE user_id = n.user_id AND id = n.id OFFSET 0) AS m
    WHERE $5::halfvec IS NOT NULL
    ORDER BY m.embedding <=> $5::halfvec
    LIMIT $11
)

-- fragment: seeds_with_neighbours
seeds AS MATERIALIZED (
    SELECT user_id, id FROM by_words
    UNION
    SELECT user_id, id FROM by_vector
    UNION
    (
        SELECT user_id, id
        FROM (
            SELECT
                m.user_id,
                m.id,
                m.created_at,
                CASE WHEN m.embedding_model_id = $6 THEN m.embedding <=> $5::halfvec END AS distance
            FROM memories AS m
            WHERE {{candidates}}
                AND ($8::timestamptz IS NOT NULL OR $9::timestamptz IS NOT NULL)
                AND m.created_at >= coalesce($8, '-infinity') AND m.created_at < coalesce($9, 'infinity')
            ORDER BY m.created_at DESC
            LIMIT 1000
        ) AS latest
        ORDER BY distance, created_at DESC
        LIMIT $11
    )
), placed_seeds AS MATERIALIZED (
    SELECT s.user_id, s.id, m.channel_id, m.position
    FROM seeds AS s
    CROSS JOIN LATERAL (
        SELECT channel_id, position FROM memories WHERE user_id = s.user_id AND id = s.id OFFSET 0
    ) AS m
), wanted AS MATERIALIZED (
    SELECT user_id, id FROM seeds
    UNION
    SELECT s.user_id, beside.id
    FROM placed_seeds AS s
    CROSS JOIN generate_series(-2, 2) AS step
    CROSS JOIN LATERAL (
        SELECT m.id FROM memories AS m
        WHERE {{candidates}}
            AND m.user_id = s.user_id AND m.channel_id = s.channel_id AND m.position = s.position + step
        OFFSET 0
    ) AS beside
), found AS MATERIALIZED (
    SELECT
        m.*,
        CASE WHEN m.embedding_model_id = $6 THEN m.embedding <=> $5::halfvec END AS distance,
        (SELECT coalesce(sum(w.bit), 0)::bigint FROM words AS w WHERE m.terms @@ w.query) AS matched
    FROM wanted AS w
    CROSS JOIN LATERAL (SELECT * FROM memories WHERE user_id = w.user_id AND id = w.id OFFSET 0) AS m
)
SELECT {{columns}}, m.distance, m.matched, p.signs, m.signs AS direction
FROM found AS m
LEFT JOIN LATERAL (SELECT signs FROM memory_pieces WHERE user_id = m.user_id AND id = m.id OFFSET 0) AS p
    ON m.distance IS NOT NULL

-- name: many
-- For an owner of thousands: the nearest are found by sign bits, which an index holds, and compared in full.
WITH {{question}}, {{by_rare_words}}, {{near_by_signs}}, {{seeds_with_neighbours}}

-- name: many_shared
-- The same for projects of thousands.
WITH {{question}}, {{by_shared_words}}, {{near_by_signs}}, {{seeds_with_neighbours}}

-- name: most
-- For an owner who has an index of vectors alone. That it is theirs must stand in the statement itself, so the owner's
-- name as a literal and the number of dimensions are put in.
WITH {{question}}, {{by_rare_words}}, by_vector AS (
    SELECT m.user_id, m.id
    FROM memories AS m
    WHERE {{candidates}} AND m.user_id = <owner> AND m.embedding_model_id = $6 AND $5::halfvec IS NOT NULL
    ORDER BY m.embedding::halfvec(<dimensions>) <=> $5::halfvec(<dimensions>)
    LIMIT $11
), {{seeds_with_neighbours}}

-- name: count_shared
-- How many there are to choose from, up to $4.
SELECT count(*) FROM (SELECT FROM memories AS m WHERE <scope> LIMIT $4) AS counted
