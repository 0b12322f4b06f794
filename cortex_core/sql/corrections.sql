-- Questions to people: what they said against what is held.

-- name: overtake
-- What its owner says of the fact $2 at $3 leaves nothing to ask of what was said against it before, but for the same, $4.
DELETE FROM corrections AS c USING memories AS m
WHERE c.user_id = $1 AND c.fact_id = $2 AND c.answered_at IS NULL AND c.value_key IS DISTINCT FROM $4
    AND m.user_id = c.user_id AND m.id = c.memory_id AND m.created_at < $3

-- name: ask
-- Unless something else was said against the fact since $9, of which its owner is to be asked.
INSERT INTO corrections (user_id, id, fact_id, memory_id, value, value_key, valid_from, created_at)
SELECT $1, $2, $3, $4, $5::text::jsonb, $6, $7::timestamptz, $8::timestamptz
WHERE NOT EXISTS (
    SELECT FROM corrections AS c JOIN memories AS m ON m.user_id = c.user_id AND m.id = c.memory_id
    WHERE c.user_id = $1 AND c.fact_id = $3 AND c.answered_at IS NULL AND m.created_at > $9
)
ON CONFLICT (user_id, fact_id, value_key) DO NOTHING

-- fragment: question
SELECT
    c.id, c.user_id, f.subject, f.attribute, f.value AS held, c.value AS said, c.fact_id, c.memory_id, c.valid_from,
    c.created_at, c.asked_at, c.answered_at, c.answer, c.run_id
FROM corrections AS c JOIN identity_facts AS f ON f.user_id = c.user_id AND f.id = c.fact_id

-- name: list_open
-- Those about what still holds.
{{question}} WHERE c.user_id = $1 AND c.answered_at IS NULL AND f.valid_to IS NULL ORDER BY c.created_at, c.id

-- name: get
{{question}} WHERE c.user_id = $1 AND c.id = $2

-- name: mark_asked
-- $3 when.
UPDATE corrections SET asked_at = $3
WHERE user_id = $1 AND id = ANY($2::uuid[]) AND asked_at IS NULL AND answered_at IS NULL

-- name: answer
-- $3 how, $4 when, $5 the run that carries it out.
UPDATE corrections SET answer = $3, answered_at = $4, run_id = $5
WHERE user_id = $1 AND id = $2 AND answered_at IS NULL
RETURNING id

-- name: reopen
-- $1 the run that carried the answer out. What was asked is asked anew, and has its time to be answered.
UPDATE corrections SET
    answer = NULL, answered_at = NULL, run_id = NULL, asked_at = CASE WHEN asked_at IS NOT NULL THEN now() END
WHERE run_id = $1

-- name: list_to_ask
-- Who was not asked about something yet, and may be: $1 now, $2 how long since the last card, $3 after whom, $4 the most.
SELECT
    c.user_id, coalesce(o.cards_asked, 0) AS cards_asked, coalesce(o.cards_answered, 0) AS cards_answered, o.card_claimed_at,
    (
        SELECT f.value #>> '{}' FROM identity_facts AS f
        WHERE f.user_id = c.user_id AND f.subject = '' AND f.attribute = 'timezone' AND f.valid_to IS NULL
        LIMIT 1
    ) AS timezone
FROM (
    SELECT DISTINCT c.user_id
    FROM corrections AS c JOIN identity_facts AS f ON f.user_id = c.user_id AND f.id = c.fact_id
    WHERE c.user_id > $3 AND c.answered_at IS NULL AND c.asked_at IS NULL AND f.valid_to IS NULL
) AS c
LEFT JOIN owners AS o ON o.user_id = c.user_id
WHERE o.opted_out_at IS NULL AND coalesce(o.paused_until <= $1::timestamptz, true)
    AND coalesce(o.card_claimed_at <= $1::timestamptz - $2::interval, true)
ORDER BY c.user_id
LIMIT $4

-- name: claim_card
-- $2 when somebody was to send the last one, as the claimant saw it: of several who see the same, one sends the next, at $3.
INSERT INTO owners AS o (user_id, card_claimed_at) VALUES ($1, $3)
ON CONFLICT (user_id) DO UPDATE SET card_claimed_at = excluded.card_claimed_at
WHERE o.card_claimed_at IS NOT DISTINCT FROM $2 AND o.opted_out_at IS NULL
RETURNING o.user_id

-- name: count_card
UPDATE owners SET cards_asked = cards_asked + 1 WHERE user_id = $1

-- name: count_answered
-- A card counts as answered once, at the first answer since it was sent, $2.
UPDATE owners AS o SET cards_answered = o.cards_answered + 1
WHERE o.user_id = $1 AND o.cards_answered < o.cards_asked
    AND NOT EXISTS (
        SELECT FROM corrections AS c
        WHERE c.user_id = $1 AND c.id <> $2 AND c.answer <> 'expired' AND c.answered_at >= o.card_claimed_at
    )

-- name: expire
-- What was asked before $1.
UPDATE corrections SET answer = 'expired', answered_at = $2
WHERE answered_at IS NULL AND asked_at < $1
RETURNING id
