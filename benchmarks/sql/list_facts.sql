-- What is held of and by everybody, in the order in which it was learned.
SELECT * FROM identity_facts ORDER BY user_id, recorded_at, id
