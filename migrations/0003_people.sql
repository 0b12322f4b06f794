-- 0003 people
-- Date: 2026-11-23
-- Reason: many people at once: shared projects, channels that feed them, what people wish, and a wall between people in
-- the database itself.

-- Projects: shared memory. Who may do what is decided by the rows of project_members, in the statement that does it.
CREATE TABLE projects (
    id          text        PRIMARY KEY,
    name        text        NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    owner_id    text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    archived_at timestamptz,  -- from then on it is neither fed nor recalled
    settings    jsonb       NOT NULL DEFAULT '{}'
);

CREATE TABLE project_members (
    project_id text        NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id    text        NOT NULL,
    role       text        NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    joined_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id)
);

CREATE UNIQUE INDEX project_members_one_owner ON project_members (project_id) WHERE role = 'owner';
CREATE INDEX project_members_by_user ON project_members (user_id);

ALTER TABLE projects ADD CONSTRAINT owner_is_member
    FOREIGN KEY (id, owner_id) REFERENCES project_members (project_id, user_id) DEFERRABLE INITIALLY DEFERRED;

-- Nobody is a member before having accepted.
CREATE TABLE project_invitations (
    project_id text        NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id    text        NOT NULL,
    invited_by text        NOT NULL,
    invited_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, user_id)
);

CREATE INDEX project_invitations_by_user ON project_invitations (user_id);

-- Channels with settings of their own: the project that a channel feeds and reads, and whether it is listened to.
CREATE TABLE channels (
    channel_id  text        PRIMARY KEY,
    guild_id    bigint,
    project_id  text        REFERENCES projects (id) ON DELETE SET NULL,
    is_captured boolean     NOT NULL DEFAULT true,
    changed_by  text,
    changed_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX channels_by_project ON channels (project_id) WHERE project_id IS NOT NULL;
CREATE INDEX channels_by_guild ON channels (guild_id);

CREATE INDEX memories_by_project ON memories (project_id, created_at DESC) WHERE project_id IS NOT NULL;

-- As for owners of many memories, so for projects: the nearest by sign bits, and words hashed together with the project.
CREATE INDEX memories_by_project_signs ON memories (project_id)
    INCLUDE (signs, embedding_model_id, status, audience, user_id, memory_type, created_at, id)
    WHERE project_id IS NOT NULL;
CREATE INDEX memories_by_project_word ON memories USING gin (hash_words(project_id, tsvector_to_array(terms)))
    WHERE project_id IS NOT NULL;

-- What people wish for all that they say.
ALTER TABLE owners
    ADD COLUMN opted_out_at  timestamptz,                     -- from then on nothing is stored or recalled
    ADD COLUMN paused_until  timestamptz,                     -- until then nothing is stored; infinity: until they resume
    ADD COLUMN keeps_private boolean NOT NULL DEFAULT false;  -- whatever they say surfaces to them alone

-- Where something was said, as an audience, whatever its owner made of that since: retention goes by it.
ALTER TABLE memories ADD COLUMN said_in text;
UPDATE memories SET said_in = audience;
CREATE INDEX memories_by_guild ON memories ((split_part(said_in, ':', 2)), user_id) WHERE said_in LIKE '%:%';

-- What was forgotten, as keyed hashes: learning from older sources doesn't bring it back.
CREATE TABLE forgotten_contents (
    user_id      text        NOT NULL,
    digest       bytea       NOT NULL,
    forgotten_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, digest)
);

-- Keys that never leave the database server but to this program.
CREATE TABLE secrets (
    name  text  PRIMARY KEY,
    value bytea NOT NULL
);

INSERT INTO secrets (name, value) VALUES ('forgotten contents', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- What names a content among what its owner forgot. Only with the key can texts be tried out; what differs in nothing but
-- case, punctuation and spaces has the same name, in any script and whatever the locale of the database.
CREATE FUNCTION digest_of(owner text, content text) RETURNS bytea
    LANGUAGE sql STABLE
    RETURN (
        SELECT sha256(s.value || sha256(s.value || sha256(convert_to(owner, 'UTF8')) || convert_to(words.text, 'UTF8')))
        FROM secrets AS s, (
            SELECT coalesce(nullif(btrim(regexp_replace(
                lower(normalize(content, NFKC)),
                '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+', ' ', 'g'
            )), ''), content) AS text
        ) AS words
        WHERE s.name = 'forgotten contents'
    );

REVOKE EXECUTE ON FUNCTION digest_of FROM PUBLIC;

-- People who left a server, and servers that the bot left (user_id is null): when what was said there is erased.
CREATE TABLE departures (
    guild_id bigint      NOT NULL,
    user_id  text,
    left_at  timestamptz NOT NULL,
    erase_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (guild_id, user_id)
);

CREATE INDEX departures_by_time ON departures (erase_at);

-- The second wall. Whatever is read for a person is read as cortex_reader, in a transaction that names the person
-- (cortex.actor); the server then shows that person's own rows and those of the person's projects, whatever a statement
-- asks for. Writers and upkeep work for everybody and read as the role that owns the tables.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cortex_reader') THEN
        CREATE ROLE cortex_reader NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this server is migrated at this moment
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'Cortex reads as the role cortex_reader, which % may not create; let an administrator run: CREATE ROLE cortex_reader NOLOGIN; GRANT cortex_reader TO %;',
            current_user, current_user;
END
$$;

DO $$
BEGIN
    -- Also for who created it: that alone lets nobody take the role on, from PostgreSQL 16 on.
    EXECUTE format('GRANT cortex_reader TO %I', current_user);
EXCEPTION
    WHEN insufficient_privilege THEN
        IF NOT pg_has_role(current_user, 'cortex_reader', 'MEMBER') THEN
            RAISE EXCEPTION 'Cortex reads as the role cortex_reader, which % may not take on; let an administrator run: GRANT cortex_reader TO %;',
                current_user, current_user;
        END IF;
END
$$;

CREATE FUNCTION cortex_actor() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('cortex.actor', true), '');  -- a setting of an earlier transaction reads as empty

CREATE FUNCTION projects_of_actor() RETURNS text[]
    LANGUAGE sql STABLE SECURITY DEFINER
    RETURN (
        SELECT coalesce(array_agg(m.project_id), '{}')
        FROM project_members AS m JOIN projects AS p ON p.id = m.project_id
        WHERE m.user_id = cortex_actor() AND p.archived_at IS NULL
    );

-- Where the policies would keep the index of words from being used: they must be checked first, except in here.
CREATE FUNCTION find_by_words(owner text, hashes integer[], most integer)
    RETURNS TABLE (
        user_id text, id uuid, status text, audience text, project_id text, memory_type text, created_at timestamptz
    )
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    RETURN QUERY
    SELECT m.user_id, m.id, m.status, m.audience, m.project_id, m.memory_type, m.created_at
    FROM memories AS m
    WHERE hash_words(m.user_id, tsvector_to_array(m.terms)) && hashes AND m.user_id = owner AND owner = cortex_actor()
    LIMIT most;
END
$$;

CREATE FUNCTION find_shared_by_words(person text, projects text[], words text[], most integer)
    RETURNS TABLE (
        user_id text, id uuid, status text, audience text, project_id text, memory_type text, created_at timestamptz
    )
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    open_projects text[] := ARRAY(SELECT unnest(projects) INTERSECT SELECT unnest(projects_of_actor()));
BEGIN
    RETURN QUERY
    SELECT m.user_id, m.id, m.status, m.audience, m.project_id, m.memory_type, m.created_at
    FROM memories AS m
    WHERE hash_words(m.project_id, tsvector_to_array(m.terms)) && (
            SELECT array_agg(hash) FROM unnest(open_projects) AS project, unnest(hash_words(project, words)) AS hash
        )
        AND m.project_id = ANY (open_projects)
        AND person = cortex_actor()
    LIMIT most;
END
$$;

ALTER TABLE memories            ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE memory_pieces       ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE identity_facts      ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE evidence            ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE sessions            ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE contradictions      ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE dead_letters        ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tombstones          ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE forgotten_contents  ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE consolidation_runs  ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE owners              ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE common_words        ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE projects            ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE project_members     ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE project_invitations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE channels            ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE departures          ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE secrets             ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- Forced, so that the tables' owner needs a policy of its own.
DO $$
DECLARE
    guarded regclass;
BEGIN
    FOR guarded IN
        SELECT oid FROM pg_class
        WHERE relforcerowsecurity AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'memories'::regclass)
    LOOP
        EXECUTE format('CREATE POLICY upkeep ON %s TO %I USING (true) WITH CHECK (true)', guarded, current_user);
    END LOOP;
END
$$;

CREATE POLICY own ON memories FOR SELECT TO cortex_reader
    USING (user_id = (SELECT cortex_actor()) OR project_id = ANY ((SELECT projects_of_actor())::text[]));
CREATE POLICY own ON memory_pieces FOR SELECT TO cortex_reader
    USING (
        user_id = (SELECT cortex_actor())
        OR EXISTS (SELECT FROM memories AS m WHERE m.user_id = memory_pieces.user_id AND m.id = memory_pieces.id)
    );
CREATE POLICY own ON identity_facts FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON evidence FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON sessions FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON owners FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON common_words FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON project_invitations FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON projects FOR SELECT TO cortex_reader USING (id = ANY ((SELECT projects_of_actor())::text[]));
CREATE POLICY own ON project_members FOR SELECT TO cortex_reader
    USING (project_id = ANY ((SELECT projects_of_actor())::text[]));
CREATE POLICY own ON channels FOR SELECT TO cortex_reader USING (project_id = ANY ((SELECT projects_of_actor())::text[]));

GRANT SELECT ON
    memories, memory_pieces, identity_facts, evidence, sessions, owners, common_words, project_invitations, projects,
    project_members, channels
TO cortex_reader;
