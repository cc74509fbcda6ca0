-- The first part of every script. KEYS[1] has the leases of all nodes; all keys that a node writes contain its name, so that they
-- stop counting when its lease expires, and any node can delete them. All keys have the same hash tag.
--
--   KEYS[1]                 sorted set: node, by when its lease expires
--   KEYS[1]:joining         sorted set: nodes that write their streams, and do not count yet, by their deadline
--   KEYS[1]:written         sorted set: node, by when all its changes were last known to be written
--   KEYS[1]:users           set: users with a stream on any node
--   KEYS[1]:due             sorted set: +user who came online, or -user whose leave grace is running, by when to report it
--   KEYS[1]:claim:<node>    the last reports that the node took, for a minute; here a node has one name as long as it runs
--   KEYS[1]:life            text that is new when Redis has lost the data of the cluster
--   KEYS[1]:said            stream: messages of nodes to all others
--   KEYS[1]:role:<role>     string: the node that has the role, until the key expires
--   KEYS[1]:<node>:users    sorted set: users with a stream on the node, by name
--   KEYS[1]:<node>:u:<user> sorted set: the user's streams on the node, by when they were opened
--   KEYS[1]:<node>:counts   hash: streams, everyone, t:<topic>, and f:<user>: the user's streams that listen only to topics
--
-- ARGV: 1 the calling node

local NODES, ME = KEYS[1], ARGV[1]
local JOINING, WRITTEN = NODES .. ':joining', NODES .. ':written'
local USERS, DUE, COMMANDS = NODES .. ':users', NODES .. ':due', NODES .. ':said'
local call = redis.call

local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local int = function(number) return string.format('%.0f', number) end
local usersOf = function(node) return NODES .. ':' .. node .. ':users' end
local countsOf = function(node) return NODES .. ':' .. node .. ':counts' end
local roleKey = function(role) return NODES .. ':role:' .. role end
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

-- The live nodes without the calling one.
local others = function() return without(call('ZRANGEBYSCORE', NODES, '(' .. int(now), '+inf'), ME) end

-- Sends a message to all nodes, which read it in order, once.
local send = function(text) return call('XADD', COMMANDS, 'MAXLEN', '~', '10000', '*', 'said', text) end

-- The user has a stream on some node. Reports users who had none, and whose leave grace was over, unless `isKnown`.
local arrive = function(user, isKnown, delay)
  if call('SADD', USERS, user) == 0 or call('ZREM', DUE, '-' .. user) == 1 or isKnown then return 0 end
  call('ZADD', DUE, now + delay, '+' .. user)
  return 1
end

-- Deletes a user without streams on a node, and reports the user after `absence` milliseconds if no other node has one.
local forget = function(node, user, absence)
  call('ZREM', usersOf(node), user)
  for _, leases in ipairs({ NODES, JOINING }) do
    for _, other in ipairs(without(call('ZRANGE', leases, 0, -1), node)) do
      if call('EXISTS', streamsOf(other, user)) == 1 then return end
    end
  end
  if call('SREM', USERS, user) == 1 then call('ZADD', DUE, now + absence, '-' .. user) end
end

local remember = function(user, stream, since)
  call('ZADD', streamsOf(ME, user), since, stream)
  call('ZADD', usersOf(ME), 0, user)
end
