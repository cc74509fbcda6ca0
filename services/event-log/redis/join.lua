-- Begins a tail for a node, in place of an earlier one. It gets all events, or only those for everyone.
--
-- ARGV: 4 the id of the earlier tail, or '' · 5 the id of the tail · 6 a random name for its beginning · 7 whether it gets all events

-- Max. number of tails.
local MAX_TAILS = 1000

local time = call('TIME')
if ARGV[4] ~= '' then dropTail(ARGV[4]) end
local id, count = ARGV[5], 0
for _ in string.gmatch(nodes, '%w+') do count = count + 1 end
if count >= MAX_TAILS then
  save()
  return redis.error_reply('TAILS the log has ' .. count .. ' nodes; more are not possible')
end
local seen = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
tails[id] = { pos = 0, nonce = ARGV[6], registered = ARGV[6], seen = seen, sum = 0, kept = 0 }
changed[id] = true
tailBytes = tailBytes + TAIL
nodes = nodes == '' and id or nodes .. ' ' .. id
if ARGV[7] == '1' then setInterest('*', id, true) end
callerTail = id
save()
return answer()
