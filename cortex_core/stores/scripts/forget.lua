-- Take memories out of the hot layer and tell which of them were in working memory.
-- KEYS: payloads, working, recent. ARGV: the ids.
local gone = {}
for _, id in ipairs(ARGV) do
    if redis.call('HDEL', KEYS[1], id) == 1 then
        gone[#gone + 1] = id
    end
    redis.call('ZREM', KEYS[2], id)
    redis.call('LREM', KEYS[3], 0, id)
end
return gone
