-- 2 how many streams a user may have · 3 JSON: users, each with when it was seen that he has too many, and the streams that were
-- opened then · 4 whether the others are to be asked to write what they have
-- Closes the oldest streams of those users, wherever they are, but never one of those that were opened then: the clocks of the nodes may
-- differ. Returns the users for whom another node has not written everything since: what seems to be too many may be closed.

if not isLive(ME) then return false end
local limit, live, isKnownUntil = tonumber(ARGV[2]), others(), now
for _, node in ipairs(live) do
  isKnownUntil = math.min(isKnownUntil, tonumber(call('ZSCORE', WRITTEN, node) or 0))
end
local all = { ME, unpack(live) }
local again, excess = {}, {}
for _, asked in ipairs(cjson.decode(ARGV[3])) do
  local user, since, total = asked[1], asked[2], 0
  for _, node in ipairs(all) do total = total + call('ZCARD', streamsOf(node, user)) end
  local most = total - limit
  if most > 0 and #live > 0 and isKnownUntil <= since then
    again[#again + 1] = user
  elseif most > 0 then
    local new, found = {}, {}
    for _, stream in ipairs(asked[3]) do new[stream] = true end
    for _, node in ipairs(all) do
      local oldest = call('ZRANGE', streamsOf(node, user), 0, most + #asked[3] - 1, 'WITHSCORES')
      for at = 1, #oldest, 2 do
        if not new[oldest[at]] then found[#found + 1] = { oldest[at], tonumber(oldest[at + 1]) } end
      end
    end
    table.sort(found, function(one, other)
      if one[2] ~= other[2] then return one[2] < other[2] end
      return one[1] < other[1]
    end)
    for at = 1, math.min(most, #found) do excess[#excess + 1] = string.match(found[at][1], '^%S+') end
  end
end
if #excess > 0 then say(cjson.encode({ command = { of = { streams = excess }, reason = 'replaced' } })) end
if #again > 0 and ARGV[4] == '1' then say('{"look":true}') end
return again
