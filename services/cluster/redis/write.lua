-- 2 how many streams a user may have before his oldest is closed, or 0 · 3 JSON: what is new of this node, as it is now and not
-- as a difference, so that it may be written twice. `opened`: user, stream, since, whether it has just been opened.
-- `closed`: user, stream. `counts`: of what, how many.
-- Returns 0 if the lease is over, and then nothing was written. Else what time it is, and which of the users of streams that were
-- just opened seem to have too many.

if not isLive(ME) and not isJoining(ME) then return 0 end
local limit, news = tonumber(ARGV[2]), cjson.decode(ARGV[3])

for _, entry in ipairs(news.closed) do
  local user, stream = entry[1], entry[2]
  if call('ZREM', streamsOf(ME, user), stream) == 1 and call('EXISTS', streamsOf(ME, user)) == 0 then forget(ME, user) end
end
local fresh = {}
for _, entry in ipairs(news.opened) do
  local user, stream = entry[1], entry[2]
  remember(user, stream, entry[3])
  if limit > 0 and entry[4] then fresh[user] = true end
end
for _, entry in ipairs(news.counts) do
  if entry[2] > 0 then call('HSET', countsOf(ME), entry[1], int(entry[2])) else call('HDEL', countsOf(ME), entry[1]) end
end

-- The users who seem to have too many streams now. Another node may not have written yet that some of them are closed.
local answer = { now }
for user in pairs(fresh) do
  local total = call('ZCARD', streamsOf(ME, user))
  for _, node in ipairs(others()) do total = total + call('ZCARD', streamsOf(node, user)) end
  if total > limit then answer[#answer + 1] = user end
end
return answer
