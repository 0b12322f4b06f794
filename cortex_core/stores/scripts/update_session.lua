-- Change a session's fields and journal the state that results, all or nothing.
-- KEYS: session, journal. ARGV: owner, time to live (ms), now (ms), 1 to start afresh, the most characters of a state,
--       then field and JSON value in turn.
-- Answers: the state as JSON, or nothing if it would get too long.
local session, journal = KEYS[1], KEYS[2]
local afresh = ARGV[4] == '1'

local length = 0
for _, part in ipairs(afresh and {} or redis.call('HGETALL', session)) do
    length = length + #part
end
for i = 6, #ARGV do
    length = length + #ARGV[i]
end
if length > tonumber(ARGV[5]) then
    return false
end

if afresh then
    redis.call('DEL', session)
end
for i = 6, #ARGV, 2 do -- one by one: `unpack` ends at 8,000
    redis.call('HSET', session, ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', session, ARGV[2])

local state = {}
local flat = redis.call('HGETALL', session)
for i = 1, #flat, 2 do
    state[#state + 1] = cjson.encode(flat[i]) .. ':' .. flat[i + 1]
end
local json = '{' .. table.concat(state, ',') .. '}'
redis.call('XADD', journal, '*', 'kind', 'session', 'owner', ARGV[1], 'payload', json, 'at', ARGV[3])
return json
