-- What all scripts begin with. KEYS[1] holds when the lease of each node ends; all that a node has written lies under its name,
-- so that it counts for nothing the moment that the lease is over, and can be swept up by anybody. All keys carry the same
-- hash tag.
--
--   KEYS[1]                 sorted set: node, by when its lease ends
--   KEYS[1]:joining         sorted set: nodes that write down what they have, and do not count yet, by when they have to be done
--   KEYS[1]:written         sorted set: node, by when everything that it had was last known to be written
--   KEYS[1]:users           set: who has a stream anywhere
--   KEYS[1]:said            stream: what nodes say to all others
--   KEYS[1]:<node>:users    sorted set: who has a stream on the node, by name
--   KEYS[1]:<node>:u:<user> sorted set: his streams on the node, by when they were opened
--   KEYS[1]:<node>:counts   hash: streams, everyone, t:<topic>, and f:<user> for streams of his that do not listen to him
--
-- ARGV: 1 the node that asks

local NODES, ME = KEYS[1], ARGV[1]
local JOINING, WRITTEN = NODES .. ':joining', NODES .. ':written'
local USERS, SAID = NODES .. ':users', NODES .. ':said'
local call = redis.call

local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local int = function(number) return string.format('%.0f', number) end
local usersOf = function(node) return NODES .. ':' .. node .. ':users' end
local countsOf = function(node) return NODES .. ':' .. node .. ':counts' end
local streamsOf = function(node, user) return NODES .. ':' .. node .. ':u:' .. user end

local isIn = function(leases, node)
  local until_ = call('ZSCORE', leases, node)
  return until_ and tonumber(until_) > now
end
local isLive = function(node) return isIn(NODES, node) end
local isJoining = function(node) return isIn(JOINING, node) end

local without = function(nodes, out)
  local rest = {}
  for _, node in ipairs(nodes) do
    if node ~= out then rest[#rest + 1] = node end
  end
  return rest
end

-- The nodes that are alive, but for the one that asks.
local others = function() return without(call('ZRANGEBYSCORE', NODES, '(' .. int(now), '+inf'), ME) end

-- Says something to all nodes, who read it in order, once.
local say = function(text) return call('XADD', SAID, 'MAXLEN', '~', '10000', '*', 'said', text) end

-- A user has no stream on a node any more.
local forget = function(node, user)
  call('ZREM', usersOf(node), user)
  for _, leases in ipairs({ NODES, JOINING }) do
    for _, other in ipairs(without(call('ZRANGE', leases, 0, -1), node)) do
      if call('EXISTS', streamsOf(other, user)) == 1 then return end
    end
  end
  call('SREM', USERS, user)
end

local remember = function(user, stream, since)
  call('ZADD', streamsOf(ME, user), since, stream)
  call('ZADD', usersOf(ME), 0, user)
  call('SADD', USERS, user)
end
