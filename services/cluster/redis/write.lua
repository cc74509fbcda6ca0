-- 2 max. streams of a user before the oldest is closed, or 0 · 3 JSON: changes of this node, as the current state and not as
-- differences, so that they may be written twice. `opened`: user, stream, since, whether it has just been opened.
-- whether the user may be new. `closed`: user, stream, leave grace. `counts`: name, number.
-- 4 1 if Redis has lost its data since the node joined: then only users who may be new are reported, a moment later, because
-- another node may know that they are not.
-- Returns 0 and writes nothing if the lease has expired. Else the time, the number of users who came online, and the users of
-- just opened streams who seem to have too many.

if not isLive(ME) and not isJoining(ME) then return 0 end
local limit, changes = tonumber(ARGV[2]), cjson.decode(ARGV[3])

for _, entry in ipairs(changes.closed) do
  local user, stream = entry[1], entry[2]
  if call('ZREM', streamsOf(ME, user), stream) == 1 and call('EXISTS', streamsOf(ME, user)) == 0 then
    forget(ME, user, entry[3])
  end
end
local justOpened, isLost, arrived = {}, ARGV[4] == '1', 0
for _, entry in ipairs(changes.opened) do
  local user, stream = entry[1], entry[2]
  remember(user, stream, entry[3])
  arrived = arrived + arrive(user, isLost and not entry[5], isLost and 2000 or 0)
  if limit > 0 and entry[4] then justOpened[user] = true end
end
for _, entry in ipairs(changes.counts) do
  if entry[2] > 0 then call('HSET', countsOf(ME), entry[1], int(entry[2])) else call('HDEL', countsOf(ME), entry[1]) end
end

-- Users who seem to have too many streams: another node may have closed some of them and not written it yet.
local answer = { now, arrived }
for user in pairs(justOpened) do
  local total = call('ZCARD', streamsOf(ME, user))
  for _, node in ipairs(others()) do total = total + call('ZCARD', streamsOf(node, user)) end
  if total > limit then answer[#answer + 1] = user end
end
return answer
