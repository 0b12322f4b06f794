-- 0007 letters
-- Date: 2026-11-23
-- Reason: a card or digest that somebody was to send and that was not sent is due again, and an answer can be taken back.

ALTER TABLE owners RENAME COLUMN card_sent_at TO card_claimed_at;  -- when somebody was last to send one
ALTER TABLE owners ADD COLUMN digest_claimed_at timestamptz;

ALTER TABLE corrections
    ADD COLUMN run_id uuid REFERENCES consolidation_runs (id) ON DELETE SET NULL;  -- what the answer changed

CREATE INDEX corrections_by_run ON corrections (run_id) WHERE run_id IS NOT NULL;
