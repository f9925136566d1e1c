"""What all scripts have in common: the keys, the time, and what several of them do (Lua)."""

PREAMBLE = """
local running, ended, leases, ending, messages, due, snapshots = unpack(KEYS, 1, 7)
local keys, key_of, uncertain, state, queue, logs = unpack(KEYS, 8)
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6

local function log(task_id) return logs .. task_id end

local function runs(task_id) return redis.call('SISMEMBER', running, task_id) == 1 end

local function remembered(task_id)
    return runs(task_id) or tonumber(redis.call('ZSCORE', ended, task_id) or 0) > now
end

local function keep_no_message(task_id)
    redis.call('HDEL', messages, task_id)
    redis.call('ZREM', due, task_id)
end

local function withdraw(task_id)
    local message = redis.call('HGET', messages, task_id)
    if message then redis.call('LREM', queue, -1, message); keep_no_message(task_id) end
end

local function forget_key(task_id)
    local key = redis.call('HGET', key_of, task_id)
    if key then redis.call('HDEL', keys, key); redis.call('HDEL', key_of, task_id) end
end

local function no_longer_running(task_id)
    for _, set in ipairs({running, uncertain}) do redis.call('SREM', set, task_id) end
    redis.call('ZREM', leases, task_id)
    redis.call('HDEL', ending, task_id)
end

local function forget(task_id)
    redis.call('DEL', log(task_id))
    redis.call('HDEL', snapshots, task_id)
    redis.call('ZREM', ended, task_id)
    withdraw(task_id)
    no_longer_running(task_id)
    forget_key(task_id)
end

local function forget_expired()
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', ended, '-inf', now)) do
        redis.call('HDEL', snapshots, task_id)  -- the log expires by itself
        forget_key(task_id)
    end
    redis.call('ZREMRANGEBYSCORE', ended, '-inf', now)
end

local function refuse_if_full()  -- or if Redis takes no changes for another reason; this is none
    redis.call('SETRANGE', logs, 0, '')
end

-- Since Redis has been restarted it may have less than viewers have seen. Whoever doesn't know the numbers
-- of those events counts on far beyond them, until servers have had the time to say what they have seen.
local function notice_restart()
    local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    if redis.call('HGET', state, 'run_id') ~= run_id then
        redis.call('SUNIONSTORE', uncertain, uncertain, running)
        redis.call('HSET', state, 'run_id', run_id, 'uncertain_until', now + 5)
    end
end

local function notice_loss(seen)
    notice_restart()
    if tonumber(seen) > tonumber(redis.call('HGET', state, 'appended') or 0) then
        redis.call('SUNIONSTORE', uncertain, uncertain, running)
        redis.call('HSET', state, 'appended', seen)
        redis.call('HDEL', state, 'uncertain_until')
    elseif now > tonumber(redis.call('HGET', state, 'uncertain_until') or 'inf') then
        redis.call('DEL', uncertain)
        redis.call('HDEL', state, 'uncertain_until')
    end
end

-- The number from which to count on, and the latest snapshot.
local function latest(task_id)
    local entry = redis.call('XREVRANGE', log(task_id), '+', '-', 'COUNT', 1)[1]
    local snapshot = redis.call('HGET', snapshots, task_id)
    if not entry or not snapshot then return nil end
    notice_restart()
    local jump = redis.call('SISMEMBER', uncertain, task_id) == 1 and 1e9 or 0
    return {string.match(entry[1], '%d+') + jump, string.match(snapshot, ' (.*)')}
end

-- What has to become the last event, now that this was decided: workers' events are refused.
local function decided(task_id)
    local event = latest(task_id)
    if not event then forget(task_id); return nil end
    local status, message = string.match(redis.call('HGET', ending, task_id), '(%S+) (.*)')
    return {task_id, status, message, event[1], event[2]}
end
"""
