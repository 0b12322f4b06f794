-- Whose memories a statement may see: the only conditions of that kind, put in wherever memories are read for a person.
-- The policies of migration 0003 are the wall behind them.
--
-- $1 the person, $2 where it will be heard (null: by that person alone), $3 projects (null: whichever; '' stands for none).

-- fragment: own
-- A person's own memories. Elsewhere than in private only those that its readers could have heard, which $2 lists as
-- audiences; what belongs to a project surfaces there as the project's.
m.user_id = $1
        AND ($2::text[] IS NULL OR (m.project_id IS NULL AND m.audience IN (SELECT unnest($2))))
        AND ($3::text[] IS NULL OR coalesce(m.project_id, '') = ANY($3))

-- fragment: projects
-- Those that the person belongs to at this moment; elsewhere than in private only those that one of the channels in $2 is
-- linked with. Who opted out hears none.
ARRAY(
            SELECT p.project_id
            FROM project_members AS p
            WHERE p.user_id = $1
                AND ($3::text[] IS NULL OR p.project_id = ANY($3))
                AND EXISTS (SELECT FROM projects WHERE id = p.project_id AND archived_at IS NULL)
                AND ($2::text[] IS NULL OR EXISTS (
                    SELECT FROM channels AS c WHERE c.channel_id = ANY($2) AND c.project_id = p.project_id
                ))
                AND NOT EXISTS (SELECT FROM owners AS o WHERE o.user_id = $1 AND o.opted_out_at IS NOT NULL)
        )

-- fragment: shared
m.project_id = ANY ({{projects}})
