-- Append one event right behind the one that its writer appended last, which is the common case, in as few
-- steps as that takes; 0 if anything else has happened to the task since: then commands.append looks closer.
-- The lease is gone if an end was decided, or Redis has lost the start; where another event has entered the
-- log, the number is taken. If Redis has lost the events before, it is still one that nobody has seen.

local task_id, writer, count, kind, data, id, history, history_length = unpack(ARGV)
local log = KEYS[1] .. 'log:' .. task_id
if not redis.call('ZSCORE', KEYS[1] .. 'leases', task_id) then return 0 end
local added = redis.pcall('XADD', log, 'NOMKSTREAM', 'MAXLEN', history_length, id .. '-0',
    'data', data, 'kind', kind, 'writer', writer, 'count', count, 'history', history)
if type(added) ~= 'string' then return 0 end
local text = id .. ' ' .. kind .. ' ' .. data
if kind == '' then redis.call('HSET', KEYS[1] .. 'snapshots', task_id, text) end
redis.call('PUBLISH', log, #text < 4096 and '+' .. text or '')  -- servers need not read a small one
return 1
