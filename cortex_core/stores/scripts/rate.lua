-- Rate a memory of working memory anew, unless it was edited, has faded or was taken out meanwhile.
-- KEYS: payloads, working. ARGV: id, payload (starts with "<version>:<content hash>:"), expires at (ms), now (ms).
local known = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^%d+:%x+:')
local fades_at = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or 0)
if not known or known ~= string.match(ARGV[2], '^%d+:%x+:') or fades_at <= tonumber(ARGV[4]) then
    return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
for _, key in ipairs(KEYS) do
    redis.call('PEXPIREAT', key, ARGV[3], 'GT')
end
return 1
