-- 2 the lease in ms · 3 JSON: former names of the node that may count · 4 JSON: users who had a stream here before Redis lost its
-- data, and have none now, each with the rest of the leave grace
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
for _, entry in ipairs(cjson.decode(ARGV[4])) do
  local user, absence = entry[1], entry[2]
  if call('SISMEMBER', USERS, user) == 1 then call('ZREM', DUE, '+' .. user)
  else call('ZADD', DUE, now + absence, '-' .. user) end
end
-- Notifies a node that was the only one.
send('{"joined":true}')
return 1
