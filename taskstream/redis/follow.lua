-- Append one event right behind the one that its writer appended last, which is the common case, in as few
-- steps as that takes; 0 if anything else has happened to the task since: then commands.append looks closer.
-- The lease is gone if an end was decided, and the position is an older one if Redis has lost events.

local task_id, writer, count, kind, data, id, history, history_length, position_before, position, text =
    unpack(ARGV)
local log, positions = KEYS[1] .. 'log:' .. task_id, KEYS[1] .. 'positions'
if not redis.call('ZSCORE', KEYS[1] .. 'leases', task_id)
    or redis.call('HGET', positions, task_id) ~= position_before then return 0 end
if not redis.call('XADD', log, 'NOMKSTREAM', 'MAXLEN', history_length, id .. '-0',
    'data', data, 'kind', kind, 'writer', writer, 'count', count, 'history', history) then return 0 end
redis.call('HSET', positions, task_id, position)
if kind == '' then redis.call('HSET', KEYS[1] .. 'snapshots', task_id, text) end
redis.call('PUBLISH', log, #text < 4096 and '+' .. text or '')  -- servers need not read a small one
return 1
