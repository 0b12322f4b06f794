-- Change a session's fields and journal the state that results, all or nothing.
-- KEYS: session, journal. ARGV: owner, time to live (ms), now (ms), 1 to start afresh, then field and JSON value in turn.
local session, journal = KEYS[1], KEYS[2]
if ARGV[4] == '1' then
    redis.call('DEL', session)
end
redis.call('HSET', session, unpack(ARGV, 5))
redis.call('PEXPIRE', session, ARGV[2])

local state = {}
local flat = redis.call('HGETALL', session)
for i = 1, #flat, 2 do
    state[#state + 1] = cjson.encode(flat[i]) .. ':' .. flat[i + 1]
end
local json = '{' .. table.concat(state, ',') .. '}'
redis.call('XADD', journal, '*', 'kind', 'session', 'owner', ARGV[1], 'payload', json, 'at', ARGV[3])
return json
