-- 2 max. streams of a user · 3 JSON: users, each with when the user seemed to have too many, and the streams that were opened
-- then · 4 1 to request that the others write their changes
-- Closes the oldest streams of those users, on any node, but none of those that were opened then: the clocks of the nodes may
-- differ. Returns the users for whom another node has unwritten changes from before: some of their streams may be closed.

if not isLive(ME) then return false end
local limit, live, isKnownUntil = tonumber(ARGV[2]), others(), now
for _, node in ipairs(live) do
  isKnownUntil = math.min(isKnownUntil, tonumber(call('ZSCORE', WRITTEN, node) or 0))
end
local all = { ME, unpack(live) }
local again, excess = {}, {}
for _, suspect in ipairs(cjson.decode(ARGV[3])) do
  local user, since, total = suspect[1], suspect[2], 0
  for _, node in ipairs(all) do total = total + call('ZCARD', streamsOf(node, user)) end
  local count = total - limit
  if count > 0 and #live > 0 and isKnownUntil <= since then
    again[#again + 1] = user
  elseif count > 0 then
    local new, found = {}, {}
    for _, stream in ipairs(suspect[3]) do new[stream] = true end
    for _, node in ipairs(all) do
      local oldest = call('ZRANGE', streamsOf(node, user), 0, count + #suspect[3] - 1, 'WITHSCORES')
      for at = 1, #oldest, 2 do
        if not new[oldest[at]] then found[#found + 1] = { oldest[at], tonumber(oldest[at + 1]) } end
      end
    end
    table.sort(found, function(one, other)
      if one[2] ~= other[2] then return one[2] < other[2] end
      return one[1] < other[1]
    end)
    for at = 1, math.min(count, #found) do excess[#excess + 1] = string.match(found[at][1], '^%S+') end
  end
end
if #excess > 0 then send(cjson.encode({ command = { of = { streams = excess }, reason = 'replaced' } })) end
if #again > 0 and ARGV[4] == '1' then send('{"look":true}') end
return again
