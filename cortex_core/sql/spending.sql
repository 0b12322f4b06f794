-- name: reserve
-- Reserves if both caps hold with this on top; the row is locked, so that everybody counts what the one before added.
-- A cap of 0 is none. Otherwise tells whether what was spent alone would allow it, by what was known as this began.
WITH made AS (
    INSERT INTO llm_spending AS s (day, account, reserved_tokens, reserved_usd)
    SELECT $1::date, $2::text, $3::bigint, $4::double precision
    WHERE ($5::bigint = 0 OR $3 <= $5) AND ($6::double precision = 0 OR $4 <= $6)
    ON CONFLICT (day, account) DO UPDATE SET
        reserved_tokens = s.reserved_tokens + excluded.reserved_tokens,
        reserved_usd = s.reserved_usd + excluded.reserved_usd
    WHERE ($5 = 0 OR s.input_tokens + s.output_tokens + s.reserved_tokens + excluded.reserved_tokens <= $5)
        AND ($6 = 0 OR s.cost_usd + s.reserved_usd + excluded.reserved_usd <= $6)
    RETURNING true
)
SELECT CASE
    WHEN EXISTS (SELECT FROM made) THEN 'made'
    WHEN ($5 = 0 OR coalesce(s.input_tokens + s.output_tokens, 0) + $3 <= $5)
        AND ($6 = 0 OR coalesce(s.cost_usd, 0) + $4 <= $6) THEN 'pending'
    ELSE 'refused'
END
FROM (SELECT) AS request
LEFT JOIN llm_spending AS s ON s.day = $1 AND s.account = $2

-- name: settle
UPDATE llm_spending SET
    calls = calls + $5,
    input_tokens = input_tokens + $6,
    output_tokens = output_tokens + $7,
    cost_usd = cost_usd + $8,
    reserved_tokens = greatest(reserved_tokens - $3, 0),
    reserved_usd = greatest(reserved_usd - $4, 0)
WHERE day = $1 AND account = $2

-- fragment: as_nobodys
RETURNING day, calls, input_tokens, output_tokens, cost_usd
)
INSERT INTO llm_spending AS s (day, account, calls, input_tokens, output_tokens, cost_usd)
SELECT day, '', sum(calls), sum(input_tokens), sum(output_tokens), sum(cost_usd) FROM gone GROUP BY day ORDER BY day
ON CONFLICT (day, account) DO UPDATE SET
    calls = s.calls + excluded.calls,
    input_tokens = s.input_tokens + excluded.input_tokens,
    output_tokens = s.output_tokens + excluded.output_tokens,
    cost_usd = s.cost_usd + excluded.cost_usd

-- name: unname
-- What an account took stays counted, as nobody's.
WITH gone AS (
    DELETE FROM llm_spending WHERE account = $1 {{as_nobodys}}

-- name: unname_persons
-- Likewise what all people took in their direct messages before the day $1.
WITH gone AS (
    DELETE FROM llm_spending WHERE day < $1 AND account LIKE 'owner:%' {{as_nobodys}}
