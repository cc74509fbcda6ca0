-- Entries, their positions in channels, and evictions. The second part of every script.

-- An entry's text: witness, time, expiry, the number of the entry that it retracts or 0, and its trace, if any; its channels as JSON; its collapse key as JSON, or empty; the rest.
local parse = function(value)
  local time, exp, at = string.match(value, '^%w+ (%d+) (%-?%d+)[ %d]*\n()')
  if not exp then return nil end
  local channels, collapse = string.match(value, '^([^\n]*)\n([^\n]*)\n', at)
  return channels, collapse, tonumber(exp), tonumber(time)
end

-- A member of a history is the number and flags of the rows to delete with it: k collapse key, m several channels, t expiry.
local memberOf = function(seq, collapse, hasSeveral, exp)
  return seq .. (collapse ~= '' and 'k' or '') .. (hasSeveral and 'm' or '') .. (exp >= 0 and 't' or '')
end

-- Whether the channels of an entry, as JSON, include this one. Within a name, no quote directly follows a bracket or a comma.
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

-- Weight of an entry, and of its position in each channel.
local weightOf = function(length, member)
  return math.ceil(length * TEXT) + ENTRY + (string.find(member, 'm', 1, true) and SHARED or 0) +
    (string.find(member, 't', 1, true) and EXPIRING or 0)
end
local positionWeight = function(collapse)
  return POSITION + (collapse ~= '' and COLLAPSED + math.ceil(#collapse * TEXT) or 0)
end
local channelWeight = function(channel) return CHANNEL + NAMES * #channel end
local markWeight = function(channel) return MARK + math.ceil(#channel * TEXT) end

-- Changes the weight of a channel, and returns the new one.
local resize = function(channel, weight)
  local kind = kindOf(channel)
  retained[kind] = retained[kind] + weight
  return tonumber(call('ZINCRBY', SIZES[kind], weight, channel))
end

-- Weight of the bookkeeping, which eviction cannot reduce; weight of the whole log.
local bookkeeping = function() return tailBytes + interest + marks + ages + math.min(head, RING) * WITNESS end
local total = function() return bytes + retained.keys + bookkeeping() end

-- Returns the number of a channel's member, and weight and collapse key of its entry. An index alone proves nothing: if the entry
-- is missing, or is not the one that was filed, the weight is nil, and the member is a hole.
local entryOf = function(channel, member)
  local seq = string.match(member, '^%d+')
  local value = call('HGET', EVENTS, seq)
  if not value then return seq end
  local channels, collapse, exp = parse(value)
  if not channels or not isFiledUnder(channels, channel) then return seq end
  if memberOf(seq, collapse, string.find(channels, '","', 1, true), exp) ~= member then return seq end
  return seq, weightOf(#value, member), collapse
end

-- The witness of a number from the ring of witnesses, else from the entry itself; nil if neither has it.
local witnessOf = function(seq)
  if seq == head then return string.sub(witness, 9) end
  if seq > 0 and seq < head and seq > head - RING then
    local own = call('GETRANGE', WITNESSES, (seq % RING) * WITNESS, (seq % RING) * WITNESS + WITNESS - 1)
    if string.find(own, '^%w+$') then return own end
  end
  return string.match(call('HGET', EVENTS, int(seq)) or '', '^%w+')
end

-- Whether a number with this witness belongs to this log, as far as is known.
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
    evictions[channel] = seq
    hasEvictions = true
  end
end

-- Adds a channel that has entries again; the number of its mark becomes its own.
local openChannel = function(channel)
  local kind, weight = kindOf(channel), channelWeight(channel)
  bytes = bytes + weight
  retained[kind] = retained[kind] + weight
  local evicted = tonumber(call('ZSCORE', EMPTIED, channel) or forgotten)
  if evicted > 0 then call('HSET', EVICTED, channel, int(evicted)) end
  if call('ZREM', EMPTIED, channel) == 1 then marks = marks - markWeight(channel) end
end

-- Replaces the marks with the lowest numbers by one number for all of them.
local forgetMarks = function(count)
  local popped = call('ZPOPMIN', EMPTIED, count)
  for index = 1, #popped, 2 do
    marks = marks - markWeight(popped[index])
    forgotten = math.max(forgotten, tonumber(popped[index + 1]))
  end
end

local closeChannel = function(channel)
  local kind, weight = kindOf(channel), channelWeight(channel)
  bytes = bytes - weight
  retained[kind] = retained[kind] - weight - tonumber(call('ZSCORE', SIZES[kind], channel) or 0)
  local evicted = call('HGET', EVICTED, channel)
  call('ZREM', SIZES[kind], channel)
  call('HDEL', EVICTED, channel)
  call('DEL', collapsedOf(channel))
  if not evicted or tonumber(evicted) <= forgotten then return end
  if call('ZADD', EMPTIED, evicted, channel) == 1 then marks = marks + markWeight(channel) end
  if call('ZCARD', EMPTIED) > MAX_EMPTIED then forgetMarks(1000) end
end

-- Subtracts an entry and its position from the weight of a channel.
local subtract = function(channel, weight, position)
  bytes = bytes - position
  resize(channel, -weight - position)
  if call('EXISTS', historyOf(channel)) == 0 then closeChannel(channel) end
end

-- Counts the channels that have a position of an entry.
local countPositions = function(value, member)
  local channels = parse(value or '')
  if not channels then return 0 end
  local count = 0
  for _, channel in ipairs(cjson.decode(channels)) do
    if call('ZSCORE', historyOf(channel), member) then count = count + 1 end
  end
  return count
end

-- Call it when the history of a channel with entries is missing: all entries up to a number may be lost from it.
local historyLost = function(channel, seq)
  noteEvicted(channel, seq)
  if sweep == '' then sweep = '0' end
end

-- Releases an entry for one channel; the last one deletes it.
local release = function(member, seq, weight)
  if string.find(member, 'm', 1, true) then
    local left = call('HINCRBY', HELD, seq, -1)
    if left < 0 then
      left = countPositions(call('HGET', EVENTS, seq), member)
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

-- Call it when a member without its entry was removed from a history: readers get a gap there. The weight of the entry is
-- unknown, so the average weight of the channel's entries is subtracted.
local hole = function(channel, member, seq)
  noteEvicted(channel, tonumber(seq))
  local size = tonumber(call('ZSCORE', SIZES[kindOf(channel)], channel) or 0)
  local weight = math.floor(size / (call('ZCARD', historyOf(channel)) + 1))
  local isOnlyPosition = call('HEXISTS', EVENTS, seq) == 0 and not string.find(member, 'm', 1, true)
  bytes = math.max(0, bytes - (isOnlyPosition and weight or POSITION))
  subtract(channel, weight, 0)
end

-- Evicts the oldest entry of a channel. Returns its weight.
local evict = function(channel)
  local member = call('ZPOPMIN', historyOf(channel))[1]
  if not member then
    historyLost(channel, head)
    closeChannel(channel)
    return 0
  end
  local seq, weight, collapse = entryOf(channel, member)
  if not weight then
    hole(channel, member, seq)
    return 0
  end
  if collapse ~= '' then uncollapse(channel, collapse, member) end
  noteEvicted(channel, tonumber(seq))
  evictedNow = evictedNow + 1
  release(member, seq, weight)
  subtract(channel, weight, positionWeight(collapse))
  return weight + positionWeight(collapse)
end

local forget = function(seq, weight)
  call('HDEL', EVENTS, seq)
  call('HDEL', HELD, seq)
  call('ZREM', TTL, seq)
  bytes = bytes - weight
end

-- Removes an entry from its channels: it is too old for all but inboxes, which is a gap, or has expired, which is not.
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
    -- The index has another expiry than the entry.
    call('ZREM', TTL, seq)
    if exp >= 0 then call('ZADD', TTL, exp, seq) end
    return
  end
  channels = cjson.decode(channels)
  local member = memberOf(seq, collapse, #channels > 1, exp)
  local weight = weightOf(#value, member)
  local positions = #channels > 1 and tonumber(call('HGET', HELD, seq) or 0) or 1
  local hasInbox, isKept = false, false
  for _, channel in ipairs(channels) do hasInbox = hasInbox or kindOf(channel) == 'inbox' end
  -- An age that passed before the expiry of an inbox is a gap in the other channels.
  local isAged = isGap or (hasInbox and exp - time > maxAge)
  for _, channel in ipairs(channels) do
    local isInbox = kindOf(channel) == 'inbox'
    if isGap and isInbox then
      isKept = isKept or call('ZSCORE', historyOf(channel), member)
    elseif call('ZREM', historyOf(channel), member) == 1 then
      if collapse ~= '' then uncollapse(channel, collapse, member) end
      if isAged and not isInbox then
        noteEvicted(channel, tonumber(seq))
        evictedNow = evictedNow + 1
      else
        expiredNow = expiredNow + 1
      end
      subtract(channel, weight, positionWeight(collapse))
      positions = positions - 1
    elseif call('EXISTS', historyOf(channel)) == 0 and call('ZSCORE', SIZES[kindOf(channel)], channel) then
      historyLost(channel, head)
      closeChannel(channel)
    end
  end
  if isKept then
    if #channels > 1 then call('HSET', HELD, seq, math.max(1, positions)) end
    return
  end
  forget(seq, weight + math.max(0, positions) * positionWeight(collapse))
end
