-- Everything that a turn needs from the hot layer.
-- KEYS: identity, session, payloads, working, preferences. ARGV: now (ms), session time to live (ms).
-- Answers: identity (flat hash), session (flat hash), payloads of working memory, the one that expires last first,
--          preferences (JSON, may be missing).
local ids = redis.call('ZRANGE', KEYS[4], '+inf', '(' .. ARGV[1], 'BYSCORE', 'REV')
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {
    redis.call('HGETALL', KEYS[1]),
    redis.call('HGETALL', KEYS[2]),
    #ids > 0 and redis.call('HMGET', KEYS[3], unpack(ids)) or {},
    redis.call('GET', KEYS[5]),
}
