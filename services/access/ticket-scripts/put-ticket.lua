-- Stores a ticket within the bounds.
--
-- ARGV: 1 hash · 2 user · 3 record · 4 time to live, ms · 5 counted bytes · 6 max tickets · 7 max of a user · 8 max bytes

local hash, user, record, ttl, size = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local max, maxOfUser, maxBytes = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

expire(1000)

-- An eviction policy of Redis may have deleted one of the keys: the indexes are rebuilt from the remaining one.
local count = call('ZCARD', ALL)
if count ~= call('ZCARD', ISSUED) or (count > 0 and call('EXISTS', BYTES) == 0) then
  local sum = 0
  call('DEL', ISSUED)
  for index, member in ipairs(call('ZRANGE', ALL, 0, -1)) do
    call('ZADD', ISSUED, index, member)
    sum = sum + parse(member)
  end
  call('SET', BYTES, sum)
end

while call('ZCARD', ofUser(user)) >= maxOfUser do delete(call('ZPOPMIN', ofUser(user))[1]) end
while call('ZCARD', ALL) > 0 and (call('ZCARD', ALL) >= max or tonumber(call('GET', BYTES) or 0) > maxBytes - size) do
  delete(call('ZRANGE', ISSUED, 0, 0)[1])
end

local member = ARGV[5] .. ' ' .. hash .. ' ' .. user
call('ZADD', ALL, now + ttl, member)
call('ZADD', ISSUED, now, member)
call('ZADD', ofUser(user), now, member)
call('INCRBY', BYTES, size)
call('SET', KEYS[1] .. ':t:' .. hash, record, 'PX', math.ceil(ttl))
-- The keys of a user without further tickets expire.
call('PEXPIRE', ofUser(user), 86400000)
for _, key in ipairs({ ALL, ISSUED, BYTES }) do call('PEXPIRE', key, 86400000) end
