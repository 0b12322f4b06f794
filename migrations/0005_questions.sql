-- 0005 questions
-- Date: 2026-11-23
-- Reason: what a language model said of an owner's memories, or could not say in a way that can be read, isn't asked for
-- ever again.

-- What a language model was asked while somebody worked on an owner; with the right to do that (leases) it is forgotten, too.
CREATE TABLE questions (
    user_id     text        NOT NULL,
    job         text        NOT NULL,
    digest      bytea       NOT NULL,                -- of the task, the model, and the memories by id and version
    attempts    integer     NOT NULL DEFAULT 0,      -- answers that were of no use
    is_answered boolean     NOT NULL DEFAULT false,
    asked_at    timestamptz NOT NULL DEFAULT now(),  -- when it came up last, asked or not
    PRIMARY KEY (user_id, job, digest),
    FOREIGN KEY (user_id, job) REFERENCES leases (user_id, job) ON DELETE CASCADE
);

CREATE INDEX questions_by_age ON questions (asked_at);

ALTER TABLE questions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

DO $$
BEGIN
    EXECUTE format('CREATE POLICY upkeep ON questions TO %I USING (true) WITH CHECK (true)', current_user);
END
$$;
