-- Take memories out of the hot layer and tell how many of them were in working memory.
-- KEYS: payloads, working, recent. ARGV: the ids.
local count = 0
for _, id in ipairs(ARGV) do
    count = count + redis.call('HDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
    redis.call('LREM', KEYS[3], 0, id)
end
return count
