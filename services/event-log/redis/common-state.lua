-- The state of the log; the first part of every script. KEYS[1] is the hub's state; the names of all other keys contain the
-- name of the epoch, so that a new epoch never reads keys of a former one. All keys have the same hash tag.
--
-- ARGV: 1 the time, or '' for the server's · 2 14 random letters, and the newest entry that the caller knows · 3 max. age in ms, and the
-- id of the caller's tail, if it has one

local FORMAT = '3'
-- The format before: its one tail for all nodes is dropped, and the nodes that know only that format are refused from then on.
local SINGLE_TAIL = '2'
-- Weights besides text: an entry; its position in a channel; an entry of several channels; one that expires; one with a
-- collapse key; a channel, with a mark of its evictions; a mark of an emptied channel; a range of ages. Text takes up to a
-- fifth more than its length. Measured on Redis 7.0 over 50,000 of each.
local ENTRY, POSITION, SHARED, EXPIRING, COLLAPSED = 90, 90, 60, 110, 130
local CHANNEL, NAMES, MARK, AGE, TEXT = 300, 4, 100, 48, 1.2
-- Max. number of emptied channels with a mark of their evictions.
local MAX_EMPTIED = 100000
-- Number of the newest witnesses that are kept, even without their entries; length of a witness.
local RING, WITNESS = 262144, 6
-- Nodes keep recent events in memory for fewer numbers than this: of older entries they need no evictions.
local REACH = 100000
-- Max. numbers of a range of ages, and its max. time as a part of the max. age.
local AGE_NUMBERS, AGE_PART = 1000, 1 / 1000
-- Weights of an entry of a tail besides its events, of a tail, of a channel with an interest, and of an interest.
local TAIL_ENTRY, TAIL, INTEREST, INTERESTED = 260, 500, 100, 8

local STATE = KEYS[1]
local BASE = string.sub(STATE, 1, -6)
local call = redis.call
local int = function(number) return string.format('%.0f', number) end

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The letters name an epoch and its first witness, or a loss, if the script has to begin or record one. The rest is number and
-- witness of the newest entry that the caller knows, and when the last loss was recorded there, or the epoch began.
local letters, callerHead = string.match(ARGV[2], '^(%w+) ?(.*)$')
local maxAge, callerTail = string.match(ARGV[3], '^(%d+) ?(%w*)$')
maxAge = tonumber(maxAge)

-- `bytes` is the weight of entries and channels; `user`, `topic`, `everyone` and `inbox` are the weights of the channels of each kind,
-- where an entry of several channels counts for each. `nodes` are the ids of the tails, and `stale` is the progress of the search for
-- interests of tails that are gone.
local FIELDS = { 'format', 'life', 'head', 'witness', 'nodes', 'interest', 'bytes', 'tail', 'forgotten', 'loss', 'born', 'user', 'topic',
  'everyone', 'keys', 'marks', 'ages', 'counts', 'sweep', 'former', 'inbox', 'stale' }
local state = call('HMGET', STATE, unpack(FIELDS))
if state[1] == SINGLE_TAIL then
  call('UNLINK', BASE .. (state[2] or '') .. ':tail', BASE .. (state[2] or '') .. ':tailsizes')
  call('HDEL', STATE, 'pos', 'nonce')
  call('HSET', STATE, 'format', FORMAT, 'tail', '0')
  state[1], state[8] = FORMAT, '0'
elseif state[1] and state[1] ~= FORMAT then
  return redis.error_reply('FORMAT the log is of format ' .. state[1] .. '; this hub writes format ' .. FORMAT)
end

-- Counts an epoch's entries, channels of each kind, and marks of evictions.
local countsOf = function(epoch)
  local base = BASE .. epoch .. ':'
  return { call('HLEN', base .. 'events'), call('ZCARD', base .. 'sizes:user'), call('ZCARD', base .. 'sizes:topic'),
    call('ZCARD', base .. 'sizes:everyone'), call('HLEN', base .. 'evicted'), call('ZCARD', base .. 'emptied'),
    call('ZCARD', base .. 'sizes:inbox'), call('HLEN', base .. 'tails'), call('HLEN', base .. 'interest') }
end

-- The counts at the end of the last call, and now. They reveal keys that were deleted, or evicted by Redis.
local before, present = {}, state[2] and countsOf(state[2])
for count in string.gmatch(state[18] or '', '%d+') do before[#before + 1] = tonumber(count) end
local isMissing = function(index) return before[index] and present[index] < before[index] end
local isGone = function(index) return isMissing(index) and present[index] == 0 end

-- Entries are useless without the list of channels, and channels without entries: then a new epoch begins, and the keys of the
-- former one are deleted bit by bit.
local EPOCH = BASE .. 'epoch'
local former = state[20] or ''
if state[2] and (isGone(1) or isGone(2) or isGone(3) or isGone(4) or isGone(7)) then
  former = former .. state[2] .. ' '
  state[2] = nil
elseif not state[2] then
  local epoch = call('GET', EPOCH)
  if epoch then former = epoch .. ' ' end
end
if not state[2] then
  state = { FORMAT, string.sub(letters, 1, 8), '0', letters, '', '0', '0', '0', '0', '0', int(now) }
  state[18], state[19], state[20], state[22] = '', '', former, ''
  present, before = countsOf(state[2]), {}
  call('SET', EPOCH, state[2])
  local begun = {}
  for index, name in ipairs(FIELDS) do
    state[index] = state[index] or '0'
    begun[#begun + 1] = name
    begun[#begun + 1] = state[index]
  end
  call('HSET', STATE, unpack(begun))
end
local epoch, head, witness = state[2], tonumber(state[3]), state[4]
local nodes, interest = state[5] or '', tonumber(state[6] or 0)
local bytes, tailBytes, forgotten = tonumber(state[7]), tonumber(state[8]), tonumber(state[9])
-- The number of the newest loss: cursors with lower numbers precede it. The time of its recording, or else of the epoch's begin.
local loss, born = tonumber(state[10] or 0), tonumber(state[11] or 0)
local retained = { user = tonumber(state[12] or 0), topic = tonumber(state[13] or 0), everyone = tonumber(state[14] or 0),
  keys = tonumber(state[15] or 0), inbox = tonumber(state[21] or 0) }
local marks, ages = tonumber(state[16] or 0), tonumber(state[17] or 0)
-- Progress of the search for entries without positions; empty while none is in progress.
local sweep = state[19] or ''
local stale = state[22] or ''

local key = function(name) return BASE .. epoch .. ':' .. name end
local EVENTS, HELD, TTL, AGES = key('events'), key('held'), key('ttl'), key('ages')
local EVICTED, EMPTIED = key('evicted'), key('emptied')
local SIZES = { user = key('sizes:user'), topic = key('sizes:topic'), everyone = key('sizes:everyone'),
  inbox = key('sizes:inbox') }
local WITNESSES, TAILS, INTERESTS = key('witnesses'), key('tails'), key('interest')
local tailOf = function(id) return key('tail:' .. id) end
local historyOf = function(channel) return key('c:' .. channel) end
local collapsedOf = function(channel) return key('k:' .. channel) end
local KINDS = { ['u:'] = 'user', ['t:'] = 'topic', ['i:'] = 'inbox', ['r:'] = 'inbox' }
local kindOf = function(channel) return KINDS[string.sub(channel, 1, 2)] or channel == 'everyone' and 'everyone' or 'topic' end

-- The highest number that this call has evicted from each channel, for the recent events of the nodes.
local evictions, hasEvictions = {}, false
-- How many positions this call has evicted, and how many have expired.
local evictedNow, expiredNow = 0, 0

local saveTails = nil

local save = function()
  saveTails()
  local after = { head = int(head), witness = witness, nodes = nodes, interest = int(interest), bytes = int(bytes), tail = int(tailBytes),
    forgotten = int(forgotten), loss = int(loss), born = int(born), user = int(retained.user), topic = int(retained.topic),
    everyone = int(retained.everyone), keys = int(retained.keys), marks = int(marks), ages = int(ages), inbox = int(retained.inbox),
    counts = table.concat(countsOf(epoch), ' '), sweep = sweep, former = former,
    stale = stale }
  local changed = {}
  for index, name in ipairs(FIELDS) do
    if after[name] and after[name] ~= state[index] then
      changed[#changed + 1] = name
      changed[#changed + 1] = after[name]
    end
  end
  if #changed > 0 then call('HSET', STATE, unpack(changed)) end
end
