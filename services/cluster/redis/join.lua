-- 2 how long the lease is, in ms · 3 JSON: names under which the node may count as well
-- All is written: in one step the name counts, and the former names do not any more. Returns 0 if the time for it is over, or if
-- this call is so late that the node has given the name up.

if not isJoining(ME) then return 0 end
for _, former in ipairs(cjson.decode(ARGV[3])) do
  call('ZADD', NODES, 'XX', 0, former)
  call('ZADD', JOINING, 'XX', 0, former)
end
call('ZREM', JOINING, ME)
call('ZADD', NODES, now + tonumber(ARGV[2]), ME)
call('ZADD', WRITTEN, now, ME)
-- A node that seems to be alone learns that it is not.
say('{"joined":true}')
return 1
