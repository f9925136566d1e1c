-- The commands that look after tasks which wait, for a worker or for their end. commands.lua has the others.

-- Queue messages again that were lost on their way to a worker. A worker that has one twice begins once.
local function resubmit(resubmit_seconds)
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 100)) do
        redis.call('ZADD', due, now + resubmit_seconds, task_id)
        local lost = not redis.call('ZSCORE', leases, task_id) and redis.call('HGET', messages, task_id)
        if lost and not redis.call('LPOS', queue, lost, 'RANK', -1) then
            redis.call('RPUSH', queue, lost)
        end
    end
end

-- Decide the end of tasks whose leases were not renewed; but after a pause of all servers, or when the
-- clock was set, workers too need time to come back.
local function end_lost(lease_seconds, pause_seconds, lost)
    local swept_at, grace_until = unpack(redis.call('HMGET', state, 'swept_at', 'grace_until'))
    if math.abs(now - (swept_at or 0)) > tonumber(pause_seconds) then
        grace_until = now + lease_seconds
        redis.call('HSET', state, 'grace_until', grace_until)
    end
    redis.call('HSET', state, 'swept_at', now)
    if now < tonumber(grace_until or 0) then return end
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
        redis.call('ZREM', leases, task_id)
        if redis.call('HEXISTS', messages, task_id) == 0 then  -- or it has not begun
            redis.call('HSETNX', ending, task_id, lost)
        end
    end
end

-- Bring forward what was put off by a clock that has gone back since.
local function limit(times, latest)
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', times, '(' .. latest, '+inf', 'LIMIT', 0, 100)) do
        redis.call('ZADD', times, latest, task_id)
    end
end

-- Tasks that have waited for so long that no worker answers, and whose logs don't say so yet.
local function unanswered(seconds)
    local found = {}
    for _, task_id in ipairs(redis.call('ZRANGE', due, 0, 99)) do
        local waiting = now - tonumber(redis.call('ZSCORE', started, task_id) or now)
        local entry = waiting > tonumber(seconds) and latest_entry(task_id)
        if entry and entry.id == '1' then table.insert(found, task_id) end
    end
    return found
end

-- The time, and the decisions to carry out, also those of servers that have died since; whether a worker is
-- there, and if none is, tasks that have waited for it.
function commands.sweep(lease_seconds, resubmit_seconds, pause_seconds, lost)
    forget_expired()
    limit(due, now + resubmit_seconds)
    limit(leases, now + lease_seconds)
    resubmit(resubmit_seconds)
    end_lost(lease_seconds, pause_seconds, lost)
    local decisions = {}
    for _, task_id in ipairs(redis.call('HKEYS', ending)) do
        table.insert(decisions, decision(task_id))  -- nothing, if its log is lost
    end
    local works = redis.call('EXISTS', key('worker'))
    return {tostring(now), decisions, works, works == 1 and {} or unanswered(lease_seconds)}
end
