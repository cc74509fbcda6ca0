-- 2 the id of the last message that was read · 3 max. number of messages
-- Returns the later messages, each as its age in ms, its text, and its id.

local answer = {}
for _, entry in ipairs(call('XRANGE', COMMANDS, '(' .. ARGV[2], '+', 'COUNT', ARGV[3])) do
  answer[#answer + 1] = math.max(0, now - tonumber(string.match(entry[1], '^%d+')))
  answer[#answer + 1] = entry[2][2]
  answer[#answer + 1] = entry[1]
end
return answer
