-- 2 node · 3 max. number of users · 4 the leave grace of its users in ms
-- Deletes the keys of a node that is dead, or leaves. Returns how many of its users remain.

local node = ARGV[2]
if node == ME then
  call('ZADD', NODES, 'XX', 0, ME)
  call('ZADD', JOINING, 'XX', 0, ME)
elseif isLive(node) or isJoining(node) then
  return 0
end
local popped = call('ZPOPMIN', usersOf(node), ARGV[3])
for at = 1, #popped, 2 do
  call('UNLINK', streamsOf(node, popped[at]))
  forget(node, popped[at], tonumber(ARGV[4]))
end
local left = call('ZCARD', usersOf(node))
if left == 0 then
  call('DEL', countsOf(node))
  for _, key in ipairs({ NODES, JOINING, WRITTEN }) do call('ZREM', key, node) end
end
return left
