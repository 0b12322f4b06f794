-- 0004 learning
-- Date: 2026-11-23
-- Reason: memory that learns: facts of one or many values with two times, what was derived from what, runs that can be
-- undone, questions to people, and what language models cost.

-- Who read a memory for facts: the rules at once, a language model later if one is configured.
ALTER TABLE memories
    ADD COLUMN learned_at  timestamptz,
    ADD COLUMN analysed_at timestamptz;

CREATE INDEX memories_to_learn ON memories (user_id, created_at) WHERE learned_at IS NULL;
CREATE INDEX memories_to_analyse ON memories (user_id, created_at) WHERE analysed_at IS NULL;

-- A fact has two times: when it holds (valid_from, valid_to), and when it was believed (recorded_at, ended_at).
ALTER TABLE identity_facts
    ADD COLUMN subject   text        NOT NULL DEFAULT '',     -- the owner; else somebody in the owner's words, as the owner's claim
    ADD COLUMN has_many  boolean     NOT NULL DEFAULT false,  -- other values of this attribute may hold beside it
    ADD COLUMN value_key text        NOT NULL DEFAULT '',     -- what spellings of the value have in common
    ADD COLUMN ended_at  timestamptz;                         -- when it was learned that it had ended

UPDATE identity_facts SET value_key = lower(coalesce(value #>> '{}', 'null')), ended_at = valid_to;

ALTER TABLE identity_facts ADD CHECK ((valid_to IS NULL) = (ended_at IS NULL));

DROP INDEX identity_facts_current;
CREATE UNIQUE INDEX identity_facts_one ON identity_facts (user_id, subject, attribute)
    WHERE valid_to IS NULL AND NOT has_many;
CREATE UNIQUE INDEX identity_facts_many ON identity_facts (user_id, subject, attribute, value_key)
    WHERE valid_to IS NULL AND has_many;

-- Which memories a summary or a pattern was drawn from.
CREATE TABLE derivations (
    user_id    text NOT NULL,
    derived_id uuid NOT NULL,
    source_id  uuid NOT NULL,
    PRIMARY KEY (user_id, derived_id, source_id),
    FOREIGN KEY (user_id, derived_id) REFERENCES memories (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, source_id) REFERENCES memories (user_id, id) ON DELETE CASCADE
);

CREATE INDEX derivations_by_source ON derivations (user_id, source_id);

-- Who works on an owner: one at a time. Each holder has an epoch, and commits nothing once the next one has begun.
CREATE TABLE leases (
    user_id    text        NOT NULL,
    job        text        NOT NULL,
    epoch      bigint      NOT NULL,
    holder     uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, job)
);

-- A run is one set of changes, which can be undone together.
ALTER TABLE consolidation_runs
    ADD COLUMN epoch     bigint,
    ADD COLUMN undone_at timestamptz;

CREATE INDEX consolidation_runs_by_owner ON consolidation_runs (user_id, started_at DESC);

CREATE TABLE changes (
    run_id  uuid NOT NULL REFERENCES consolidation_runs (id) ON DELETE CASCADE,
    user_id text NOT NULL,
    kind    text NOT NULL CHECK (kind IN (
        'memory added', 'memory archived', 'memory superseded', 'memory changed', 'fact added', 'fact ended'
    )),
    target  uuid NOT NULL,
    before  jsonb NOT NULL DEFAULT '{}',  -- status, valid_from and valid_to of a memory, to which undoing goes back
    PRIMARY KEY (user_id, run_id, kind, target)
);

-- Pairs of memories that can't both be true; nothing wrote the table of migration 0001 yet. The pairs of a project may have
-- two owners, and its admins decide; any other pair is its owner's.
DROP TABLE contradictions;

CREATE TABLE contradictions (
    id          uuid        PRIMARY KEY,
    owner_a     text        NOT NULL,
    memory_a    uuid        NOT NULL,
    owner_b     text        NOT NULL,
    memory_b    uuid        NOT NULL,
    project_id  text        REFERENCES projects (id) ON DELETE CASCADE,
    explanation text        NOT NULL,
    found_by    text        NOT NULL,  -- rules, or the name of a model
    detected_at timestamptz NOT NULL DEFAULT now(),
    resolution  text        CHECK (resolution IN ('a_wins', 'b_wins', 'merge', 'both_valid', 'changed')),
    resolved_at timestamptz,
    resolved_by text,
    note        text,
    changed_on  timestamptz,           -- from when on the newer one holds
    run_id      uuid        REFERENCES consolidation_runs (id) ON DELETE SET NULL,  -- what the resolution changed
    claimed_by    text,                -- who looks at it now, so that two reviewers don't decide it at once
    claimed_until timestamptz,
    UNIQUE (owner_a, memory_a, owner_b, memory_b),  -- each pair is flagged once
    FOREIGN KEY (owner_a, memory_a) REFERENCES memories (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_b, memory_b) REFERENCES memories (user_id, id) ON DELETE CASCADE,
    CHECK ((owner_a, memory_a) < (owner_b, memory_b)),
    CHECK (project_id IS NOT NULL OR owner_a = owner_b),
    CHECK ((resolution IS NULL) = (resolved_at IS NULL))
);

CREATE INDEX contradictions_by_b ON contradictions (owner_b, memory_b);
CREATE INDEX contradictions_by_project ON contradictions (project_id) WHERE project_id IS NOT NULL;

-- What a person said against a fact without correcting it in so many words: a question to that person.
CREATE TABLE corrections (
    user_id     text        NOT NULL,
    id          uuid        NOT NULL,
    fact_id     uuid        NOT NULL,
    memory_id   uuid        NOT NULL,
    value       jsonb       NOT NULL,
    value_key   text        NOT NULL,
    valid_from  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    asked_at    timestamptz,
    answered_at timestamptz,
    answer      text        CHECK (answer IN ('updated', 'kept', 'both', 'changed', 'expired')),
    PRIMARY KEY (user_id, id),
    UNIQUE (user_id, fact_id, value_key),  -- asked once
    FOREIGN KEY (user_id, fact_id) REFERENCES identity_facts (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, memory_id) REFERENCES memories (user_id, id) ON DELETE CASCADE,
    CHECK ((answer IS NULL) = (answered_at IS NULL))
);

CREATE INDEX corrections_by_memory ON corrections (user_id, memory_id);
CREATE INDEX corrections_open ON corrections (user_id) WHERE answered_at IS NULL;

ALTER TABLE owners
    ADD COLUMN wants_digest   boolean NOT NULL DEFAULT false,
    ADD COLUMN digest_sent_at timestamptz,
    ADD COLUMN cards_asked    integer NOT NULL DEFAULT 0,  -- the fewer are answered, the fewer are asked
    ADD COLUMN cards_answered integer NOT NULL DEFAULT 0,
    ADD COLUMN card_sent_at   timestamptz;

CREATE INDEX owners_with_digest ON owners (digest_sent_at) WHERE wants_digest;

-- What language models were asked on a day for a server ('' for direct messages). What a call may cost at most is set aside
-- before it and settled after it, so that calls at the same time keep within the caps too.
CREATE TABLE llm_spending (
    day             date             NOT NULL,
    account         text             NOT NULL,
    calls           integer          NOT NULL DEFAULT 0,
    input_tokens    bigint           NOT NULL DEFAULT 0,
    output_tokens   bigint           NOT NULL DEFAULT 0,
    cost_usd        double precision NOT NULL DEFAULT 0,
    reserved_tokens bigint           NOT NULL DEFAULT 0,
    reserved_usd    double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (day, account)
);

-- How often each operation was done in an hour, how it went, and how long it took.
CREATE TABLE activity (
    hour      timestamptz      NOT NULL,
    operation text             NOT NULL,
    count     bigint           NOT NULL DEFAULT 0,
    failures  bigint           NOT NULL DEFAULT 0,
    seconds   double precision NOT NULL DEFAULT 0,
    buckets   bigint[]         NOT NULL DEFAULT '{}',  -- how many took up to 1, 2, 4, 8 … ms
    PRIMARY KEY (hour, operation)
);

DO $$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY[
        'derivations', 'leases', 'changes', 'contradictions', 'corrections', 'llm_spending', 'activity'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', guarded);
        EXECUTE format('CREATE POLICY upkeep ON %I TO %I USING (true) WITH CHECK (true)', guarded, current_user);
    END LOOP;
END
$$;

CREATE POLICY own ON derivations FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON changes FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON consolidation_runs FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON corrections FOR SELECT TO cortex_reader USING (user_id = (SELECT cortex_actor()));
CREATE POLICY own ON contradictions FOR SELECT TO cortex_reader
    USING (
        (owner_a = (SELECT cortex_actor()) AND owner_b = (SELECT cortex_actor()))
        OR project_id = ANY ((SELECT projects_of_actor())::text[])
    );

GRANT SELECT ON derivations, changes, consolidation_runs, corrections, contradictions TO cortex_reader;
