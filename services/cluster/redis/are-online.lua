-- 2 JSON: users
-- Returns for each 1 with a stream on another node, else 0.

local answer, live = {}, others()
for at, user in ipairs(cjson.decode(ARGV[2])) do
  answer[at] = 0
  for _, node in ipairs(live) do
    if call('EXISTS', streamsOf(node, user)) == 1 then
      answer[at] = 1
      break
    end
  end
end
return answer
