-- 0008 fact_times
-- Date: 2026-11-23
-- Reason: a decision may change when a fact held, or let one hold again; undoing it goes back to the times before. What
-- changed a memory or a fact, and what took the place of a fact, is found by an index.

ALTER TABLE changes DROP CONSTRAINT changes_kind_check;
ALTER TABLE changes ADD CONSTRAINT changes_kind_check CHECK (kind IN (
    'memory added', 'memory archived', 'memory superseded', 'memory changed', 'fact added', 'fact ended', 'fact changed'
));

CREATE INDEX changes_by_target ON changes (user_id, target);
CREATE INDEX identity_facts_by_supersedes ON identity_facts (user_id, supersedes) WHERE supersedes IS NOT NULL;

-- Where a run is deleted, what it did is looked for without its owner.
CREATE INDEX changes_by_run ON changes (run_id);
CREATE INDEX contradictions_by_run ON contradictions (run_id) WHERE run_id IS NOT NULL;
