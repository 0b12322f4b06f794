-- name: lock_owners
-- Writes of one owner go one after the other, so that positions have no gaps and nothing slips past a forgetting.
SELECT pg_advisory_xact_lock(hashtextextended(owner, 0))
FROM (SELECT DISTINCT owner FROM unnest($1::text[]) AS owner ORDER BY owner) AS owners

-- name: lock_writes
-- Writes share it; whoever buries a source waits for those that have not seen the tombstone.
SELECT pg_advisory_xact_lock_shared(hashtext('cortex writes'))

-- name: write
-- $1 rows as JSON, $2 their vectors, $3 the sign bits of their pieces, $4 the model of both. Answers the outcome for each row in the order given.
WITH incoming AS MATERIALIZED (
    SELECT *
    FROM ROWS FROM (
        json_to_recordset($1::json) AS (
            user_id text, id uuid, author_id text, author_name text, project_id text, audience text, said_in text,
            memory_type text, status text, content text, content_hash text, emotional_score real, importance real, confidence real,
            created_at timestamptz, version bigint, valid_from timestamptz, valid_to timestamptz, supersedes uuid,
            source text, source_id text, channel_id text, tags text[], metadata jsonb, acknowledged_at timestamptz
        ),
        unnest($2::halfvec[]),
        unnest($3::bytea[])
    ) WITH ORDINALITY AS row (
        user_id, id, author_id, author_name, project_id, audience, said_in, memory_type,
        status, content, content_hash, emotional_score, importance, confidence,
        created_at, version, valid_from, valid_to, supersedes,
        source, source_id, channel_id, tags, metadata, acknowledged_at, embedding, signs, ord
    )
), admitted AS (
    SELECT i.*, m.id IS NULL AS is_new
    FROM incoming AS i
    LEFT JOIN memories AS m USING (user_id, id)
    LEFT JOIN LATERAL (  -- worked out for those alone who ever forgot something
        SELECT digest_of(i.user_id, i.content) AS digest
        WHERE EXISTS (SELECT FROM forgotten_contents AS f WHERE f.user_id = i.user_id)
    ) AS named ON true
    WHERE NOT EXISTS (
        SELECT FROM tombstones AS t
        WHERE t.memory_id = i.id AND (t.user_id = i.user_id OR t.user_id IS NULL) AND t.version >= i.version
    )
    AND NOT EXISTS (
        SELECT FROM owners AS o
        WHERE o.user_id = i.user_id AND (o.forgotten_at >= i.acknowledged_at OR o.opted_out_at <= i.acknowledged_at)
    )
    AND (
        m.version >= i.version  -- it stands already, and nothing is written
        OR NOT EXISTS (  -- forgotten after it was said, or edited: learnt from another source it stays so
            SELECT FROM forgotten_contents AS f
            WHERE f.user_id = i.user_id AND f.digest = named.digest
                AND f.forgotten_at >= i.created_at AND extract(epoch FROM f.forgotten_at) * 1000 >= i.version
        )
    )
), buried AS (  -- what was forgotten on its way here is known only now
    INSERT INTO forgotten_contents AS f (user_id, digest, forgotten_at)
    SELECT i.user_id, digest_of(i.user_id, i.content), max(gone.forgotten_at)
    FROM incoming AS i, LATERAL (
        SELECT t.forgotten_at
        FROM tombstones AS t
        WHERE t.memory_id = i.id AND (t.user_id = i.user_id OR t.user_id IS NULL) AND t.version >= i.version
        UNION ALL
        SELECT o.forgotten_at FROM owners AS o WHERE o.user_id = i.user_id AND o.forgotten_at >= i.acknowledged_at
    ) AS gone
    GROUP BY 1, 2
    ON CONFLICT (user_id, digest) DO UPDATE SET forgotten_at = greatest(f.forgotten_at, excluded.forgotten_at)
), placed AS (
    SELECT
        a.*,
        -- Nobody tells a project anything without belonging to it at this moment, nor having opted out; it stays one's own.
        (
            SELECT p.project_id
            FROM project_members AS p JOIN projects ON projects.id = p.project_id
            WHERE p.project_id = a.project_id AND p.user_id = a.user_id AND projects.archived_at IS NULL
                AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = a.user_id AND o.opted_out_at IS NOT NULL)
        ) AS own_project_id,
        CASE WHEN a.channel_id IS NOT NULL AND a.is_new THEN
            coalesce(
                (SELECT max(m.position) FROM memories AS m WHERE m.user_id = a.user_id AND m.channel_id = a.channel_id), -1
            ) + row_number() OVER (PARTITION BY a.user_id, a.channel_id, a.is_new ORDER BY a.ord)
        END AS position
    FROM admitted AS a
), written AS (
    INSERT INTO memories AS m (
        user_id, id, author_id, author_name, project_id, audience, said_in, memory_type, status, content, content_hash,
        emotional_score, importance, confidence, created_at, version, valid_from, valid_to, supersedes, source, source_id,
        channel_id, position, tags, metadata, embedding, embedding_model_id
    )
    SELECT
        user_id, id, author_id, author_name, own_project_id, audience, said_in, memory_type, status, content,
        decode(content_hash, 'hex'),
        emotional_score, importance, confidence, created_at, version, valid_from, valid_to, supersedes, source, source_id,
        channel_id, position, tags, metadata, embedding,
        CASE WHEN embedding IS NOT NULL THEN $4::smallint END
    FROM placed
    ORDER BY ord
    ON CONFLICT (user_id, id) DO UPDATE SET
        content = excluded.content, content_hash = excluded.content_hash, author_name = excluded.author_name,
        -- What was said in one place is edited there: what differs is what its owner decided, and an edit only narrows that.
        audience = CASE WHEN excluded.audience = 'owner' THEN 'owner' ELSE m.audience END,
        project_id = CASE
            WHEN (m.audience = 'owner' OR excluded.audience <> 'owner')
                AND EXISTS (SELECT FROM project_members AS p WHERE p.project_id = m.project_id AND p.user_id = m.user_id)
            THEN m.project_id
        END,
        -- What was wrong or outdated and reads otherwise now is a new statement.
        status = CASE WHEN m.content_hash = excluded.content_hash THEN m.status ELSE excluded.status END,
        valid_to = CASE WHEN m.content_hash = excluded.content_hash THEN m.valid_to ELSE excluded.valid_to END,
        learned_at = CASE WHEN m.content_hash = excluded.content_hash THEN m.learned_at END,
        analysed_at = CASE WHEN m.content_hash = excluded.content_hash THEN m.analysed_at END,
        memory_type = excluded.memory_type,
        emotional_score = excluded.emotional_score, importance = excluded.importance, version = excluded.version,
        tags = CASE  -- what somebody keeps on purpose stays kept when they reword it
            WHEN 'pinned' = ANY (m.tags) AND 'pinned' <> ALL (excluded.tags) THEN excluded.tags || '{pinned}'::text[]
            ELSE excluded.tags
        END,
        metadata = excluded.metadata, embedding = excluded.embedding, embedding_model_id = excluded.embedding_model_id, embedding_error = NULL,
        updated_at = now()
    WHERE m.version < excluded.version
    RETURNING m.user_id, m.id
), stale AS (  -- an edit's pieces come with its vector, later if need be
    DELETE FROM memory_pieces AS p USING written AS w, incoming AS i
    WHERE p.user_id = w.user_id AND p.id = w.id AND i.user_id = w.user_id AND i.id = w.id AND i.signs IS NULL
), pieces AS (
    INSERT INTO memory_pieces (user_id, id, signs)
    SELECT w.user_id, w.id, i.signs FROM written AS w JOIN incoming AS i USING (user_id, id) WHERE i.signs IS NOT NULL
    ON CONFLICT (user_id, id) DO UPDATE SET signs = excluded.signs
)
SELECT
    CASE
        WHEN w.id IS NOT NULL THEN 'written'
        WHEN a.id IS NULL THEN 'forgotten'
        WHEN m.version = i.version AND m.content_hash <> decode(i.content_hash, 'hex') THEN 'mismatch'
        ELSE 'known'
    END AS outcome
FROM incoming AS i
LEFT JOIN admitted AS a USING (user_id, id)
LEFT JOIN memories AS m ON m.user_id = i.user_id AND m.id = i.id
LEFT JOIN written AS w ON w.user_id = i.user_id AND w.id = i.id
ORDER BY i.ord

-- name: get
SELECT * FROM memories WHERE user_id = $1 AND id = $2

-- name: get_by_source
SELECT * FROM memories WHERE user_id = $1 AND source_id = $2

-- name: owners_of_source
SELECT user_id FROM memories WHERE source_id = $1

-- fragment: listed
-- A parameter that is null doesn't filter.
<scope>
    AND ($4::text[] IS NULL OR m.memory_type = ANY($4))
    AND ($5::text IS NULL OR m.status = $5)
    AND ($6::timestamptz IS NULL OR m.created_at >= $6)
    AND ($7::timestamptz IS NULL OR m.created_at < $7)

-- name: list
-- $1 to $3 as in scope.sql.
SELECT *
FROM memories AS m
WHERE {{listed}}
ORDER BY created_at DESC, position DESC, id DESC
LIMIT $8 OFFSET $9

-- name: count
SELECT count(*) FROM memories AS m WHERE {{listed}}

-- name: count_told
-- What an owner had told by $2, whatever became of it since; not what was made from other memories.
SELECT count(*) FROM memories AS m
WHERE m.user_id = $1 AND m.created_at <= $2
    AND NOT EXISTS (SELECT FROM derivations AS d WHERE d.user_id = m.user_id AND d.derived_id = m.id)

-- name: open_projects
-- $1 to $3 as in scope.sql.
SELECT project_id, name FROM (SELECT id AS project_id, name FROM projects) AS m WHERE <scope> ORDER BY project_id

-- name: update
-- $3 holds the new values as JSON; what it doesn't name stays.
UPDATE memories AS m SET
    memory_type = coalesce(n.memory_type, m.memory_type), status = coalesce(n.status, m.status),
    audience = coalesce(n.audience, m.audience), emotional_score = coalesce(n.emotional_score, m.emotional_score),
    importance = coalesce(n.importance, m.importance), confidence = coalesce(n.confidence, m.confidence),
    valid_to = coalesce(n.valid_to, m.valid_to), tags = coalesce(n.tags, m.tags),
    metadata = coalesce(n.metadata, m.metadata), updated_at = now()
FROM json_to_record($3::json) AS n (
    memory_type text, status text, audience text, emotional_score real, importance real, confidence real,
    valid_to timestamptz, tags text[], metadata jsonb
)
WHERE m.user_id = $1 AND m.id = $2
RETURNING m.id

-- name: retire
UPDATE memories SET status = 'superseded', valid_to = greatest($3, valid_from), updated_at = now()
WHERE user_id = $1 AND id = $2
RETURNING id

-- name: set_audience
-- Whoever keeps a memory to themselves takes it back from its project too.
UPDATE memories SET
    audience = $3, project_id = CASE WHEN $3 <> 'owner' THEN project_id END, updated_at = now()
WHERE user_id = $1 AND id = $2
RETURNING id

-- name: list_by_key
-- $1 to $3 as in scope.sql, $4 owners and $5 ids.
SELECT * FROM memories AS m
WHERE <scope> AND (m.user_id, m.id) IN (SELECT * FROM unnest($4::text[], $5::uuid[]))

-- name: count_accesses
UPDATE memories AS m SET access_count = m.access_count + u.times, last_accessed = now()
FROM unnest($1::text[], $2::uuid[], $3::int[]) AS u (user_id, id, times)
WHERE m.user_id = u.user_id AND m.id = u.id
