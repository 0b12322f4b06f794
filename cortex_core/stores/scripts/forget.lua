-- Take memories out of the hot layer and tell which of them were in working memory.
-- KEYS: payloads, working, recent. ARGV: the version after which one stays, then the ids.
local gone = {}
for i = 2, #ARGV do
    local id = ARGV[i]
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
