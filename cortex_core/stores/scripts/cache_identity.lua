-- Cache an identity that was read from Postgres, unless it changed meanwhile.
-- KEYS: identity, token. ARGV: token from before it was read, time to live (ms), then field and JSON value in turn.
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then
    return 0
end
redis.call('DEL', KEYS[1])
for i = 3, #ARGV, 2 do -- one by one: `unpack` ends at 8,000
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
