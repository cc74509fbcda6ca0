-- 2 after which · 3 how many
-- Returns what was said since then: how long ago, in ms, what, and its place, each.

local answer = {}
for _, entry in ipairs(call('XRANGE', SAID, '(' .. ARGV[2], '+', 'COUNT', ARGV[3])) do
  answer[#answer + 1] = math.max(0, now - tonumber(string.match(entry[1], '^%d+')))
  answer[#answer + 1] = entry[2][2]
  answer[#answer + 1] = entry[1]
end
return answer
