-- $1 is the server, $2 who left it: null when the bot did.

-- name: add
INSERT INTO departures AS d (guild_id, user_id, erase_at, left_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (guild_id, user_id) DO UPDATE SET erase_at = least(d.erase_at, excluded.erase_at)
RETURNING erase_at

-- name: remove
DELETE FROM departures WHERE guild_id = $1 AND user_id IS NOT DISTINCT FROM $2 RETURNING guild_id

-- fragment: is_back
-- Who says something there after having left is back, though nobody noticed.
EXISTS (
    SELECT FROM memories AS m
    WHERE m.said_in LIKE '%:%' AND split_part(m.said_in, ':', 2) = d.guild_id::text
        AND (d.user_id IS NULL OR m.user_id = d.user_id) AND m.created_at > d.left_at
)

-- name: remove_returned
DELETE FROM departures AS d WHERE d.erase_at <= $1 AND {{is_back}}

-- name: list_due
SELECT guild_id, user_id, erase_at FROM departures WHERE erase_at <= $1 ORDER BY erase_at

-- name: end
DELETE FROM departures WHERE guild_id = $1 AND user_id IS NOT DISTINCT FROM $2 AND erase_at = $3

-- fragment: still_gone
-- Nothing any more as soon as they came back.
EXISTS (
        SELECT FROM departures AS d
        WHERE d.guild_id = $1 AND d.user_id IS NOT DISTINCT FROM $2::text AND d.erase_at = $3
    )

-- fragment: memories_there
said_in LIKE '%:%' AND split_part(said_in, ':', 2) = $1::bigint::text AND {{still_gone}}

-- fragment: facts_there
audience LIKE '%:%' AND split_part(audience, ':', 2) = $1::bigint::text AND {{still_gone}}

-- name: list_memories_of_all
SELECT user_id, id FROM memories WHERE {{memories_there}} ORDER BY user_id LIMIT $4

-- name: list_memories_of_one
SELECT user_id, id FROM memories WHERE {{memories_there}} AND user_id = $2 LIMIT $4

-- name: list_facts_of_all
SELECT user_id, id FROM identity_facts WHERE {{facts_there}} LIMIT $4

-- name: list_facts_of_one
SELECT user_id, id FROM identity_facts WHERE {{facts_there}} AND user_id = $2 LIMIT $4
