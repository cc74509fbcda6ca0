-- What all scripts begin with. KEYS[1] is the hub's state; everything else lies under the name of the log's life, so that a
-- life that begins anew never meets what another has left. All keys carry the same hash tag.
--
-- ARGV: 1 the time, or '' for the server's · 2 name and witness of a life, should one have to begin · 3 age that is kept, in ms

local FORMAT = '1'
-- What an entry weighs besides its text, and a channel besides its entries; text takes up to a fifth more than its length.
-- Measured on Redis 7.0 over 50,000 events of 100 to 2,000 bytes.
local ENTRY, CHANNEL, TEXT = 150, 300, 1.2
-- Up to so many channels that hold nothing any more it is known where they were evicted.
local EMPTIED_MOST = 100000
-- The witnesses of so many of the newest numbers are kept, whether their entries are held or not.
local RING, WITNESS = 262144, 6
-- What nodes keep of their own is not older than so many numbers: further back they need not hear of evictions.
local REACH = 100000

local STATE = KEYS[1]
local BASE = string.sub(STATE, 1, -6)
local call = redis.call
local int = function(number) return string.format('%.0f', number) end

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local state = call('HMGET', STATE, 'format', 'life', 'head', 'witness', 'pos', 'nonce', 'bytes', 'tail', 'forgotten')
if state[1] and state[1] ~= FORMAT then
  return redis.error_reply('FORMAT the log is of format ' .. state[1] .. '; this hub writes format ' .. FORMAT)
end
if not state[2] then
  local life = string.sub(ARGV[2], 1, 8)
  state = { FORMAT, life, '0', ARGV[2], '0', '', '0', '0', '0' }
  call('HSET', STATE, 'format', FORMAT, 'life', life, 'head', '0', 'witness', ARGV[2], 'pos', '0', 'nonce', '', 'bytes', '0',
    'tail', '0', 'forgotten', '0')
end
local life, head, witness = state[2], tonumber(state[3]), state[4]
local pos, nonce = tonumber(state[5]), state[6]
local bytes, tailBytes, forgotten = tonumber(state[7]), tonumber(state[8]), tonumber(state[9])

local key = function(name) return BASE .. life .. ':' .. name end
local EVENTS, HELD, TTL, AGES = key('events'), key('held'), key('ttl'), key('ages')
local SIZES, EVICTED, EMPTIED = key('sizes'), key('evicted'), key('emptied')
local WITNESSES, TAIL, TAIL_SIZES = key('witnesses'), key('tail'), key('tailsizes')
local historyOf = function(channel) return key('c:' .. channel) end
local collapsedOf = function(channel) return key('k:' .. channel) end

-- The highest number that this call has evicted from each channel, as far as nodes need to hear of it.
local lost, isLost = {}, false

local save = function()
  local after = { head = int(head), witness = witness, pos = int(pos), nonce = nonce, bytes = int(bytes), tail = int(tailBytes),
    forgotten = int(forgotten) }
  local changed = {}
  for index, name in ipairs({ 'format', 'life', 'head', 'witness', 'pos', 'nonce', 'bytes', 'tail', 'forgotten' }) do
    if after[name] and after[name] ~= state[index] then
      changed[#changed + 1] = name
      changed[#changed + 1] = after[name]
    end
  end
  if #changed > 0 then call('HSET', STATE, unpack(changed)) end
end

-- An entry's text: witness, time and end of its life; its channels as JSON; its collapse key as JSON, or nothing; the rest.
local parse = function(value)
  local exp, at = string.match(value, '^%w+ %d+ (%-?%d+)\n()')
  if not exp then return nil end
  local channels, collapse = string.match(value, '^([^\n]*)\n([^\n]*)\n', at)
  return channels, collapse, exp
end

-- A member of a history is the number and what has to be cleared away with it: k collapse key, m several channels, t end.
local memberOf = function(seq, collapse, channels, exp)
  return seq .. (collapse ~= '' and 'k' or '') .. (channels > 1 and 'm' or '') .. (tonumber(exp) >= 0 and 't' or '')
end

local weightOf = function(length) return math.ceil(length * TEXT) + ENTRY end
local weigh = function(seq) return weightOf(call('HSTRLEN', EVENTS, seq)) end

local evictedFrom = function(channel)
  local evicted = call('HGET', EVICTED, channel) or call('ZSCORE', EMPTIED, channel)
  if evicted then return tonumber(evicted) end
  if call('ZSCORE', SIZES, channel) then return 0 end
  return forgotten
end

local noteEvicted = function(channel, seq)
  call('HSET', EVICTED, channel, int(seq))
  if seq > head - REACH then
    lost[channel] = seq
    isLost = true
  end
end

-- A channel that holds something again knows itself up to where it was evicted.
local opened = function(channel)
  bytes = bytes + CHANNEL
  local evicted = tonumber(call('ZSCORE', EMPTIED, channel) or forgotten)
  if evicted > 0 then call('HSET', EVICTED, channel, int(evicted)) end
  call('ZREM', EMPTIED, channel)
end

local emptied = function(channel)
  bytes = bytes - CHANNEL
  local evicted = call('HGET', EVICTED, channel)
  call('ZREM', SIZES, channel)
  call('HDEL', EVICTED, channel)
  call('DEL', collapsedOf(channel))
  if not evicted or tonumber(evicted) <= forgotten then return end
  call('ZADD', EMPTIED, evicted, channel)
  if call('ZCARD', EMPTIED) <= EMPTIED_MOST then return end
  local popped = call('ZPOPMIN', EMPTIED, 1000)
  for index = 2, #popped, 2 do forgotten = math.max(forgotten, tonumber(popped[index])) end
end

local taken = function(channel, weight)
  call('ZINCRBY', SIZES, -weight, channel)
  if call('EXISTS', historyOf(channel)) == 0 then emptied(channel) end
end

-- One channel fewer holds the entry; the last one lets it go.
local release = function(member, seq, weight)
  if string.find(member, 'm', 1, true) then
    if call('HINCRBY', HELD, seq, -1) > 0 then return end
    call('HDEL', HELD, seq)
  end
  if string.find(member, 't', 1, true) then call('ZREM', TTL, seq) end
  call('HDEL', EVENTS, seq)
  bytes = bytes - weight
end

local uncollapse = function(channel, collapse, member)
  local collapsed = collapsedOf(channel)
  if call('HGET', collapsed, collapse) == member then call('HDEL', collapsed, collapse) end
end

-- Retention takes the oldest entry of a channel. Returns what it weighed, or nothing if there was none.
local evict = function(channel)
  local member = call('ZPOPMIN', historyOf(channel))[1]
  if not member then return nil end
  local seq = string.match(member, '^%d+')
  local weight = weigh(seq)
  if string.find(member, 'k', 1, true) then
    local _, collapse = parse(call('HGET', EVENTS, seq) or '')
    if collapse then uncollapse(channel, collapse, member) end
  end
  noteEvicted(channel, tonumber(seq))
  release(member, seq, weight)
  taken(channel, weight)
  return weight
end

-- Takes an entry out of all its channels: it is too old, which is a gap, or has outlived itself, which is none.
local drop = function(seq, isGap)
  local channels, collapse, exp = parse(call('HGET', EVENTS, seq) or '')
  if not channels then return end
  channels = cjson.decode(channels)
  local member, weight = memberOf(seq, collapse, #channels, exp), weigh(seq)
  for _, channel in ipairs(channels) do
    if call('ZREM', historyOf(channel), member) == 1 then
      if collapse ~= '' then uncollapse(channel, collapse, member) end
      if isGap then noteEvicted(channel, math.max(tonumber(call('HGET', EVICTED, channel) or 0), tonumber(seq))) end
      release(member, seq, weight)
      taken(channel, weight)
    end
  end
end

-- Age is looked at batch by batch, from the front. A call clears away no more than it can in good time; the next goes on.
local expire = function(most)
  for _, seq in ipairs(call('ZRANGEBYSCORE', TTL, '-inf', now, 'LIMIT', 0, most)) do drop(seq, false) end
  local horizon = now - tonumber(ARGV[3])
  while most > 0 do
    local time, first, last = string.match(call('LINDEX', AGES, 0) or '', '^(%d+) (%d+) (%d+)$')
    if not time or tonumber(time) > horizon then return end
    call('LPOP', AGES)
    for seq = tonumber(first), tonumber(last) do drop(int(seq), true) end
    most = most - (tonumber(last) - tonumber(first) + 1)
  end
end

local answer = function()
  return { life, head, witness, call('HLEN', EVENTS), bytes, call('ZCARD', SIZES), pos }
end
