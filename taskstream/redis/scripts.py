"""The scripts that change tasks in Redis, which runs each as a whole or not at all.

Of many last events that race, one wins; what has ended is never appended to; what was forgotten does not
come back; each may be sent twice. All have the same keys, `Keys.all`, and follow `PREAMBLE`.

An event gets its number when it enters a log, not before; its writer counts what it sends, so that what it
sends again is known. The first event that enters a log after Redis was restarted, or a replica took over,
is numbered by the clock, in microseconds: beyond all that was lost, which somebody may have seen.

A Redis that is full refuses what may need memory, until a script has written something. So those that must
go on, because they free memory in the end, write something harmless first.
"""

CREATE = """
local task_id, data, message, max_tasks, retry_seconds, deadline, key, fingerprint = unpack(ARGV)
if remembered(task_id) then return {'created', task_id} end  -- sent again
if now > tonumber(deadline) then return {'late', ''} end
local first = key ~= '' and redis.call('HGET', keys, key)
if first then
    local first_id, first_fingerprint = string.match(first, '(%x+) (%x+)')
    if remembered(first_id) then
        return first_fingerprint == fingerprint and {'known', first_id} or {'key reused', ''}
    end
end
refuse_if_full()
forget_expired()
while redis.call('SCARD', running) + redis.call('ZCARD', ended) >= tonumber(max_tasks) do
    local oldest = redis.call('ZRANGE', ended, 0, 0)[1]
    if not oldest then return {'full', ''} end
    forget(oldest)
end
add(task_id, '1', data, '', '', 1, current_history())
redis.call('HSET', snapshots, task_id, '1 ' .. data)
redis.call('SADD', running, task_id)
redis.call('HSET', messages, task_id, message)
redis.call('ZADD', due, now + retry_seconds, task_id)
redis.call('LPUSH', queue, message)
if key ~= '' then
    redis.call('HSET', keys, key, task_id .. ' ' .. fingerprint)
    redis.call('HSET', key_of, task_id, key)
end
return {'created', task_id}
"""

APPEND = """
local task_id, writer, last, lease_seconds = unpack(ARGV, 1, 4)
local history_length, history_bytes, retention_seconds, log_seconds = unpack(ARGV, 5, 8)
if not runs(task_id) then return 0 end
if writer ~= '' and redis.call('HEXISTS', ending, task_id) == 1 then return 0 end
local before = latest_entry(task_id)
if not before then return 0 end
if writer == '' then  -- an end, which follows what it was made from
    if tonumber(ARGV[9]) ~= before.number + 1 then return 0 end
elseif before.writer ~= '' and before.writer ~= writer then
    return 0
end
if last == '1' then redis.call('ZREM', leases, task_id) end
local counted = before.writer == writer and before.count or 0
local history = current_history()
local number = before.number + 1
if before.history ~= history then  -- even if the clock is a little behind
    number = math.max(before.number + 1e9, math.floor(now * 1e6))
end
local snapshot
for i = 9, #ARGV, 3 do
    local count, kind, data = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if tonumber(count) > counted then  -- or it is sent again after a lost reply
        local id = string.format('%.0f', number)  -- Lua by itself would round it
        add(task_id, id, data, kind, writer, count, history)
        if kind ~= 'output' then snapshot = id .. ' ' .. data end
        number = number + 1
    end
end
if snapshot then redis.call('HSET', snapshots, task_id, snapshot) end
redis.call('XTRIM', log(task_id), 'MAXLEN', history_length)
local too_large = redis.call('MEMORY', 'USAGE', log(task_id)) / history_bytes
if too_large > 1 then  -- by count, as if all were of a size: exact enough, as it is done again and again
    local length = math.max(1, math.floor(redis.call('XLEN', log(task_id)) / too_large))
    redis.call('XTRIM', log(task_id), 'MAXLEN', length)
end
keep_no_message(task_id)
if last == '1' then
    no_longer_running(task_id)
    redis.call('ZADD', ended, now + retention_seconds, task_id)
    redis.call('PEXPIRE', log(task_id), math.ceil(1000 * log_seconds))
else
    redis.call('ZADD', leases, now + lease_seconds, task_id)
end
redis.call('PUBLISH', log(task_id), '')
return 1
"""

RENEW = """
local task_id, seconds = unpack(ARGV)
if not runs(task_id) or redis.call('HEXISTS', ending, task_id) == 1 then return 0 end
redis.call('ZREM', leases, task_id)
redis.call('ZADD', leases, now + seconds, task_id)
return 1
"""

LATEST = "return latest(ARGV[1])"

DECIDE = """
local task_id, status, message = unpack(ARGV)
if not runs(task_id) then return nil end
redis.call('ZREM', leases, task_id)
withdraw(task_id)
redis.call('HSETNX', ending, task_id, status .. ' ' .. message)
return decided(task_id)
"""

COUNT = """
refuse_if_full()
local still_running = redis.call('SCARD', running)
return {still_running + redis.call('ZCOUNT', ended, now, '+inf'), still_running}
"""

SNAPSHOTS = """
forget_expired()
return redis.call('HVALS', snapshots)
"""

SWEEP = """
local lease_seconds, retry_seconds, pause_seconds, message = unpack(ARGV)
forget_expired()

-- Messages that were lost on their way to a worker. A worker that has one twice begins once.
for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZADD', due, now + retry_seconds, task_id)
    local lost = not redis.call('ZSCORE', leases, task_id) and redis.call('HGET', messages, task_id)
    if lost and not redis.call('LPOS', queue, lost, 'RANK', -1) then redis.call('RPUSH', queue, lost) end
end

-- Leases that were not renewed; but after a pause of all servers workers too need time to come back.
local swept_at, patient_until = unpack(redis.call('HMGET', state, 'swept_at', 'patient_until'))
if math.abs(now - (swept_at or 0)) > tonumber(pause_seconds) then  -- or the clock was set
    patient_until = now + lease_seconds
    redis.call('HSET', state, 'patient_until', patient_until)
end
redis.call('HSET', state, 'swept_at', now)
if now >= tonumber(patient_until) then
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
        redis.call('ZREM', leases, task_id)
        if redis.call('HEXISTS', messages, task_id) == 0 then  -- or it has not begun
            redis.call('HSETNX', ending, task_id, message)
        end
    end
end

-- What was decided, by this or by a server that has died since.
local last_events = {}
for _, task_id in ipairs(redis.call('HKEYS', ending)) do
    local event = decided(task_id)
    if event then table.insert(last_events, event) end
end
return {tostring(now), last_events}
"""
