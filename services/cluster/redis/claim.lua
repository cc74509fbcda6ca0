-- 2 name of the caller as long as it runs · 3 number of the request: a repeated one returns the same · 4 max. number of reports
-- 5 the lease in ms
-- Takes reports that are due: returns each, +user or -user, followed by its time. Users go offline only once every node has
-- written all changes from before: a user may be back on another node. A node that is always busy delays that by its lease.

local key = NODES .. ':claim:' .. ARGV[2]
local taken = call('GET', key)
if taken then
  taken = cjson.decode(taken)
  if taken[1] == ARGV[3] then return taken[2] end
end
local until_ = now
for _, node in ipairs(call('ZRANGEBYSCORE', NODES, '(' .. int(now), '+inf')) do
  until_ = math.min(until_, tonumber(call('ZSCORE', WRITTEN, node) or 0))
end
until_ = math.max(until_, now - tonumber(ARGV[5]))
local due, reports = call('ZRANGEBYSCORE', DUE, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, ARGV[4]), {}
for at = 1, #due, 2 do
  if string.sub(due[at], 1, 1) == '+' or tonumber(due[at + 1]) <= until_ then
    call('ZREM', DUE, due[at])
    reports[#reports + 1] = due[at]
    reports[#reports + 1] = due[at + 1]
  end
end
if #reports > 0 then call('SET', key, cjson.encode({ ARGV[3], reports }), 'PX', 60000) end
return reports
