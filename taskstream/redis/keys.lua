-- The keys of one namespace, and what several commands do with them. sweep.lua and commands.lua follow.

local function key(name) return KEYS[1] .. name end  -- KEYS[1] is the namespace with its colon

local logs = key('log:')            -- and the id of a task: its log, and the channel of its notifications
local queue = key('queue')          -- list: messages for workers, put in on the left
local running = key('running')      -- set: tasks that have not ended
local ended = key('ended')          -- sorted set: tasks that have, by the time when each is forgotten
local leases = key('leases')        -- sorted set: tasks, by the time when their worker is presumed lost
local ending = key('ending')        -- hash: how a task has to end, until its last event is in the log
local messages = key('messages')    -- hash: the message of a task that has not begun
local due = key('due')              -- sorted set: tasks, by the time when to look for that message
local snapshots = key('snapshots')  -- hash: the latest snapshot of a task, with its number before it
local statuses = key('statuses')    -- hash: its status
local keys = key('keys')            -- hash: what an idempotency key has started, and the fingerprint
local key_of = key('key_of')        -- hash: the idempotency key of a task
local scopes = key('scopes')        -- hash: whose a task is, if it is somebody's
local started = key('started')      -- sorted set: tasks, by the time of their start; with a scope, its own
local state = key('state')          -- hash: when a server has swept, until when no worker is lost; the mark of ids

local LEASE_SECONDS = 10     -- without a word of a worker, as work may keep its other threads from running
local RESUBMIT_SECONDS = 10  -- until it is looked again whether a message is still in the queue

local commands = {}  -- by name; the files that follow add theirs

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6

local function log(task_id) return logs .. task_id end

local function runs(task_id) return redis.call('SISMEMBER', running, task_id) == 1 end

local function must_end(task_id) return redis.call('HEXISTS', ending, task_id) == 1 end

local function remembered(task_id)
    return runs(task_id) or tonumber(redis.call('ZSCORE', ended, task_id) or 0) > now
end

local function delete_message(task_id)
    redis.call('HDEL', messages, task_id)
    redis.call('ZREM', due, task_id)
end

local function withdraw(task_id)  -- from workers
    redis.call('ZREM', leases, task_id)
    local message = redis.call('HGET', messages, task_id)
    if message then redis.call('LREM', queue, -1, message); delete_message(task_id) end
end

local function no_longer_running(task_id)
    withdraw(task_id)
    redis.call('SREM', running, task_id)
    redis.call('HDEL', ending, task_id)
end

local function started_in(scope) return scope == '' and started or started .. ':' .. scope end

-- Forget all of a task but its log, which expires by itself if the task has ended.
local function forget(task_id)
    no_longer_running(task_id)
    redis.call('ZREM', ended, task_id)
    local idempotency_key = redis.call('HGET', key_of, task_id)
    if idempotency_key then redis.call('HDEL', keys, idempotency_key) end
    redis.call('ZREM', started, task_id)
    redis.call('ZREM', started_in(redis.call('HGET', scopes, task_id) or ''), task_id)
    for _, hash in ipairs({snapshots, statuses, key_of, scopes}) do redis.call('HDEL', hash, task_id) end
end

local function forget_now(task_id) forget(task_id); redis.call('DEL', log(task_id)) end

local function forget_expired()
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', ended, '-inf', now)) do forget(task_id) end
    redis.call('ZREMRANGEBYSCORE', ended, '-inf', now)  -- even if there is none: a write that needs no memory
end

-- Fail if Redis is full, or takes no changes for another reason. This one changes nothing.
local function refuse_if_full() redis.call('SETRANGE', logs, 0, '') end

local function save_snapshot(task_id, id, data)
    redis.call('HSET', snapshots, task_id, id .. '  ' .. data)
    redis.call('HSET', statuses, task_id, string.match(data, '"status":"(%u+)"') or '')
end

-- The name of one history of Redis' data: another begins with a restart, or when a replica takes over.
local function current_history()
    return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x%x%x%x%x%x%x%x)')
end

-- Nothing, too, if the key is of another type: such a log is lost.
local function latest_entry(task_id)
    local entry = redis.pcall('XREVRANGE', log(task_id), '+', '-', 'COUNT', 1)[1]
    if not entry then return nil end
    local _, _, _, kind, _, writer, _, count, _, history = unpack(entry[2])
    local id = string.match(entry[1], '%d+')
    return {id = id, kind = kind, writer = writer, count = tonumber(count), history = history}
end

local function add_entry(task_id, history_length, id, data, kind, writer, count, history)
    redis.call('XADD', log(task_id), 'MAXLEN', history_length, id .. '-0',
        'data', data, 'kind', kind, 'writer', writer, 'count', count, 'history', history)
end

-- The number of the latest event, and the latest snapshot.
local function latest(task_id)
    local entry, snapshot = latest_entry(task_id), redis.call('HGET', snapshots, task_id)
    if entry and snapshot then return entry.id, string.match(snapshot, ' +(.*)') end
end

-- How a task has to end, and what its last event follows; workers' events are refused from now on.
local function decision(task_id)
    local id, snapshot = latest(task_id)
    if not id then forget_now(task_id); return nil end
    local status, message = string.match(redis.call('HGET', ending, task_id), '(%S+) (.*)')
    return {task_id, status, message, id, snapshot}
end
