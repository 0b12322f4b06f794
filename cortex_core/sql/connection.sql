-- name: read_as
-- Until the transaction ends, so that a connection never carries a person over to the next.
SELECT set_config('role', 'cortex_reader', true), set_config('cortex.actor', $1, true)
