-- Channels with settings of their own. A channel that stands nowhere has the default ones.

-- fragment: settings
c.channel_id, c.guild_id, c.is_captured,
    (SELECT p.id FROM projects AS p WHERE p.id = c.project_id AND p.archived_at IS NULL) AS project_id,
    (extract(epoch FROM c.changed_at) * 1000000)::bigint AS version

-- fragment: change
guild_id = coalesce(excluded.guild_id, c.guild_id),
    changed_by = excluded.changed_by,
    changed_at = greatest(excluded.changed_at, c.changed_at + interval '1 microsecond')  -- never the same version twice

-- name: get
SELECT {{settings}} FROM channels AS c WHERE c.channel_id = $1

-- name: link
-- $1 the project, $2 who acts, null for the host, $3 the channel, $4 its server.
INSERT INTO channels AS c (channel_id, guild_id, project_id, changed_by, changed_at)
SELECT $3, $4, p.id, $2, clock_timestamp()
FROM projects AS p
WHERE p.id = $1 AND p.archived_at IS NULL AND (
    $2::text IS NULL
    OR EXISTS (SELECT FROM project_members WHERE project_id = $1 AND user_id = $2 AND role IN ('owner', 'admin'))
)
ON CONFLICT (channel_id) DO UPDATE SET project_id = excluded.project_id, {{change}}
RETURNING {{settings}}

-- name: unlink
-- $2 who acts.
UPDATE channels SET
    project_id = NULL, changed_by = $2, changed_at = greatest(clock_timestamp(), changed_at + interval '1 microsecond')
WHERE channel_id = $1 AND project_id IS NOT NULL
RETURNING channel_id

-- name: set_capture
-- $2 whether, $3 the server, $4 who acts.
INSERT INTO channels AS c (channel_id, is_captured, guild_id, changed_by, changed_at)
VALUES ($1, $2, $3, $4, clock_timestamp())
ON CONFLICT (channel_id) DO UPDATE SET is_captured = excluded.is_captured, {{change}}
RETURNING {{settings}}

-- name: list_of_project
-- $2 a member, null for the host. No row if there is no such project, or it isn't the member's.
SELECT CASE
    WHEN p.archived_at IS NULL
    THEN ARRAY(SELECT c.channel_id FROM channels AS c WHERE c.project_id = p.id ORDER BY c.channel_id)
    ELSE '{}'
END
FROM projects AS p
WHERE p.id = $1
    AND ($2::text IS NULL OR EXISTS (SELECT FROM project_members WHERE project_id = $1 AND user_id = $2))

-- name: forget
DELETE FROM channels WHERE channel_id = $1

-- name: forget_guild
DELETE FROM channels WHERE guild_id = $1 RETURNING channel_id
