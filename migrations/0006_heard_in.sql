-- 0006 heard_in
-- Date: 2026-11-23
-- Reason: a fact may come up wherever one of the memories that it rests on may, unless a person decided where.

ALTER TABLE identity_facts ALTER COLUMN audience DROP NOT NULL;
COMMENT ON COLUMN identity_facts.audience IS 'Where a person decided that it may come up; NULL follows what it rests on.';

-- What was narrowed because it rests on several places stays so: it can't be told from what a person narrowed.
UPDATE identity_facts AS f SET audience = NULL
WHERE source NOT IN ('identity_update', 'profile', 'remember') AND audience = ALL (
    SELECT m.audience
    FROM evidence AS e JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
    WHERE e.user_id = f.user_id AND e.fact_id = f.id
);

CREATE FUNCTION heard_in(fact identity_facts) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN fact.audience IS NOT NULL THEN ARRAY[fact.audience]
        ELSE ARRAY(
            SELECT DISTINCT m.audience
            FROM evidence AS e JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
            WHERE e.user_id = fact.user_id AND e.fact_id = fact.id AND m.status <> 'superseded'
            ORDER BY m.audience
        )
    END
$$;

-- What holds of an owner now: where each fact may come up, as `heard_in` has it, what it rests on, and when that was last
-- said. Planned at each call: a plan from when the tables were small goes through all of an owner's memories for each of
-- them, until somebody analyses.
CREATE FUNCTION current_facts(owner text)
    RETURNS TABLE (fact identity_facts, audiences text[], evidence uuid[], said_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
SET plan_cache_mode = force_custom_plan
AS $$
    SELECT
        f,
        CASE
            WHEN f.audience IS NOT NULL THEN ARRAY[f.audience]
            ELSE coalesce(array_agg(DISTINCT m.audience) FILTER (WHERE m.status <> 'superseded'), '{}')
        END,
        coalesce(array_agg(m.id) FILTER (WHERE m.id IS NOT NULL), '{}'),
        max(m.created_at)
    FROM identity_facts AS f
    LEFT JOIN evidence AS e ON e.user_id = f.user_id AND e.fact_id = f.id
    LEFT JOIN memories AS m ON m.user_id = e.user_id AND m.id = e.memory_id
    WHERE f.user_id = owner AND f.valid_to IS NULL
    GROUP BY f.user_id, f.id
$$;
