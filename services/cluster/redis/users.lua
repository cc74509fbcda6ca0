-- 2 the name before the first user · 3 max. number of users
-- Returns for each of the other nodes its next users, each followed by the number of the user's streams there.

local from, answer = ARGV[2] == '' and '-' or '(' .. ARGV[2], {}
for _, node in ipairs(others()) do
  for _, user in ipairs(call('ZRANGEBYLEX', usersOf(node), from, '+', 'LIMIT', 0, ARGV[3])) do
    answer[#answer + 1] = user
    answer[#answer + 1] = call('ZCARD', streamsOf(node, user))
  end
end
return answer
