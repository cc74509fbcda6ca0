-- What all scripts begin with. KEYS[1] is the hub's state; everything else lies under the name of the log's life, so that a
-- life that begins anew never meets what another has left. All keys carry the same hash tag.
--
-- ARGV: 1 the time, or '' for the server's · 2 14 random letters, and what the caller has heard of the log · 3 age that is kept, in ms

local FORMAT = '2'
-- What things weigh besides their text: an entry; its place in a channel; a channel, with a mark of what it has evicted; a mark
-- of a channel that holds nothing; a range of ages. Text takes up to a fifth more than its length. Measured on Redis 7.0 over
-- 50,000 of each.
local ENTRY, PLACE, SHARED, LAPSING, COLLAPSED = 70, 80, 60, 110, 130
local CHANNEL, NAMES, MARK, AGE, TEXT = 300, 4, 100, 48, 1.2
-- Up to so many channels that hold nothing any more it is known where they were evicted.
local EMPTIED_MOST = 100000
-- The witnesses of so many of the newest numbers are kept, whether their entries are held or not.
local RING, WITNESS = 262144, 6
-- What nodes keep of their own is not older than so many numbers: further back they need not hear of evictions.
local REACH = 100000
-- A range of ages covers no more numbers than this, and no more time than this part of the age that is kept.
local AGE_NUMBERS, AGE_PART = 1000, 1 / 1000
-- What a piece of the tail weighs besides its events.
local PIECE_WEIGHT = 200

local STATE = KEYS[1]
local BASE = string.sub(STATE, 1, -6)
local call = redis.call
local int = function(number) return string.format('%.0f', number) end

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The letters name an epoch and its first witness, or a loss, should one have to be recorded. The caller has heard of an entry as
-- the newest, of a log whose last loss was recorded then, or which began then.
local letters, heard = string.match(ARGV[2], '^(%w+) ?(.*)$')

-- What `bytes` counts are entries and channels; `user`, `topic` and `everyone` are what the channels of each kind hold, where an
-- entry in several counts for each.
local FIELDS = { 'format', 'life', 'head', 'witness', 'pos', 'nonce', 'bytes', 'tail', 'forgotten', 'loss', 'born', 'user', 'topic',
  'everyone', 'keys', 'marks', 'ages', 'counts', 'sweep', 'former' }
local state = call('HMGET', STATE, unpack(FIELDS))
if state[1] and state[1] ~= FORMAT then
  return redis.error_reply('FORMAT the log is of format ' .. state[1] .. '; this hub writes format ' .. FORMAT)
end

-- How many entries there are in an epoch, how many channels of each kind, and how many marks of evictions.
local countsOf = function(life)
  local base = BASE .. life .. ':'
  return { call('HLEN', base .. 'events'), call('ZCARD', base .. 'sizes:user'), call('ZCARD', base .. 'sizes:topic'),
    call('ZCARD', base .. 'sizes:everyone'), call('HLEN', base .. 'evicted'), call('ZCARD', base .. 'emptied') }
end

-- What there was at the end of the last call, and is now. A key that was deleted or evicted is not there any more.
local before, present = {}, state[2] and countsOf(state[2])
for count in string.gmatch(state[18] or '', '%d+') do before[#before + 1] = tonumber(count) end
local isMissing = function(index) return before[index] and present[index] < before[index] end
local isGone = function(index) return isMissing(index) and present[index] == 0 end

-- Entries are nothing without the list of channels, and channels nothing without entries: then another epoch begins, and what
-- the former has left is cleared away.
local EPOCH = BASE .. 'epoch'
local former = state[20] or ''
if state[2] and (isGone(1) or isGone(2) or isGone(3) or isGone(4)) then
  former = former .. state[2] .. ' '
  state[2] = nil
elseif not state[2] then
  local life = call('GET', EPOCH)
  if life then former = life .. ' ' end
end
if not state[2] then
  state = { FORMAT, string.sub(letters, 1, 8), '0', letters, '0', '', '0', '0', '0', '0', int(now) }
  state[18], state[19], state[20] = '', '', former
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
local life, head, witness = state[2], tonumber(state[3]), state[4]
local pos, nonce = tonumber(state[5]), state[6]
local bytes, tailBytes, forgotten = tonumber(state[7]), tonumber(state[8]), tonumber(state[9])
-- The number of the newest loss: cursors with lower numbers are from before it. When it was recorded, or else the epoch began.
local loss, born = tonumber(state[10] or 0), tonumber(state[11] or 0)
local held = { user = tonumber(state[12] or 0), topic = tonumber(state[13] or 0), everyone = tonumber(state[14] or 0),
  keys = tonumber(state[15] or 0) }
local marks, ages = tonumber(state[16] or 0), tonumber(state[17] or 0)
-- How far the search for entries that no channel names has come; empty if there is none.
local sweep = state[19] or ''

local key = function(name) return BASE .. life .. ':' .. name end
local EVENTS, HELD, TTL, AGES = key('events'), key('held'), key('ttl'), key('ages')
local EVICTED, EMPTIED = key('evicted'), key('emptied')
local SIZES = { user = key('sizes:user'), topic = key('sizes:topic'), everyone = key('sizes:everyone') }
local WITNESSES, TAIL, TAIL_SIZES = key('witnesses'), key('tail'), key('tailsizes')
local historyOf = function(channel) return key('c:' .. channel) end
local collapsedOf = function(channel) return key('k:' .. channel) end
local kindOf = function(channel)
  return channel == 'everyone' and 'everyone' or string.sub(channel, 1, 2) == 'u:' and 'user' or 'topic'
end

-- The highest number that this call has evicted from each channel, as far as nodes need to hear of it.
local lost, isLost = {}, false

local save = function()
  local after = { head = int(head), witness = witness, pos = int(pos), nonce = nonce, bytes = int(bytes), tail = int(tailBytes),
    forgotten = int(forgotten), loss = int(loss), born = int(born), user = int(held.user), topic = int(held.topic),
    everyone = int(held.everyone), keys = int(held.keys), marks = int(marks), ages = int(ages),
    counts = table.concat(countsOf(life), ' '), sweep = sweep, former = former }
  local changed = {}
  for index, name in ipairs(FIELDS) do
    if after[name] and after[name] ~= state[index] then
      changed[#changed + 1] = name
      changed[#changed + 1] = after[name]
    end
  end
  if #changed > 0 then call('HSET', STATE, unpack(changed)) end
end
