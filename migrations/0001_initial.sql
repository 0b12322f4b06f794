-- 0001 initial
-- Date: 2026-11-23
-- Reason: the tables that storing, recalling, correcting and forgetting need from the first day.
--
-- What holds memories and facts starts its key with the owner, so that it can be partitioned by it, and children refer to
-- (user_id, id): a row can never point to another owner's.

CREATE EXTENSION IF NOT EXISTS vector;

-- Owners, for what is true of all of an owner's data.
CREATE TABLE owners (
    user_id      text PRIMARY KEY,
    forgotten_at timestamptz  -- whatever was acknowledged up to then has been forgotten and must not be written any more
);

-- The embedding spaces in use. Vectors of different models are never compared.
CREATE TABLE embedding_models (
    id         smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    dimensions integer NOT NULL CHECK (dimensions BETWEEN 1 AND 4000)
);

CREATE TABLE memories (
    user_id            text        NOT NULL,
    id                 uuid        NOT NULL,
    author_id          text,
    author_name        text,
    project_id         text,
    audience           text        NOT NULL,
    memory_type        text        NOT NULL CHECK (memory_type IN ('identity', 'semantic', 'episodic', 'working', 'session')),
    status             text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'superseded', 'archived')),
    content            text        NOT NULL,
    content_hash       bytea       NOT NULL,
    terms              tsvector    NOT NULL GENERATED ALWAYS AS (to_tsvector('english', coalesce(author_name || ': ', '') || content)) STORED,
    emotional_score    real        NOT NULL CHECK (emotional_score BETWEEN 0 AND 1),
    importance         real        NOT NULL CHECK (importance BETWEEN 0 AND 1),
    confidence         real        NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    version            bigint      NOT NULL DEFAULT 0,  -- 0, or an edit's time in ms: later ones replace, earlier ones are ignored
    last_accessed      timestamptz,
    access_count       integer     NOT NULL DEFAULT 0,
    valid_from         timestamptz NOT NULL,
    valid_to           timestamptz,
    supersedes         uuid,
    source             text        NOT NULL,
    source_id          text,
    channel_id         text,
    position           bigint,     -- counted per owner and channel, in the order of arrival
    tags               text[]      NOT NULL DEFAULT '{}',
    metadata           jsonb       NOT NULL DEFAULT '{}',
    embedding          halfvec,
    embedding_model_id smallint    REFERENCES embedding_models (id),
    embedding_error    text,       -- why this text can't be embedded; set, it isn't tried again
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, supersedes) REFERENCES memories (user_id, id) ON DELETE SET NULL (supersedes),
    CHECK ((embedding IS NULL) = (embedding_model_id IS NULL)),
    CHECK (valid_to >= valid_from)
);

CREATE UNIQUE INDEX memories_by_source ON memories (source_id, user_id) WHERE source_id IS NOT NULL;
CREATE INDEX memories_by_time ON memories (user_id, created_at DESC);
CREATE UNIQUE INDEX memories_by_position ON memories (user_id, channel_id, position);
CREATE INDEX memories_without_vector ON memories (created_at) WHERE embedding IS NULL AND embedding_error IS NULL;

-- What is durably true of an owner. Learning ends a fact and adds the next; the projection of the open ones is the identity.
CREATE TABLE identity_facts (
    user_id     text        NOT NULL,
    id          uuid        NOT NULL,
    attribute   text        NOT NULL,
    value       jsonb       NOT NULL,
    confidence  real        NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    audience    text        NOT NULL,
    source      text        NOT NULL,
    valid_from  timestamptz NOT NULL,
    valid_to    timestamptz,
    supersedes  uuid,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id),
    FOREIGN KEY (user_id, supersedes) REFERENCES identity_facts (user_id, id) ON DELETE SET NULL (supersedes),
    CHECK (valid_to >= valid_from)
);

CREATE UNIQUE INDEX identity_facts_current ON identity_facts (user_id, attribute) WHERE valid_to IS NULL;

-- Which memories a fact was learned from; what loses its last evidence goes with it.
CREATE TABLE evidence (
    user_id   text NOT NULL,
    fact_id   uuid NOT NULL,
    memory_id uuid NOT NULL,
    PRIMARY KEY (user_id, fact_id, memory_id),
    FOREIGN KEY (user_id, fact_id) REFERENCES identity_facts (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, memory_id) REFERENCES memories (user_id, id) ON DELETE CASCADE
);

CREATE INDEX evidence_by_memory ON evidence (user_id, memory_id);

-- The last known state of each owner's session, for when Redis is away.
CREATE TABLE sessions (
    user_id    text        PRIMARY KEY,
    state      jsonb       NOT NULL,
    revised_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Forgotten memories: a queued or repeated write of one of these is dropped. Without an owner it holds for all of them.
CREATE TABLE tombstones (
    memory_id    uuid        NOT NULL,
    user_id      text,
    version      bigint      NOT NULL,  -- up to which it is forgotten
    forgotten_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (memory_id, user_id)
);

-- Writes that can never succeed, kept for a person to look at and replay.
CREATE TABLE dead_letters (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id         text,
    memory_id       uuid,
    entry_id        text        NOT NULL UNIQUE,  -- the journal's name for it: dead once, however often delivered
    payload         text        NOT NULL,
    reason          text        NOT NULL,
    sqlstate        text,
    attempts        integer     NOT NULL,
    first_failed_at timestamptz NOT NULL,
    last_failed_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX dead_letters_by_owner ON dead_letters (user_id);

-- Runs of background work, per owner or for all.
CREATE TABLE consolidation_runs (
    id           uuid        PRIMARY KEY,
    user_id      text,
    job          text        NOT NULL,
    status       text        NOT NULL CHECK (status IN ('running', 'succeeded', 'failed')),
    started_at   timestamptz NOT NULL,
    completed_at timestamptz,
    counts       jsonb       NOT NULL DEFAULT '{}',
    error        text
);

CREATE INDEX consolidation_runs_by_time ON consolidation_runs (started_at DESC);

-- Pairs of an owner's memories that can't both be true.
CREATE TABLE contradictions (
    user_id     text        NOT NULL,
    id          uuid        NOT NULL,
    memory_a    uuid        NOT NULL,
    memory_b    uuid        NOT NULL CHECK (memory_a < memory_b),
    explanation text        NOT NULL,
    detected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id),
    UNIQUE (user_id, memory_a, memory_b),  -- each pair is flagged once
    FOREIGN KEY (user_id, memory_a) REFERENCES memories (user_id, id) ON DELETE CASCADE,
    FOREIGN KEY (user_id, memory_b) REFERENCES memories (user_id, id) ON DELETE CASCADE
);
