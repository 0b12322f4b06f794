-- name: reserve
-- Returns a row if both caps hold with this on top; the row is locked, so that everybody counts what the one before added.
-- A cap of 0 is none.
INSERT INTO llm_spending AS s (day, account, reserved_tokens, reserved_usd)
SELECT $1::date, $2::text, $3::bigint, $4::double precision
WHERE ($5::bigint = 0 OR $3 <= $5) AND ($6::double precision = 0 OR $4 <= $6)
ON CONFLICT (day, account) DO UPDATE SET
    reserved_tokens = s.reserved_tokens + excluded.reserved_tokens,
    reserved_usd = s.reserved_usd + excluded.reserved_usd
WHERE ($5 = 0 OR s.input_tokens + s.output_tokens + s.reserved_tokens + excluded.reserved_tokens <= $5)
    AND ($6 = 0 OR s.cost_usd + s.reserved_usd + excluded.reserved_usd <= $6)
RETURNING true

-- name: settle
UPDATE llm_spending SET
    calls = calls + $5,
    input_tokens = input_tokens + $6,
    output_tokens = output_tokens + $7,
    cost_usd = cost_usd + $8,
    reserved_tokens = greatest(reserved_tokens - $3, 0),
    reserved_usd = greatest(reserved_usd - $4, 0)
WHERE day = $1 AND account = $2
