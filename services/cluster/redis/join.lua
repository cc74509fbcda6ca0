-- 2 the lease in ms · 3 JSON: former names of the node that may count
-- Completes joining: atomically the name begins to count, and the former names stop. Returns 0 after the deadline, also for a
-- late call with a name that the node has abandoned.

if not isJoining(ME) then return 0 end
for _, former in ipairs(cjson.decode(ARGV[3])) do
  call('ZADD', NODES, 'XX', 0, former)
  call('ZADD', JOINING, 'XX', 0, former)
end
call('ZREM', JOINING, ME)
call('ZADD', NODES, now + tonumber(ARGV[2]), ME)
call('ZADD', WRITTEN, now, ME)
-- Notifies a node that was the only one.
send('{"joined":true}')
return 1
