-- Take memories out of the hot layer and tell which of them were in working memory.
-- KEYS: payloads, working, recent, withheld. ARGV: the version after which one stays, now (ms), until when (ms) none of them
--       comes back, then the ids.
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[2])
local gone = {}
for i = 4, #ARGV do
    local id = ARGV[i]
    if tonumber(ARGV[3]) > tonumber(ARGV[2]) then
        redis.call('ZADD', KEYS[4], ARGV[3], id)
        redis.call('PEXPIREAT', KEYS[4], ARGV[3])
    end
    local version = string.match(redis.call('HGET', KEYS[1], id) or '', '^(%d+):')
    if not version or tonumber(version) <= tonumber(ARGV[1]) then
        if redis.call('HDEL', KEYS[1], id) == 1 then
            gone[#gone + 1] = id
        end
        redis.call('ZREM', KEYS[2], id)
        redis.call('LREM', KEYS[3], 0, id)
    end
end
return gone
