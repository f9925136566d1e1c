"""The scripts that change tasks in Redis, which runs each as a whole or not at all.

Of many last events that race, one wins; what has ended is never appended to; what was forgotten does not
come back. Each script has the same keys, `Keys.all`, and follows `PREAMBLE`.
"""

PREAMBLE = """
local running, ended, leases, submitting, keys, key_of, notifications, logs = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local function log(task_id) return logs .. task_id end
local function forget_key(task_id)
    local key = redis.call('HGET', key_of, task_id)
    if key then redis.call('HDEL', keys, key); redis.call('HDEL', key_of, task_id) end
end
local function forget(task_id)
    redis.call('DEL', log(task_id))
    redis.call('SREM', running, task_id)
    for _, set in ipairs({ended, leases, submitting}) do redis.call('ZREM', set, task_id) end
    forget_key(task_id)
end
local function forget_expired()
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', ended, '-inf', now)) do forget_key(task_id) end
    redis.call('ZREMRANGEBYSCORE', ended, '-inf', now)
end
"""

CREATE = """
local task_id, data, max_tasks, submit_seconds, key, fingerprint = unpack(ARGV)
if redis.call('SISMEMBER', running, task_id) == 1 then return {'created', task_id} end  -- sent again
forget_expired()
local first = key ~= '' and redis.call('HGET', keys, key)
if first then
    local first_id, first_fingerprint = string.match(first, '(%x+) (%x+)')
    if first_fingerprint ~= fingerprint then return {'key reused', ''} end
    local submitted = not redis.call('ZSCORE', submitting, first_id)
    return {submitted and 'known' or 'created', first_id}
end
while redis.call('SCARD', running) + redis.call('ZCARD', ended) >= tonumber(max_tasks) do
    local oldest = redis.call('ZRANGE', ended, 0, 0)[1]
    if not oldest then return {'full', ''} end
    forget(oldest)
end
redis.call('XADD', log(task_id), '1-0', 'data', data, 'writer', '')
redis.call('SADD', running, task_id)
redis.call('ZADD', submitting, now + submit_seconds, task_id)
if key ~= '' then
    redis.call('HSET', keys, key, task_id .. ' ' .. fingerprint)
    redis.call('HSET', key_of, task_id, key)
end
return {'created', task_id}
"""

APPEND = """
local task_id, writer, history_length, retention_seconds, log_seconds = unpack(ARGV, 1, 5)
if redis.call('SISMEMBER', running, task_id) == 0 then return 0 end
local latest = redis.call('XREVRANGE', log(task_id), '+', '-', 'COUNT', 1)[1]
if not latest then return 0 end
local latest_id, latest_writer = tonumber(string.match(latest[1], '%d+')), latest[2][4]
if tonumber(ARGV[6]) <= latest_id and writer ~= latest_writer then return 0 end
for i = 6, #ARGV, 3 do
    local event_id, data, last = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if tonumber(event_id) > latest_id then  -- or it is sent again after a lost reply
        redis.call('XADD', log(task_id), 'MAXLEN', history_length, event_id .. '-0',
            'data', data, 'writer', writer)
    end
    if last == '1' then
        redis.call('SREM', running, task_id)
        redis.call('ZREM', leases, task_id)
        redis.call('ZADD', ended, now + retention_seconds, task_id)
        redis.call('PEXPIRE', log(task_id), math.ceil(1000 * log_seconds))
    end
end
redis.call('ZREM', submitting, task_id)
redis.call('PUBLISH', notifications, task_id)
return 1
"""

RENEW = """
local task_id, seconds = unpack(ARGV)
if redis.call('SISMEMBER', running, task_id) == 0 then return 0 end
redis.call('ZADD', leases, now + seconds, task_id)
return 1
"""

SUBMITTED = "redis.call('ZREM', submitting, ARGV[1])"
FORGET = "forget(ARGV[1])"
FORGET_UNSUBMITTED = "if redis.call('ZSCORE', submitting, ARGV[1]) then forget(ARGV[1]) end"

COUNT = """
local still_running = redis.call('SCARD', running)
return {still_running + redis.call('ZCOUNT', ended, now, '+inf'), still_running}
"""

TASK_IDS = """
forget_expired()
local task_ids = redis.call('SMEMBERS', running)
for _, task_id in ipairs(redis.call('ZRANGE', ended, 0, -1)) do table.insert(task_ids, task_id) end
return task_ids
"""

SWEEP = """
redis.call('PUBLISH', notifications, '')
forget_expired()
for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', submitting, '-inf', now)) do forget(task_id) end
return redis.call('ZRANGEBYSCORE', leases, '-inf', now)
"""
