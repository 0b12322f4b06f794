-- What is done and what there is, in figures: no statement of this file reads a word that anybody said.

-- name: add
-- $1 the hour, $2 rows as JSON. Processes that add at the same time meet the operations in the same order.
INSERT INTO activity AS a (hour, operation, count, failures, seconds, buckets)
SELECT $1, n.operation, n.count, n.failures, n.seconds, n.buckets
FROM json_to_recordset($2::json) AS n (
    operation text, count bigint, failures bigint, seconds double precision, buckets bigint[]
)
ORDER BY n.operation
ON CONFLICT (hour, operation) DO UPDATE SET
    count = a.count + excluded.count, failures = a.failures + excluded.failures, seconds = a.seconds + excluded.seconds,
    buckets = ARRAY(
        SELECT coalesce(b.old, 0) + coalesce(b.new, 0)
        FROM unnest(a.buckets, excluded.buckets) WITH ORDINALITY AS b (old, new, place)
        ORDER BY b.place
    )

-- name: list
-- $1 since when.
SELECT hour, operation, count, failures, seconds, buckets FROM activity WHERE hour >= $1 ORDER BY hour, operation

-- name: totals
SELECT
    (SELECT count(*) FROM owners WHERE memory_count > 0) AS users,
    (SELECT coalesce(sum(memory_count), 0)::bigint FROM owners) AS memories,
    (SELECT count(*) FROM dead_letters) AS dead_letters,
    (SELECT count(*) FROM memories WHERE embedding IS NULL AND embedding_error IS NULL) AS vectors_waiting

-- name: types
-- $1 the percentage of the table that is looked at: all of a small one.
SELECT memory_type, round(count(*) * 100 / $1::double precision)::bigint AS memories
FROM memories TABLESAMPLE SYSTEM ($1::double precision)
GROUP BY memory_type

-- fragment: there
-- Said in the server $1.
m.said_in LIKE '%:%' AND split_part(m.said_in, ':', 2) = $1::bigint::text

-- name: totals_of_guild
SELECT
    (SELECT count(DISTINCT m.user_id) FROM memories AS m WHERE {{there}}) AS people,
    (
        SELECT count(DISTINCT p.id)
        FROM channels AS c JOIN projects AS p ON p.id = c.project_id
        WHERE c.guild_id = $1 AND p.archived_at IS NULL
    ) AS projects

-- name: types_of_guild
SELECT m.memory_type, count(*) AS memories FROM memories AS m WHERE {{there}} GROUP BY m.memory_type

-- name: timeline_of_guild
-- $2 since when, $3 how long a slot is.
SELECT date_bin($3::interval, m.created_at, $2::timestamptz) AS slot, count(*) AS memories
FROM memories AS m
WHERE {{there}} AND m.created_at >= $2
GROUP BY slot

-- name: people_of_guild
-- Without those who left it and said nothing there since.
SELECT DISTINCT m.user_id
FROM memories AS m
WHERE {{there}} AND NOT EXISTS (
    SELECT FROM departures AS d WHERE d.guild_id = $1 AND d.user_id = m.user_id AND m.created_at <= d.left_at
)
ORDER BY m.user_id

-- name: spending
-- $1 since which day, $2 the account: null for all of them.
SELECT
    coalesce(sum(calls), 0)::bigint AS calls,
    coalesce(sum(input_tokens), 0)::bigint AS input_tokens,
    coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
    coalesce(sum(cost_usd), 0)::double precision AS cost_usd
FROM llm_spending
WHERE day >= $1::date AND ($2::text IS NULL OR account = $2)

-- fragment: runs_there
-- Those of the job $2 on people who said something in the server $1; null for all of that job.
r.job = $2 AND ($1::bigint IS NULL OR EXISTS (SELECT FROM memories AS m WHERE {{there}} AND m.user_id = r.user_id))

-- name: count_runs
-- $3 since when: null for ever.
SELECT r.status, count(*) AS runs
FROM consolidation_runs AS r
WHERE {{runs_there}} AND ($3::timestamptz IS NULL OR r.started_at >= $3)
GROUP BY r.status

-- name: list_runs
-- $3 the most, $4 the offset.
SELECT r.id, r.job, r.user_id, r.status, r.started_at, r.completed_at, r.counts, r.error, r.epoch, r.undone_at
FROM consolidation_runs AS r
WHERE {{runs_there}}
ORDER BY r.started_at DESC, r.id DESC
LIMIT $3 OFFSET $4

-- name: job_log
-- $1 the job.
WITH ended AS (
    SELECT max(completed_at) AS last_success FROM consolidation_runs WHERE job = $1 AND status = 'succeeded'
)
SELECT
    EXISTS (SELECT FROM leases WHERE job = $1 AND expires_at > now()) AS is_going_on,
    last_success,
    (
        SELECT coalesce(r.error, '') FROM consolidation_runs AS r
        WHERE r.job = $1 AND r.status = 'failed' AND (last_success IS NULL OR r.completed_at > last_success)
        ORDER BY r.completed_at DESC LIMIT 1
    ) AS last_error
FROM ended

-- name: of_user
SELECT
    (SELECT count(*) FROM identity_facts WHERE user_id = $1 AND subject = '' AND valid_to IS NULL) AS identity_facts,
    (SELECT count(*) FROM memories WHERE user_id = $1 AND status = 'active') AS memories,
    (SELECT max(created_at) FROM memories WHERE user_id = $1) AS last_active
