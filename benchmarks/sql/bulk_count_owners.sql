-- What the triggers would have counted.
INSERT INTO owners (user_id, memory_count) SELECT user_id, count(*) FROM memories GROUP BY user_id
ON CONFLICT (user_id) DO UPDATE SET memory_count = excluded.memory_count
