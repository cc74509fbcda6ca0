-- 2 how long the lease is, in ms · 3 whether everything that the node has is written
-- Returns nothing if the lease is over, for then the others may have swept up; else: how many streams the others have · how
-- many users are online there and not here · how many streams and users stand here of this node · how many nodes are live,
-- their names, and those of the dead.

if not isLive(ME) then return false end
call('ZADD', NODES, now + tonumber(ARGV[2]), ME)
if ARGV[3] == '1' then call('ZADD', WRITTEN, now, ME) end
local live, streams = others(), 0
for _, node in ipairs(live) do streams = streams + tonumber(call('HGET', countsOf(node), 'streams') or 0) end
local users = call('ZCARD', usersOf(ME))
local answer = { streams, call('SCARD', USERS) - users, tonumber(call('HGET', countsOf(ME), 'streams') or 0), users, #live }
for _, node in ipairs(live) do answer[#answer + 1] = node end
for _, leases in ipairs({ NODES, JOINING }) do
  for _, node in ipairs(call('ZRANGEBYSCORE', leases, '-inf', int(now))) do answer[#answer + 1] = node end
end
return answer
