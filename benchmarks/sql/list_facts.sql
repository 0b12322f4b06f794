-- What is held of and by everybody, in the order in which it was learned.
SELECT f.*, heard_in(f) AS audiences FROM identity_facts AS f ORDER BY user_id, recorded_at, id
