-- Appends a batch: all of it.
--
-- ARGV: 4 5 6 events kept of a user, a topic, everyone · 7 8 bytes kept of a channel, in all · 9 how long a key is remembered
-- 10 bytes that the tail keeps · 11 a random name for this call · 12 what the events are, as JSON · 13… their texts
-- An event is { witness, 1 if transient, ttl or -1, 'k' and idempotency key or '', streams, channels, collapse key }.

local users, topics, broadcasts = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local channelBytes, allBytes, window, tailMost = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local IDEMPOTENT, IDEMPOTENT_ORDER, IDEMPOTENT_MOST = key('keys'), key('keyorder'), 1000000
-- A batch is handed to the tails in pieces: a script may call with so many arguments.
local PIECE = 1000

expire(1000)

local first = head + 1
local witnesses = {}
local pieces, piece = {}, nil

local hand = function(id, value)
  if not piece or #piece.fields >= 2 * PIECE then
    piece = { head = head, witness = witness, fields = {}, bytes = 0 }
    pieces[#pieces + 1] = piece
  end
  local fields = piece.fields
  fields[#fields + 1] = id
  fields[#fields + 1] = value
  piece.bytes = piece.bytes + #value + 32
end

local file = function(channel, seq, member, weight, collapse)
  local history = historyOf(channel)
  local isReplacing = false
  if collapse ~= '' then
    local before = call('HGET', collapsedOf(channel), collapse)
    if before and call('ZREM', history, before) == 1 then
      local old, oldWeight, oldCollapse = entryOf(channel, before)
      if oldWeight and oldCollapse == collapse then
        isReplacing = true
        release(before, old, oldWeight)
        call('ZINCRBY', SIZES, -oldWeight, channel)
      else
        hole(channel, before, old)
      end
    end
    call('HSET', collapsedOf(channel), collapse, member)
  end
  call('ZADD', history, seq, member)
  local count = call('ZCARD', history)
  local size = tonumber(call('ZINCRBY', SIZES, weight, channel))
  if count == 1 and not isReplacing then opened(channel) end
  local bound = channel == 'everyone' and broadcasts or string.sub(channel, 1, 2) == 'u:' and users or topics
  while count > bound or (size > channelBytes and count > 1) do
    size = size - evict(channel)
    count = count - 1
  end
end

-- Whether the log holds, or held, what a receipt says: a key may have survived the call that it came with.
local isTrue = function(receipt)
  local seq, own = string.match(receipt, '^(%d+) (%w+)')
  seq = tonumber(seq)
  return seq == 0 or (seq >= first and seq <= head) or isOfThisLog(seq, own)
end

local receipts = answer()
local events = cjson.decode(ARGV[12])
for index, event in ipairs(events) do
  local own, isTransient, ttl, idempotent, streams, channels, collapse = unpack(event)
  local known
  if idempotent ~= '' then
    local lapses, receipt = string.match(call('HGET', IDEMPOTENT, idempotent) or '', '^(%d+) (.*)$')
    if lapses and tonumber(lapses) > now and isTrue(receipt) then known = receipt end
  end
  local seq = 0
  if not known then
    local exp = ttl >= 0 and now + ttl or -1
    local value = own .. ' ' .. int(now) .. ' ' .. int(exp) .. '\n' .. ARGV[12 + index]
    if isTransient == 1 then
      hand('-', value)
    else
      seq = head + 1
      local name = int(seq)
      hand(name, value)
      head, witness = seq, life .. own
      witnesses[#witnesses + 1] = own
      local weight = weightOf(#value)
      local member = memberOf(name, collapse, #channels > 1, exp)
      call('HSET', EVENTS, name, value)
      bytes = bytes + weight
      if #channels > 1 then call('HSET', HELD, name, #channels) end
      if exp >= 0 then call('ZADD', TTL, exp, name) end
      for _, channel in ipairs(channels) do file(channel, name, member, weight, collapse) end
    end
    if idempotent ~= '' then
      call('HSET', IDEMPOTENT, idempotent, int(now + window) .. ' ' .. int(seq) .. ' ' .. own .. ' ' .. int(streams))
      call('RPUSH', IDEMPOTENT_ORDER, idempotent)
    end
  end
  receipts[#receipts + 1] = known or seq
end

-- The whole log under its bound: the heaviest channel gives.
local most = 10000 + 4 * #events
while bytes > allBytes and most > 0 do
  local heaviest = call('ZREVRANGE', SIZES, 0, 0)[1]
  if not heaviest then break end
  evict(heaviest)
  most = most - 1
end

if head >= first then
  call('RPUSH', AGES, int(now) .. ' ' .. int(first) .. ' ' .. int(head))
  witnessed(first, table.concat(witnesses))
end

for index, each in ipairs(pieces) do
  local name = ARGV[11] .. index
  local evictions = ''
  -- The last piece says what the call has evicted: then all that it has appended is known.
  if index == #pieces and isLost then evictions = cjson.encode(lost) end
  handOn(name, each, evictions, each.fields, each.bytes)
end
if #pieces > 0 and tailBytes > tailMost then
  local left = call('LLEN', TAIL_SIZES)
  while tailBytes > tailMost and left > 1 do
    tailBytes = tailBytes - tonumber(call('LPOP', TAIL_SIZES))
    left = left - 1
  end
  call('XTRIM', TAIL, 'MAXLEN', left)
end

-- Keys lapse in the order in which they came.
for _ = 1, 100 + 2 * #events do
  local oldest = call('LINDEX', IDEMPOTENT_ORDER, 0)
  if not oldest then break end
  local lapses = string.match(call('HGET', IDEMPOTENT, oldest) or '', '^%d+')
  if lapses and tonumber(lapses) > now and call('HLEN', IDEMPOTENT) <= IDEMPOTENT_MOST then break end
  call('LPOP', IDEMPOTENT_ORDER)
  if lapses then call('HDEL', IDEMPOTENT, oldest) end
end

save()
local final = answer()
for index = 1, #final do receipts[index] = final[index] end
return receipts
