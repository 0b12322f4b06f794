-- Projects and their people. Whether somebody may do something stands in the statement that does it: no row, nothing
-- done. Whatever changes more than one row of a project takes `lock` first, so that changes of a project follow one another
-- and each sees what the one before left.
--
-- $1 is the project; $2 whoever acts, null for the host.

-- fragment: by_owner
EXISTS (SELECT FROM project_members AS a WHERE a.project_id = $1 AND a.user_id = $2 AND a.role = 'owner')

-- fragment: by_manager
(
        $2::text IS NULL
        OR EXISTS (SELECT FROM project_members AS a WHERE a.project_id = $1 AND a.user_id = $2 AND a.role IN ('owner', 'admin'))
    )

-- fragment: has_room
(SELECT count(*) FROM project_members AS r WHERE r.project_id = $1) < $3

-- fragment: may_own_another
(
        SELECT count(*)
        FROM project_members AS o JOIN projects AS q ON q.id = o.project_id
        WHERE o.user_id = $2 AND o.role = 'owner' AND q.archived_at IS NULL
    ) < $3

-- fragment: project
p.id, p.name, p.owner_id, p.created_at, p.archived_at, m.role,
    (SELECT count(*) FROM project_members AS c WHERE c.project_id = p.id) AS member_count

-- fragment: invitation
i.project_id, i.user_id, i.invited_by, i.invited_at, i.expires_at

-- name: lock
SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE

-- name: lock_ownership
-- $1 a person. For as long as it is counted how many projects somebody owns; after `lock`, where both are taken.
SELECT pg_advisory_xact_lock(hashtextextended($1, 1))

-- name: standing
-- $3 the person acted on. To be asked under the lock.
SELECT
    p.archived_at IS NOT NULL AS is_archived,
    (SELECT role FROM project_members WHERE project_id = p.id AND user_id = $2) AS actor,
    (SELECT role FROM project_members WHERE project_id = p.id AND user_id = $3) AS person,
    EXISTS (
        SELECT FROM project_invitations WHERE project_id = p.id AND user_id = $3 AND expires_at > now()
    ) AS is_invited
FROM projects AS p
WHERE p.id = $1

-- name: create
-- $2 the owner, $3 how many projects somebody may own, $4 the name.
INSERT INTO projects (id, name, owner_id)
SELECT $1, $4, $2 WHERE {{may_own_another}}
ON CONFLICT (id) DO NOTHING
RETURNING id

-- name: exists
SELECT EXISTS (SELECT FROM projects WHERE id = $1)

-- name: fill
-- $2 the owner, $3 the owner and the others.
INSERT INTO project_members (project_id, user_id, role)
SELECT $1, person, CASE WHEN person = $2 THEN 'owner' ELSE 'member' END FROM unnest($3::text[]) AS person

-- name: get
SELECT {{project}}
FROM projects AS p JOIN project_members AS m ON m.project_id = p.id
WHERE p.id = $1 AND m.user_id = $2

-- name: list
-- $1 the person, $2 whether the archived ones count.
SELECT {{project}}
FROM project_members AS m JOIN projects AS p ON p.id = m.project_id
WHERE m.user_id = $1 AND ($2 OR p.archived_at IS NULL)
ORDER BY lower(p.name), p.id

-- name: list_members
SELECT m.user_id, m.role, m.joined_at
FROM project_members AS m
WHERE m.project_id = $1 AND EXISTS (SELECT FROM project_members WHERE project_id = $1 AND user_id = $2)
ORDER BY array_position(ARRAY['owner', 'admin', 'member'], m.role), m.joined_at, m.user_id

-- name: check_access
SELECT EXISTS (
    SELECT FROM project_members AS m JOIN projects AS p ON p.id = m.project_id
    WHERE m.project_id = $1 AND m.user_id = $2 AND p.archived_at IS NULL
)

-- name: rename
-- $3 the name.
UPDATE projects SET name = $3, updated_at = now() WHERE id = $1 AND {{by_manager}} RETURNING id

-- name: archive
UPDATE projects SET archived_at = coalesce(archived_at, now()), updated_at = now() WHERE id = $1 AND {{by_owner}} RETURNING id

-- name: restore
-- $3 how many projects somebody may own.
UPDATE projects SET archived_at = NULL, updated_at = now()
WHERE id = $1 AND {{by_owner}} AND (archived_at IS NULL OR {{may_own_another}})
RETURNING id

-- name: add_member
-- $2 the person, $3 how many members there may be, $4 the role.
INSERT INTO project_members (project_id, user_id, role)
SELECT id, $2, $4 FROM projects WHERE id = $1 AND archived_at IS NULL AND {{has_room}}
ON CONFLICT (project_id, user_id) DO NOTHING
RETURNING user_id

-- name: drop_invitation
-- $2 the person.
DELETE FROM project_invitations WHERE project_id = $1 AND user_id = $2

-- name: drop_expired_invitations
DELETE FROM project_invitations WHERE project_id = $1 AND expires_at <= now()

-- name: invite
-- $3 how many members there may be, $4 the person, $5 how long it stays open. After `drop_expired_invitations`.
INSERT INTO project_invitations AS i (project_id, user_id, invited_by, expires_at)
SELECT p.id, $4, $2, now() + $5::interval
FROM projects AS p
WHERE p.id = $1 AND p.archived_at IS NULL AND {{by_manager}}
    AND NOT EXISTS (SELECT FROM project_members WHERE project_id = $1 AND user_id = $4)
    AND (SELECT count(*) FROM project_members WHERE project_id = $1)
        + (SELECT count(*) FROM project_invitations WHERE project_id = $1) < $3
ON CONFLICT (project_id, user_id) DO NOTHING
RETURNING {{invitation}}, (SELECT name FROM projects WHERE id = i.project_id) AS project_name

-- name: list_invitations
-- $1 the person.
SELECT {{invitation}}, p.name AS project_name
FROM project_invitations AS i JOIN projects AS p ON p.id = i.project_id
WHERE i.user_id = $1 AND i.expires_at > now() AND p.archived_at IS NULL
ORDER BY i.invited_at, i.project_id

-- name: accept
-- $2 the invited person, $3 how many members there may be.
WITH used AS (
    DELETE FROM project_invitations AS i
    USING projects AS p
    WHERE i.project_id = $1 AND i.user_id = $2 AND i.expires_at > now()
        AND p.id = i.project_id AND p.archived_at IS NULL AND {{has_room}}
    RETURNING i.project_id, i.user_id
)
INSERT INTO project_members (project_id, user_id, role)
SELECT project_id, user_id, 'member' FROM used
ON CONFLICT (project_id, user_id) DO NOTHING
RETURNING user_id

-- name: decline
-- $2 the invited person.
DELETE FROM project_invitations WHERE project_id = $1 AND user_id = $2 AND expires_at > now() RETURNING user_id

-- name: remove
-- $3 the person. The owner removes anybody else, an admin members only.
DELETE FROM project_members AS m
WHERE m.project_id = $1 AND m.user_id = $3 AND m.role <> 'owner'
    AND ({{by_owner}} OR ({{by_manager}} AND ($2 IS NULL OR m.role = 'member')))
RETURNING m.user_id

-- name: withdraw
-- $3 a person who is no member: whoever is out isn't invited any more and vouches for nobody.
DELETE FROM project_invitations
WHERE project_id = $1 AND $3 IN (user_id, invited_by) AND {{by_manager}}
    AND NOT EXISTS (SELECT FROM project_members WHERE project_id = $1 AND user_id = $3)
RETURNING user_id

-- name: leave
DELETE FROM project_members WHERE project_id = $1 AND user_id = $2 AND role <> 'owner' RETURNING user_id

-- name: set_role
-- $3 the person, $4 the role.
UPDATE project_members SET role = $4
WHERE project_id = $1 AND user_id = $3 AND role <> 'owner' AND {{by_owner}}
RETURNING user_id

-- name: step_down
-- $2 who owns it next, $3 how many projects somebody may own, $4 who acts.
UPDATE project_members SET role = 'admin'
WHERE project_id = $1 AND user_id = $4 AND role = 'owner' AND $2 <> $4 AND {{may_own_another}}
    AND EXISTS (SELECT FROM project_members WHERE project_id = $1 AND user_id = $2)
RETURNING user_id

-- name: step_up
-- $2 the new owner.
WITH owner AS (
    UPDATE project_members SET role = 'owner' WHERE project_id = $1 AND user_id = $2 RETURNING user_id
)
UPDATE projects SET owner_id = owner.user_id, updated_at = now() FROM owner WHERE id = $1
