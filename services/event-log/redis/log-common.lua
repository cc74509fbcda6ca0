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

-- An entry's text: witness, time and end of its life; its channels as JSON; its collapse key as JSON, or nothing; the rest.
local parse = function(value)
  local time, exp, at = string.match(value, '^%w+ (%d+) (%-?%d+)\n()')
  if not exp then return nil end
  local channels, collapse = string.match(value, '^([^\n]*)\n([^\n]*)\n', at)
  return channels, collapse, tonumber(exp), tonumber(time)
end

-- A member of a history is the number and what has to be cleared away with it: k collapse key, m several channels, t end.
local memberOf = function(seq, collapse, hasSeveral, exp)
  return seq .. (collapse ~= '' and 'k' or '') .. (hasSeveral and 'm' or '') .. (exp >= 0 and 't' or '')
end

-- Whether the channels of an entry, as JSON, name this one. Within a name, a quote never follows a bracket or a comma directly.
local quoted = {}
local isFiledUnder = function(channels, channel)
  local texts = quoted[channel]
  if not texts then
    local text = '"' .. string.gsub(channel, '["\\]', '\\%0') .. '"'
    texts = { '[' .. text, ',' .. text }
    quoted[channel] = texts
  end
  return string.find(channels, texts[1], 1, true) or string.find(channels, texts[2], 1, true)
end

-- What an entry weighs, however many channels it is filed under, and what its place in one of them weighs besides.
local weightOf = function(length, member)
  return math.ceil(length * TEXT) + ENTRY + (string.find(member, 'm', 1, true) and SHARED or 0) +
    (string.find(member, 't', 1, true) and LAPSING or 0)
end
local positionOf = function(collapse)
  return PLACE + (collapse ~= '' and COLLAPSED + math.ceil(#collapse * TEXT) or 0)
end
local channelWeight = function(channel) return CHANNEL + NAMES * #channel end
local markWeight = function(channel) return MARK + math.ceil(#channel * TEXT) end

-- What a channel holds has changed. Returns what it holds.
local resize = function(channel, weight)
  local kind = kindOf(channel)
  held[kind] = held[kind] + weight
  return tonumber(call('ZINCRBY', SIZES[kind], weight, channel))
end

-- All that the log holds but what gives when it is over its bound.
local kept = function() return tailBytes + marks + ages + math.min(head, RING) * WITNESS end
local total = function() return bytes + held.keys + kept() end

-- The number of a channel's member, and weight and collapse key of its entry. An index alone proves nothing: where the entry is
-- gone, or is another than the one that was filed, there is no weight, and the member is a hole.
local entryOf = function(channel, member)
  local seq = string.match(member, '^%d+')
  local value = call('HGET', EVENTS, seq)
  if not value then return seq end
  local channels, collapse, exp = parse(value)
  if not channels or not isFiledUnder(channels, channel) then return seq end
  if memberOf(seq, collapse, string.find(channels, '","', 1, true), exp) ~= member then return seq end
  return seq, weightOf(#value, member), collapse
end

-- The witness of a number by the ring of witnesses, else by the entry itself; nothing if neither has it.
local witnessOf = function(seq)
  if seq == head then return string.sub(witness, 9) end
  if seq > 0 and seq < head and seq > head - RING then
    local own = call('GETRANGE', WITNESSES, (seq % RING) * WITNESS, (seq % RING) * WITNESS + WITNESS - 1)
    if string.find(own, '^%w+$') then return own end
  end
  return string.match(call('HGET', EVENTS, int(seq)) or '', '^%w+')
end

-- Whether an entry that somebody names is one of this log's, or may be.
local isOfThisLog = function(seq, own)
  return seq <= head and (witnessOf(seq) or own) == own
end

local evictedFrom = function(channel)
  local evicted = call('HGET', EVICTED, channel) or call('ZSCORE', EMPTIED, channel)
  if evicted then return tonumber(evicted) end
  if call('ZSCORE', SIZES[kindOf(channel)], channel) then return 0 end
  return forgotten
end

local noteEvicted = function(channel, seq)
  if seq <= tonumber(call('HGET', EVICTED, channel) or 0) then return end
  call('HSET', EVICTED, channel, int(seq))
  if seq > head - REACH then
    lost[channel] = seq
    isLost = true
  end
end

-- A channel that holds something again knows itself up to where it was evicted.
local opened = function(channel)
  local kind, weight = kindOf(channel), channelWeight(channel)
  bytes = bytes + weight
  held[kind] = held[kind] + weight
  local evicted = tonumber(call('ZSCORE', EMPTIED, channel) or forgotten)
  if evicted > 0 then call('HSET', EVICTED, channel, int(evicted)) end
  if call('ZREM', EMPTIED, channel) == 1 then marks = marks - markWeight(channel) end
end

-- Of the channels that were evicted longest ago one number is left for all.
local forgetMarks = function(count)
  local popped = call('ZPOPMIN', EMPTIED, count)
  for index = 1, #popped, 2 do
    marks = marks - markWeight(popped[index])
    forgotten = math.max(forgotten, tonumber(popped[index + 1]))
  end
end

local emptied = function(channel)
  local kind, weight = kindOf(channel), channelWeight(channel)
  bytes = bytes - weight
  held[kind] = held[kind] - weight - tonumber(call('ZSCORE', SIZES[kind], channel) or 0)
  local evicted = call('HGET', EVICTED, channel)
  call('ZREM', SIZES[kind], channel)
  call('HDEL', EVICTED, channel)
  call('DEL', collapsedOf(channel))
  if not evicted or tonumber(evicted) <= forgotten then return end
  if call('ZADD', EMPTIED, evicted, channel) == 1 then marks = marks + markWeight(channel) end
  if call('ZCARD', EMPTIED) > EMPTIED_MOST then forgetMarks(1000) end
end

-- An entry has lost its place in a channel.
local taken = function(channel, weight, place)
  bytes = bytes - place
  resize(channel, -weight - place)
  if call('EXISTS', historyOf(channel)) == 0 then emptied(channel) end
end

-- How many channels of an entry name it.
local holders = function(value, member)
  local channels = parse(value or '')
  if not channels then return 0 end
  local count = 0
  for _, channel in ipairs(cjson.decode(channels)) do
    if call('ZSCORE', historyOf(channel), member) then count = count + 1 end
  end
  return count
end

-- The history of a channel is gone, though the channel held entries: all up to a number may have been among them.
local historyLost = function(channel, seq)
  noteEvicted(channel, seq)
  if sweep == '' then sweep = '0' end
end

-- One channel fewer holds the entry; the last one lets it go.
local release = function(member, seq, weight)
  if string.find(member, 'm', 1, true) then
    local left = call('HINCRBY', HELD, seq, -1)
    if left < 0 then
      left = holders(call('HGET', EVENTS, seq), member)
      call('HSET', HELD, seq, left)
    end
    if left > 0 then return end
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

-- A member without its entry was taken out of a history: readers learn of a gap there. What it weighed is not known any more;
-- its channel becomes lighter by what its entries weigh on average.
local hole = function(channel, member, seq)
  noteEvicted(channel, tonumber(seq))
  local size = tonumber(call('ZSCORE', SIZES[kindOf(channel)], channel) or 0)
  local weight = math.floor(size / (call('ZCARD', historyOf(channel)) + 1))
  local isSingleNode = call('HEXISTS', EVENTS, seq) == 0 and not string.find(member, 'm', 1, true)
  bytes = math.max(0, bytes - (isSingleNode and weight or PLACE))
  taken(channel, weight, 0)
end

-- Retention takes the oldest entry of a channel. Returns what it weighed.
local evict = function(channel)
  local member = call('ZPOPMIN', historyOf(channel))[1]
  if not member then
    historyLost(channel, head)
    emptied(channel)
    return 0
  end
  local seq, weight, collapse = entryOf(channel, member)
  if not weight then
    hole(channel, member, seq)
    return 0
  end
  if collapse ~= '' then uncollapse(channel, collapse, member) end
  noteEvicted(channel, tonumber(seq))
  release(member, seq, weight)
  taken(channel, weight, positionOf(collapse))
  return weight + positionOf(collapse)
end

local forget = function(seq, weight)
  call('HDEL', EVENTS, seq)
  call('HDEL', HELD, seq)
  call('ZREM', TTL, seq)
  bytes = bytes - weight
end

-- Takes an entry out of all its channels: it is too old, which is a gap, or has outlived itself, which is none.
local drop = function(seq, isGap, horizon)
  local value = call('HGET', EVENTS, seq)
  if not value then
    call('ZREM', TTL, seq)
    return
  end
  local channels, collapse, exp, time = parse(value)
  if not channels then return forget(seq, weightOf(#value, '')) end
  if isGap and time > horizon then return end
  if not isGap and (exp < 0 or exp > now) then
    -- The index tells another end than the entry.
    call('ZREM', TTL, seq)
    if exp >= 0 then call('ZADD', TTL, exp, seq) end
    return
  end
  channels = cjson.decode(channels)
  local member = memberOf(seq, collapse, #channels > 1, exp)
  local weight = weightOf(#value, member)
  local places = #channels > 1 and tonumber(call('HGET', HELD, seq) or 0) or 1
  for _, channel in ipairs(channels) do
    if call('ZREM', historyOf(channel), member) == 1 then
      if collapse ~= '' then uncollapse(channel, collapse, member) end
      if isGap then noteEvicted(channel, tonumber(seq)) end
      taken(channel, weight, positionOf(collapse))
      places = places - 1
    elseif call('EXISTS', historyOf(channel)) == 0 and call('ZSCORE', SIZES[kindOf(channel)], channel) then
      historyLost(channel, head)
      emptied(channel)
    end
  end
  forget(seq, weight + math.max(0, places) * positionOf(collapse))
end

-- Goes on with the search for entries that no channel names.
local sweepSome = function()
  if sweep == '' then return end
  local page = call('HSCAN', EVENTS, sweep, 'COUNT', 100)
  sweep = page[1] == '0' and '' or page[1]
  for index = 1, #page[2], 2 do
    local seq, value = page[2][index], page[2][index + 1]
    local channels, collapse, exp = parse(value)
    local member = channels and memberOf(seq, collapse, string.find(channels, '","', 1, true), exp)
    local several = member and string.find(member, 'm', 1, true)
    local count = member and tonumber(seq) <= head and holders(value, member) or 0
    local places = several and tonumber(call('HGET', HELD, seq) or count) or 1
    local place = member and positionOf(collapse) or 0
    if count == 0 then
      forget(seq, weightOf(#value, member or '') + places * place)
    else
      if several then
        bytes = bytes - (places - count) * place
        call('HSET', HELD, seq, count)
      end
      if exp >= 0 then call('ZADD', TTL, 'NX', exp, seq) end
    end
  end
end

-- Goes on with clearing away a former epoch.
local clearSome = function()
  local life = string.match(former, '^%w+')
  if not life then return end
  local base = BASE .. life .. ':'
  local clear = function(channel) call('UNLINK', base .. 'c:' .. channel, base .. 'k:' .. channel) end
  for _, kind in ipairs({ 'user', 'topic', 'everyone' }) do
    local popped = call('ZPOPMIN', base .. 'sizes:' .. kind, 100)
    for index = 1, #popped, 2 do clear(popped[index]) end
    if #popped > 0 then return end
  end
  local scopes = call('ZPOPMIN', base .. 'scopes', 100)
  for index = 1, #scopes, 2 do call('UNLINK', base .. 'i:' .. scopes[index], base .. 'o:' .. scopes[index]) end
  if #scopes > 0 then return end
  local page = call('HSCAN', base .. 'events', '0', 'COUNT', 100)
  for index = 1, #page[2], 2 do
    local channels = parse(page[2][index + 1])
    if channels then
      for _, channel in ipairs(cjson.decode(channels)) do clear(channel) end
    end
    call('HDEL', base .. 'events', page[2][index])
  end
  if call('EXISTS', base .. 'events') == 1 then return end
  for _, name in ipairs({ 'held', 'ttl', 'ages', 'evicted', 'emptied', 'witnesses', 'tail', 'tailsizes', 'scopelapses' }) do
    call('UNLINK', base .. name)
  end
  former = string.gsub(former, '^%w+ ', '')
end

-- Age is looked at range by range, from the front. A call clears away no more than it can in good time; the next goes on.
local expire = function(most)
  for _, seq in ipairs(call('ZRANGEBYSCORE', TTL, '-inf', now, 'LIMIT', 0, most)) do drop(seq, false) end
  local horizon = now - tonumber(ARGV[3])
  while most > 0 do
    local newest, first, last, start = string.match(call('LINDEX', AGES, 0) or '', '^(%d+) (%d+) (%d+) (%d+)$')
    if not newest or tonumber(newest) > horizon then return end
    call('LPOP', AGES)
    local stop = math.min(tonumber(last), tonumber(first) + most - 1)
    for seq = tonumber(first), stop do drop(int(seq), true, horizon) end
    if stop < tonumber(last) then call('LPUSH', AGES, newest .. ' ' .. int(stop + 1) .. ' ' .. last .. ' ' .. start)
    else ages = ages - AGE end
    most = most - (stop - tonumber(first) + 1)
  end
end

-- Notes when these numbers were appended: beside those before them, if they came shortly after.
local noteAge = function(first, last)
  local newest, from, to, start = string.match(call('LINDEX', AGES, -1) or '', '^(%d+) (%d+) (%d+) (%d+)$')
  local isNear = newest and tonumber(to) == first - 1 and last - tonumber(from) < AGE_NUMBERS and
    now - tonumber(start) <= tonumber(ARGV[3]) * AGE_PART
  if isNear then
    call('LSET', AGES, -1, int(math.max(now, tonumber(newest))) .. ' ' .. from .. ' ' .. int(last) .. ' ' .. start)
    return
  end
  call('RPUSH', AGES, int(now) .. ' ' .. int(first) .. ' ' .. int(last) .. ' ' .. int(now))
  ages = ages + AGE
end

-- Hands a piece on to the tails: a name of its own, the head before it, what has been evicted, and its events.
local handOn = function(name, before, evictions, events, size)
  pos = pos + 1
  local fields = { 'p', nonce, 'n', name, 'h', int(before.head), 'w', before.witness, 'x', evictions }
  for _, field in ipairs(events) do fields[#fields + 1] = field end
  local added = redis.pcall('XADD', TAIL, int(pos) .. '-0', unpack(fields))
  if type(added) == 'table' and added.err then
    -- Somebody else has written there. Nodes that have seen all before this go on; the others notice, and read again.
    call('DEL', TAIL, TAIL_SIZES)
    tailBytes = 0
    call('XADD', TAIL, int(pos) .. '-0', unpack(fields))
  end
  nonce = name
  local weight = size + #evictions + PIECE_WEIGHT
  call('RPUSH', TAIL_SIZES, weight)
  tailBytes = tailBytes + weight
end

-- Writes the witnesses of consecutive numbers.
local witnessed = function(first, text)
  local place = (first % RING) * WITNESS
  -- More of them than there are places at all would begin to overwrite themselves, which comes to the same.
  while #text > 0 do
    local room = RING * WITNESS - place
    call('SETRANGE', WITNESSES, place, string.sub(text, 1, room))
    text = string.sub(text, room + 1)
    place = 0
  end
end

-- Records that entries are lost. The loss takes a number of its own: every cursor below it is from before, and its reader learns
-- of a gap; so does every stream of every node, from the tail.
local lose = function()
  local own = string.sub(letters, 9)
  head, witness = head + 1, life .. own
  loss = head
  sweep = '0'
  witnessed(head, own)
  handOn(letters, { head = head, witness = witness }, '!', {}, 100)
end

-- Whether the log lacks what the caller has heard of it, and nobody has recorded that yet: what the caller has heard is not of a
-- log that was later than what is recorded last, for then it would still be here.
local seq, known, since = string.match(heard, '^(%d+) (%w+) (%d+)$')
local isRolledBack = function()
  if not seq then return false end
  since = tonumber(since)
  -- Another epoch has begun, unless an earlier one has come back, as from a backup.
  if string.sub(known, 1, 8) ~= life then return born < since end
  return born <= since and not isOfThisLog(tonumber(seq), string.sub(known, 9))
end

-- Which cursors are true, and what was evicted, is not known any more without these keys.
local isForgetful = function() return isMissing(5) or isMissing(6) or (head > 0 and call('EXISTS', WITNESSES) == 0) end

if isRolledBack() then
  born = math.max(now, since + 1)
  lose()
elseif isForgetful() then
  born = math.max(now, born + 1)
  lose()
end

-- Without its ages an entry would be kept for ever.
if present[1] > 0 and call('EXISTS', AGES) == 0 then
  call('RPUSH', AGES, int(now) .. ' 1 ' .. int(head) .. ' ' .. int(now))
  ages = AGE
end

local answer = function()
  local channels = call('ZCARD', SIZES.user) + call('ZCARD', SIZES.topic) + call('ZCARD', SIZES.everyone)
  return { life, head, witness, call('HLEN', EVENTS), total(), channels, pos, now, loss, born }
end
