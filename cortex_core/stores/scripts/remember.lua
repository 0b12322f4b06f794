-- Acknowledge a memory: working memory, the recent buffer and the journal, all or nothing.
-- KEYS: payloads, working, recent, journal, withheld.
-- ARGV: id, payload (starts with "<version>:<content hash>:"), expires at (ms), now (ms), working limit, recent limit,
--       recent time to live (ms), journal limit, vector (float32 bytes, may be empty), its pieces' sign
--       bits, owner, the model of both, until when (ms) what is taken out stays out.
-- Answers: journalled, known (acknowledged before), mismatch (same version, another content) or full.
local payloads, working, recent, journal, withheld = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, payload, vector = ARGV[1], ARGV[2], ARGV[9]
local expires_at, now = tonumber(ARGV[3]), tonumber(ARGV[4])

local expired = redis.call('ZRANGEBYSCORE', working, '-inf', now)
for _, gone in ipairs(expired) do
    redis.call('HDEL', payloads, gone)
    redis.call('ZREM', working, gone)
end

local known = redis.call('HGET', payloads, id)
local version, hash, memory = string.match(payload, '^(%d+):(%x+):(.*)$')
local known_memory
if known then
    local known_version, known_hash
    known_version, known_hash, known_memory = string.match(known, '^(%d+):(%x+):(.*)$')
    if version == known_version then
        return hash == known_hash and 'known' or 'mismatch'
    end
    if tonumber(version) < tonumber(known_version) then
        return 'known'
    end
end
if redis.call('XLEN', journal) >= tonumber(ARGV[8]) then
    return 'full'
end

-- An edit surfaces where the original may, which Postgres knows: here it stays only if it would go to the very same place.
local function surfaces_alike(one, other)
    one, other = cjson.decode(one), cjson.decode(other)
    return one.audience == other.audience and one.project_id == other.project_id
end
if tonumber(version) > 0 and not (known_memory and surfaces_alike(memory, known_memory)) then
    redis.call('ZADD', withheld, ARGV[13], id)
    redis.call('PEXPIREAT', withheld, ARGV[13])
end

-- What was taken out of working memory doesn't come back by being sent again.
local is_withheld = tonumber(redis.call('ZSCORE', withheld, id) or 0) > now
if is_withheld then
    expires_at = now
end
if expires_at > now then
    redis.call('HSET', payloads, id, payload)
    redis.call('ZADD', working, expires_at, id)
    while redis.call('ZCARD', working) > tonumber(ARGV[5]) do
        local first = redis.call('ZRANGE', working, 0, 1)
        local evicted = first[1] ~= id and first[1] or first[2] -- never the one that was just said
        redis.call('HDEL', payloads, evicted)
        redis.call('ZREM', working, evicted)
    end
    local last = redis.call('ZRANGE', working, -1, -1, 'WITHSCORES')[2]
    redis.call('PEXPIREAT', payloads, last)
    redis.call('PEXPIREAT', working, last)
else -- an edit that fades sooner takes along what it replaces
    redis.call('HDEL', payloads, id)
    redis.call('ZREM', working, id)
end
redis.call('LREM', recent, 0, id)
if not is_withheld then
    redis.call('LPUSH', recent, id)
    redis.call('LTRIM', recent, 0, tonumber(ARGV[6]) - 1)
    redis.call('PEXPIRE', recent, ARGV[7])
end

redis.call('XADD', journal, '*', 'kind', 'memory', 'owner', ARGV[11], 'payload', payload, 'vector', vector,
    'signs', ARGV[10], 'model', ARGV[12], 'at', now)
return 'journalled'
