-- The commands that change tasks: Redis runs each as a whole or not at all. The first argument names one.
-- Of many last events that race, one wins; what has ended is never appended to; what was forgotten does not
-- come back; each command may be sent twice.
-- An event gets its number when it enters a log, not before; its writer counts what it sends, so that what
-- it sends again is known. The first event that enters a log after Redis was restarted, or a replica took
-- over, is numbered by the clock, in microseconds: beyond all that was lost, which a viewer may have seen.
-- A full Redis refuses what may need memory until a script has written something. So a command that has to
-- succeed, because it frees memory in the end, begins with a write that needs none.

-- Begin a log with the first event of a task, and queue the message for a worker.
function commands.create(task_id, data, message, max_tasks, deadline, idempotency_key, fingerprint, scope)
    if remembered(task_id) then return {'created', task_id} end  -- sent again
    if now > tonumber(deadline) then return {'late', ''} end
    local first = idempotency_key ~= '' and redis.call('HGET', keys, idempotency_key)
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
        forget_now(oldest)
    end
    add_entry(task_id, 1, '1', data, '', '', 1, current_history())
    save_snapshot(task_id, '1', data)
    redis.call('SADD', running, task_id)
    redis.call('HSET', messages, task_id, message)
    redis.call('ZADD', due, now + RESUBMIT_SECONDS, task_id)
    redis.call('LPUSH', queue, message)
    redis.call('ZADD', started, now, task_id)
    if scope ~= '' then
        redis.call('HSET', scopes, task_id, scope)
        redis.call('ZADD', started_in(scope), now, task_id)
    end
    if idempotency_key ~= '' then
        redis.call('HSET', keys, idempotency_key, task_id .. ' ' .. fingerprint)
        redis.call('HSET', key_of, task_id, idempotency_key)
    end
    return {'created', task_id}
end

-- The writer that has begun a task may append until its end is decided. That end, like all that servers say,
-- has no writer, and has to follow the event that it was made from.
local function may_append(task_id, writer, count, before)
    if before.kind == 'last' then return false end
    if writer == '' then return tonumber(count) == before.id + 1 end
    return not must_end(task_id) and (before.writer == '' or before.writer == writer)
end

local LAST_EVENT_SECONDS = 2  -- how long a log is kept after its end, so that every server can read it
local EVENTS = 7  -- where in ARGV the events begin, three arguments each: too many to be parameters

-- Add those of the events that are not in the log yet; the number of the last one, and Redis' history. What
-- its writer has left out takes its numbers.
local function add_events(task_id, writer, before, history_length)
    local counted = before.writer == writer and before.count or tonumber(ARGV[EVENTS]) - 1
    local history, number = current_history(), tonumber(before.id)
    if before.history ~= history then  -- even if the clock is a little behind
        number = math.max(number + 1e9, math.floor(now * 1e6)) - 1
    end
    local id, snapshot_id, snapshot
    for i = EVENTS, #ARGV, 3 do
        local count, kind, data = ARGV[i], ARGV[i + 1], ARGV[i + 2]
        if tonumber(count) > counted then  -- or it is sent again after a lost reply
            id = string.format('%.0f', number + count - counted)  -- Lua by itself would round it
            add_entry(task_id, history_length, id, data, kind, writer, count, history)
            if kind ~= 'output' then snapshot_id, snapshot = id, data end
        end
    end
    if snapshot then save_snapshot(task_id, snapshot_id, snapshot) end
    return id, history
end

local function trim_bytes(task_id, history_bytes)
    local too_large = redis.call('MEMORY', 'USAGE', log(task_id)) / history_bytes
    if too_large > 1 then  -- by count, as if all were of a size: exact enough, as it is done each time
        local length = math.max(1, math.floor(redis.call('XLEN', log(task_id)) / too_large))
        redis.call('XTRIM', log(task_id), 'MAXLEN', length)
    end
end

-- Append events to the log of a task; if that was done, the number of the last one, Redis' history and the
-- status, for follow.lua to go on from there.
function commands.append(task_id, writer, history_length, history_bytes, retention_seconds)
    local before = latest_entry(task_id)
    if not before or not may_append(task_id, writer, ARGV[EVENTS], before) then return nil end
    local last = ARGV[#ARGV - 1] == 'last'
    if last then redis.call('ZREM', leases, task_id) end
    local id, history = add_events(task_id, writer, before, history_length)
    trim_bytes(task_id, history_bytes)
    if before.writer == '' and writer ~= '' then  -- it begins: from now on its worker renews the lease
        delete_message(task_id)
        redis.call('ZADD', leases, now + LEASE_SECONDS, task_id)
    end
    if last then
        no_longer_running(task_id)
        redis.call('ZADD', ended, now + retention_seconds, task_id)
        local log_seconds = math.max(retention_seconds, LAST_EVENT_SECONDS)
        redis.call('PEXPIRE', log(task_id), math.ceil(1000 * log_seconds))
    end
    redis.call('PUBLISH', log(task_id), '')
    return {id or 0, history, redis.call('HGET', statuses, task_id) or ''}
end

-- Renew the lease of a task; whether it still has to be run.
function commands.renew(task_id)
    if not runs(task_id) or must_end(task_id) then return 0 end
    redis.call('ZREM', leases, task_id)
    redis.call('ZADD', leases, now + LEASE_SECONDS, task_id)
    return 1
end

-- The number of the latest event, the latest snapshot, and whose the task is.
function commands.latest(task_id)
    local id, snapshot = latest(task_id)
    return id and {id, snapshot, redis.call('HGET', scopes, task_id) or ''}
end

-- Have a task end like this, if it has not ended, and no other end was decided before.
function commands.decide(task_id, status, message)
    if not runs(task_id) then return nil end
    withdraw(task_id)
    redis.call('HSETNX', ending, task_id, status .. ' ' .. message)
    return decision(task_id)
end

-- How many tasks there are, and how many of them have not ended. Fails if Redis is full.
function commands.count()
    refuse_if_full()
    local still_running = redis.call('SCARD', running)
    return {still_running + redis.call('ZCOUNT', ended, now, '+inf'), still_running}
end

-- The statuses of all tasks.
function commands.statuses()
    forget_expired()
    return redis.call('HVALS', statuses)
end

-- The end of the ids of all tasks: this one, if there is none yet.
function commands.mark(new)
    redis.call('HSETNX', state, 'mark', new)
    return redis.call('HGET', state, 'mark')
end

-- The latest snapshots in a scope and a status, newest task first; '' means any.
function commands.list(scope, status, limit)
    forget_expired()
    local found = {}
    for _, task_id in ipairs(redis.call('ZREVRANGE', started_in(scope), 0, -1)) do
        if #found == tonumber(limit) then break end
        local snapshot = redis.call('HGET', snapshots, task_id)
        if snapshot and (status == '' or redis.call('HGET', statuses, task_id) == status) then
            table.insert(found, string.match(snapshot, ' +(.*)'))
        end
    end
    return found
end

return commands[ARGV[1]](unpack(ARGV, 2, math.min(#ARGV, 9)))  -- create has the most parameters
