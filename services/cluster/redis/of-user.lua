-- 2 user · 3 1 for the number only
-- Returns the user's streams on the other nodes, each followed by when it was opened; or their number.

local found, count = {}, 0
for _, node in ipairs(others()) do
  local key = streamsOf(node, ARGV[2])
  if ARGV[3] == '1' then
    count = count + call('ZCARD', key)
  else
    for _, value in ipairs(call('ZRANGE', key, 0, -1, 'WITHSCORES')) do found[#found + 1] = value end
  end
end
return ARGV[3] == '1' and count or found
