"""What all scripts have in common: the keys, the time, and what several of them do (Lua)."""

PREAMBLE = """
local running, ended, leases, ending, messages, due, snapshots = unpack(KEYS, 1, 7)
local keys, key_of, state, queue, logs = unpack(KEYS, 8)
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
    redis.call('SREM', running, task_id)
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

-- It names one history of Redis' data: another begins with a restart, or when a replica takes over.
local function current_history()
    return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x%x%x%x%x%x%x%x)')
end

local function latest_entry(task_id)
    local entry = redis.call('XREVRANGE', log(task_id), '+', '-', 'COUNT', 1)[1]
    if not entry then return nil end
    local _, _, _, _, _, writer, _, count, _, history = unpack(entry[2])
    local number = tonumber(string.match(entry[1], '%d+'))
    return {number = number, writer = writer, count = tonumber(count), history = history}
end

local function add(task_id, id, data, kind, writer, count, history)
    redis.call('XADD', log(task_id), id .. '-0',
        'data', data, 'kind', kind, 'writer', writer, 'count', count, 'history', history)
end

-- The number of the latest event, and the latest snapshot.
local function latest(task_id)
    local entry = latest_entry(task_id)
    local snapshot = redis.call('HGET', snapshots, task_id)
    return entry and snapshot and {entry.number, string.match(snapshot, ' (.*)')}
end

-- What has to become the last event, now that this was decided: workers' events are refused.
local function decided(task_id)
    local event = latest(task_id)
    if not event then forget(task_id); return nil end
    local status, message = string.match(redis.call('HGET', ending, task_id), '(%S+) (.*)')
    return {task_id, status, message, event[1], event[2]}
end
"""
