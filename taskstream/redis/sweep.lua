-- The commands that look after tasks which wait, for a worker or for their end. commands.lua has the others.

local PAUSE_SECONDS = 5  -- without a sweep: then workers too need time to come back
local LOST = 'FAILURE worker lost'
local NO_WORKER = 'No worker answers: is one running?'

-- Queue messages again that were lost on their way to a worker. A worker that has one twice begins once.
local function resubmit()
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 100)) do
        redis.call('ZADD', due, now + RESUBMIT_SECONDS, task_id)
        local lost = not redis.call('ZSCORE', leases, task_id) and redis.call('HGET', messages, task_id)
        if lost and not redis.call('LPOS', queue, lost, 'RANK', -1) then
            redis.call('RPUSH', queue, lost)
        end
    end
end

-- Decide the end of tasks whose leases were not renewed; but after a pause of all servers, or when the
-- clock was set, workers too need time to come back.
local function end_lost()
    local swept_at, grace_until = unpack(redis.call('HMGET', state, 'swept_at', 'grace_until'))
    if math.abs(now - (swept_at or 0)) > PAUSE_SECONDS then
        grace_until = now + LEASE_SECONDS
        redis.call('HSET', state, 'grace_until', grace_until)
    end
    redis.call('HSET', state, 'swept_at', now)
    if now < tonumber(grace_until or 0) then return end
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
        redis.call('ZREM', leases, task_id)
        if redis.call('HEXISTS', messages, task_id) == 0 then  -- or it has not begun
            redis.call('HSETNX', ending, task_id, LOST)
        end
    end
end

-- Bring forward what was put off by a clock that has gone back since.
local function limit(times, latest)
    for _, task_id in ipairs(redis.call('ZRANGEBYSCORE', times, '(' .. latest, '+inf', 'LIMIT', 0, 100)) do
        redis.call('ZADD', times, latest, task_id)
    end
end

-- Have tasks that have waited for a worker say that none answers, if their logs don't yet.
local function say_no_worker(decisions)
    for _, task_id in ipairs(redis.call('ZRANGE', due, 0, 99)) do
        local waiting = now - tonumber(redis.call('ZSCORE', started, task_id) or now)
        local id, snapshot = latest(task_id)
        if waiting > LEASE_SECONDS and id == '1' then
            table.insert(decisions, {task_id, 'PENDING', 'Waiting to start. ' .. NO_WORKER, id, snapshot})
        end
    end
end

-- The time, the decisions to carry out, also those of servers that have died since, and a warning.
function commands.sweep()
    forget_expired()
    limit(due, now + RESUBMIT_SECONDS)
    limit(leases, now + LEASE_SECONDS)
    resubmit()
    end_lost()
    local decisions = {}
    for _, task_id in ipairs(redis.call('HKEYS', ending)) do
        table.insert(decisions, decision(task_id))  -- nothing, if its log is lost
    end
    local has_worker = redis.call('EXISTS', key('worker')) == 1
    if not has_worker then say_no_worker(decisions) end
    return {tostring(now), decisions, has_worker and '' or NO_WORKER}
end
