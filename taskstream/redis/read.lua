-- Read pages of logs, of a bounded size in all: what is beyond it is left for the next request.
-- ARGV has the most entries of a page, the most bytes of all pages, then of each log the id of its task and
-- the number of the event after which to read. A log that can't be read is an empty one.

local most_entries, bytes_left = tonumber(ARGV[1]), tonumber(ARGV[2])
local STEP = 10  -- entries that are read at a time, of which some may be too many

-- The number of the newest entry if this page doesn't reach it, whether the event at the position is there,
-- and if this is the beginning of the log, the latest snapshot and whose the task is; then number, kind and
-- data of each entry.
local function page_of(task_id, position)
    local log, page, start = KEYS[1] .. 'log:' .. task_id, {'0', 0, '', ''}, position .. '-0'
    if position == '0' then
        page[3] = redis.call('HGET', KEYS[1] .. 'snapshots', task_id) or ''
        page[4] = redis.call('HGET', KEYS[1] .. 'scopes', task_id) or ''
        bytes_left = bytes_left - #page[3]
    end
    local entries_left = most_entries
    while true do
        local entries = redis.pcall('XRANGE', log, start, '+', 'COUNT', STEP)
        for _, entry in ipairs(entries) do
            local number = string.match(entry[1], '%d+')
            local _, data, _, kind = unpack(entry[2])
            if number == position then
                page[2] = 1
            else
                table.insert(page, {number, kind or '?', data})
                bytes_left, entries_left = bytes_left - #data, entries_left - 1
            end
            if bytes_left <= 0 or entries_left == 0 then
                page[1] = string.match(redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1][1], '%d+')
                return page
            end
        end
        if #entries < STEP then return page end
        start = '(' .. entries[STEP][1]
    end
end

local pages = {}
for i = 3, #ARGV, 2 do
    if bytes_left <= 0 then break end
    table.insert(pages, page_of(ARGV[i], ARGV[i + 1]))
end
return pages
