-- KEYS[1] names the tickets of a hub. All keys carry the same hash tag.
--
--   KEYS[1]:all         sorted set: member of each ticket, by expiry
--   KEYS[1]:issued      sorted set: the same members, by time of issue
--   KEYS[1]:bytes       bytes that all tickets count for
--   KEYS[1]:u:<user>    sorted set: members of the user's tickets, by time of issue
--   KEYS[1]:t:<hash>    the ticket's record as JSON, which expires by itself
--
-- A member is the ticket's bytes, its hash, and its user.

local call = redis.call
local ALL, ISSUED, BYTES = KEYS[1] .. ':all', KEYS[1] .. ':issued', KEYS[1] .. ':bytes'
local ofUser = function(user) return KEYS[1] .. ':u:' .. user end

local time = call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000

local parse = function(member)
  local size, hash, user = string.match(member, '^(%d+) (%S+) (.*)$')
  return tonumber(size), hash, user
end

local delete = function(member)
  local size, hash, user = parse(member)
  call('DEL', KEYS[1] .. ':t:' .. hash)
  call('ZREM', ISSUED, member)
  call('ZREM', ofUser(user), member)
  if call('ZREM', ALL, member) == 1 then call('DECRBY', BYTES, size) end
end

local expire = function(max)
  for _, member in ipairs(call('ZRANGEBYSCORE', ALL, '-inf', now, 'LIMIT', 0, max)) do delete(member) end
end
