-- 2 the lease in ms · 3 1 if all changes of the node are written
-- Returns nil if the lease has expired, because other nodes may have deleted the keys; else: number of streams of the others ·
-- of users online there and not here · of this node's streams and users in Redis · of live nodes, their names, and those of
-- the dead.

if not isLive(ME) then return false end
call('ZADD', NODES, now + tonumber(ARGV[2]), ME)
if ARGV[3] == '1' then call('ZADD', WRITTEN, now, ME) end
-- Reports that no node has taken: their hosts do not want any.
call('ZREMRANGEBYSCORE', DUE, '-inf', int(now - 600000))
call('ZREMRANGEBYRANK', DUE, 0, -1000001)
local live, streams = others(), 0
for _, node in ipairs(live) do streams = streams + tonumber(call('HGET', countsOf(node), 'streams') or 0) end
local users = call('ZCARD', usersOf(ME))
local answer = { streams, call('SCARD', USERS) - users, tonumber(call('HGET', countsOf(ME), 'streams') or 0), users, #live }
for _, node in ipairs(live) do answer[#answer + 1] = node end
for _, leases in ipairs({ NODES, JOINING }) do
  for _, node in ipairs(call('ZRANGEBYSCORE', leases, '-inf', int(now))) do answer[#answer + 1] = node end
end
return answer
