-- 0009 value_keys
-- Date: 2026-11-23
-- Reason: facts from before 0004 are found by one of their values, however it is spelled, as those learned since are.

-- As `key_of` in knowledge/identity.py, but for letters that the database can't make small. 0004 took the value in small
-- letters; where it left a key that is none, nothing else holds beside the fact.
WITH older AS (
    SELECT user_id, id, coalesce(value #>> '{}', 'null') AS text
    FROM identity_facts
    WHERE NOT has_many AND value_key = lower(coalesce(value #>> '{}', 'null'))
), plain AS (
    SELECT *, replace(lower(regexp_replace(normalize(text, NFKD), '[\u0300-\u036f]', '', 'g')), 'ß', 'ss') AS letters
    FROM older
), words AS (
    SELECT *, btrim(regexp_replace(
        letters, '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u3004\u3008-\u3020]+', ' ', 'g'
    )) AS words
    FROM plain
), keys AS (
    SELECT *, coalesce(nullif(regexp_replace(words, '^(an?|the|my|our) +', ''), ''), text) AS key FROM words
)
UPDATE identity_facts AS f
SET value_key = CASE WHEN length(k.key) <= 200 THEN k.key ELSE encode(sha256(convert_to(k.key, 'UTF8')), 'hex') END
FROM keys AS k
WHERE f.user_id = k.user_id AND f.id = k.id;
