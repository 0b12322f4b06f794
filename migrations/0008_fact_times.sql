-- 0008 fact_times
-- Date: 2026-11-23
-- Reason: a decision may change when a fact held, or let one hold again; undoing it goes back to the times before.

ALTER TABLE changes DROP CONSTRAINT changes_kind_check;
ALTER TABLE changes ADD CONSTRAINT changes_kind_check CHECK (kind IN (
    'memory added', 'memory archived', 'memory superseded', 'memory changed', 'fact added', 'fact ended', 'fact changed'
));
