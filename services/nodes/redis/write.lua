-- 2 how many streams a user may have before his oldest is closed, or 0 · 3 JSON: what is new of this node, as it is now and not
-- as a difference, so that it may be written twice. `opened`: user, stream, since, whether it has just been opened.
-- `closed`: user, stream. `counts`: of what, how many.
-- Returns 0 if the lease is over, and then nothing was written.

if not isLive(ME) then return 0 end
local limit, news = tonumber(ARGV[2]), cjson.decode(ARGV[3])

for _, entry in ipairs(news.closed) do
  local user, stream = entry[1], entry[2]
  if call('ZREM', streamsOf(ME, user), stream) == 1 and call('EXISTS', streamsOf(ME, user)) == 0 then forget(ME, user) end
end
local fresh = {}
for _, entry in ipairs(news.opened) do
  local user, stream = entry[1], entry[2]
  remember(user, stream, entry[3])
  if limit > 0 and entry[4] then
    fresh[user] = fresh[user] or { count = 0 }
    fresh[user][stream] = true
    fresh[user].count = fresh[user].count + 1
  end
end
for _, entry in ipairs(news.counts) do
  if entry[2] > 0 then call('HSET', countsOf(ME), entry[1], int(entry[2])) else call('HDEL', countsOf(ME), entry[1]) end
end

-- The oldest streams of who has too many, wherever they are, but never the one that has just been opened: the clocks of the
-- nodes may differ.
local excess = {}
for user, new in pairs(fresh) do
  local live, total = others(), 0
  live[#live + 1] = ME
  for _, node in ipairs(live) do total = total + call('ZCARD', streamsOf(node, user)) end
  local most = total - limit
  if most > 0 then
    local found = {}
    for _, node in ipairs(live) do
      local oldest = call('ZRANGE', streamsOf(node, user), 0, most + new.count - 1, 'WITHSCORES')
      for at = 1, #oldest, 2 do
        if not new[oldest[at]] then found[#found + 1] = { oldest[at], tonumber(oldest[at + 1]) } end
      end
    end
    table.sort(found, function(one, other)
      if one[2] ~= other[2] then return one[2] < other[2] end
      return one[1] < other[1]
    end)
    for at = 1, math.min(most, #found) do excess[#excess + 1] = string.match(found[at][1], '^%S+') end
  end
end
if #excess > 0 then say(cjson.encode({ command = { of = { streams = excess }, reason = 'replaced' } })) end
return 1
