-- $1 is the server, $2 who left it: null when the bot did.

-- name: add
INSERT INTO departures AS d (guild_id, user_id, erase_at) VALUES ($1, $2, $3)
ON CONFLICT (guild_id, user_id) DO UPDATE SET erase_at = least(d.erase_at, excluded.erase_at)
RETURNING erase_at

-- name: remove
DELETE FROM departures WHERE guild_id = $1 AND user_id IS NOT DISTINCT FROM $2 RETURNING guild_id

-- name: list_due
SELECT guild_id, user_id, erase_at FROM departures WHERE erase_at <= $1 ORDER BY erase_at

-- name: end
DELETE FROM departures WHERE guild_id = $1 AND user_id IS NOT DISTINCT FROM $2 AND erase_at = $3

-- fragment: said_there
-- Nothing any more as soon as they came back.
audience LIKE '%:%' AND split_part(audience, ':', 2) = $1::bigint::text
    AND EXISTS (
        SELECT FROM departures AS d
        WHERE d.guild_id = $1 AND d.user_id IS NOT DISTINCT FROM $2::text AND d.erase_at = $3
    )

-- name: list_memories_of_all
SELECT user_id, id FROM memories WHERE {{said_there}} ORDER BY user_id LIMIT $4

-- name: list_memories_of_one
SELECT user_id, id FROM memories WHERE {{said_there}} AND user_id = $2 LIMIT $4

-- name: list_facts_of_all
SELECT user_id, id FROM identity_facts WHERE {{said_there}} LIMIT $4

-- name: list_facts_of_one
SELECT user_id, id FROM identity_facts WHERE {{said_there}} AND user_id = $2 LIMIT $4
