-- Appends batches, each of them as a whole or not at all.
--
-- ARGV: 4 5 6 events kept of a user, a topic, everyone · 7 8 bytes kept of a channel, in all · 9 how long a key is remembered
-- 10 bytes that the tail keeps · 11 a random name for this call · 12 the batches, as JSON · 13… the texts of all their events
-- An event is { witness, 1 if transient, ttl or -1, '' or { scope, key, digest }, streams, channels, collapse key }.

local users, topics, broadcasts = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local channelBytes, allBytes, window = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
-- The tail has a part of the whole bound at most, and so have the marks of channels that hold nothing.
local tailMost, marksMost = math.min(tonumber(ARGV[10]), allBytes / 4), allBytes / 8
-- What each giver keeps, whatever the others hold: see retention.ts.
local SHARES = { { 'keys', 1 / 8 }, { 'topic', 1 / 4 }, { 'everyone', 1 / 16 }, { 'user', 1 / 2 } }
-- The scopes of idempotency keys: how many keys each has, and when its oldest lapses. What a key and a scope weigh.
local SCOPES, SCOPE_LAPSES, SCOPE_MOST = key('scopes'), key('scopelapses'), 100000
local KEY, SCOPE = 260, 500
local keysOf = function(scope) return key('i:' .. scope) end
local orderOf = function(scope) return key('o:' .. scope) end
-- A batch is handed to the tails in pieces: a script may call with so many arguments.
local PIECE = 1000

expire(1000)
sweepSome()
clearSome()

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
        bytes = bytes - positionOf(collapse)
        resize(channel, -oldWeight - positionOf(collapse))
      else
        hole(channel, before, old)
      end
    end
    call('HSET', collapsedOf(channel), collapse, member)
  end
  call('ZADD', history, seq, member)
  bytes = bytes + positionOf(collapse)
  local count = call('ZCARD', history)
  local own = weight + positionOf(collapse)
  local size = resize(channel, own)
  if count == 1 and not isReplacing then
    if size > own then
      historyLost(channel, tonumber(seq) - 1)
      size = resize(channel, own - size)
    else
      opened(channel)
    end
  end
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

-- What is known of an idempotency key, if it is: until when, the receipt, and the digest.
local knownOf = function(idempotent)
  if idempotent == '' then return nil end
  local known = call('HGET', keysOf(idempotent[1]), idempotent[2]) or ''
  local lapses, receipt, digest = string.match(known, '^(%d+) (%d+ %w+ %d+) (.*)$')
  if lapses and tonumber(lapses) > now and isTrue(receipt) then return receipt, digest end
end

-- The oldest key of a scope goes. One that lapsed and was used again has a later end.
local forgetKey = function(scope)
  local lapses, oldest = string.match(call('LPOP', orderOf(scope)) or '', '^(%d+) (.*)$')
  if not lapses then
    call('ZREM', SCOPES, scope)
    call('ZREM', SCOPE_LAPSES, scope)
    return
  end
  local known = call('HGET', keysOf(scope), oldest)
  if known and string.match(known, '^%d+') == lapses then call('HDEL', keysOf(scope), oldest) end
  held.keys = held.keys - KEY
  local next = call('LINDEX', orderOf(scope), 0)
  if next then
    call('ZINCRBY', SCOPES, -1, scope)
    call('ZADD', SCOPE_LAPSES, string.match(next, '^%d+'), scope)
  else
    call('ZREM', SCOPES, scope)
    call('ZREM', SCOPE_LAPSES, scope)
    held.keys = held.keys - SCOPE
  end
end

local remember = function(idempotent, receipt)
  local scope, name, digest = unpack(idempotent)
  local lapses = int(now + window)
  call('HSET', keysOf(scope), name, lapses .. ' ' .. receipt .. ' ' .. digest)
  local count = call('RPUSH', orderOf(scope), lapses .. ' ' .. name)
  held.keys = held.keys + KEY
  call('ZADD', SCOPES, count, scope)
  if count == 1 then
    held.keys = held.keys + SCOPE
    call('ZADD', SCOPE_LAPSES, lapses, scope)
  end
  if count > SCOPE_MOST then forgetKey(scope) end
end

-- A batch in which a key comes with other content than before is refused, before anything of it is appended.
local isRefused = function(batch)
  local seen = {}
  for _, event in ipairs(batch) do
    local idempotent = event[4]
    if idempotent ~= '' then
      local scope, name, digest = unpack(idempotent)
      local id = #scope .. ' ' .. scope .. name
      local _, known = knownOf(idempotent)
      known = seen[id] or known
      if known and known ~= digest then return true end
      seen[id] = digest
    end
  end
  return false
end

local receipts = {}
local texts, count = 12, 0

local append = function(event)
  local own, isTransient, ttl, idempotent, streams, channels, collapse = unpack(event)
  local known = knownOf(idempotent)
  if known then return known end
  local seq = 0
  local exp = ttl >= 0 and now + ttl or -1
  local value = own .. ' ' .. int(now) .. ' ' .. int(exp) .. '\n' .. ARGV[texts]
  if isTransient == 1 then
    hand('-', value)
  else
    seq = head + 1
    local name = int(seq)
    hand(name, value)
    head, witness = seq, life .. own
    witnesses[#witnesses + 1] = own
    local member = memberOf(name, collapse, #channels > 1, exp)
    local weight = weightOf(#value, member)
    call('HSET', EVENTS, name, value)
    bytes = bytes + weight
    if #channels > 1 then call('HSET', HELD, name, #channels) end
    if exp >= 0 then call('ZADD', TTL, exp, name) end
    for _, channel in ipairs(channels) do file(channel, name, member, weight, collapse) end
  end
  if idempotent ~= '' then remember(idempotent, int(seq) .. ' ' .. own .. ' ' .. int(streams)) end
  return seq
end

for _, batch in ipairs(cjson.decode(ARGV[12])) do
  local refused = isRefused(batch)
  for _, event in ipairs(batch) do
    texts = texts + 1
    count = count + 1
    receipts[#receipts + 1] = refused and '!' or append(event)
  end
end

-- What each entry of the tail weighs is known of all of them or of none.
if call('LLEN', TAIL_SIZES) ~= call('XLEN', TAIL) then
  call('DEL', TAIL, TAIL_SIZES)
  tailBytes = 0
end

-- The tail makes room for what comes, before it is known what else has to give.
local trimTail = function(coming, least)
  if tailBytes + coming <= tailMost then return end
  local left = call('LLEN', TAIL_SIZES)
  if left <= least then return end
  while tailBytes + coming > tailMost and left > least do
    tailBytes = tailBytes - tonumber(call('LPOP', TAIL_SIZES))
    left = left - 1
  end
  call('XTRIM', TAIL, 'MAXLEN', left)
end
local coming = 0
for _, each in ipairs(pieces) do coming = coming + each.bytes + PIECE_WEIGHT end
if coming > 0 then trimTail(coming, 0) end

while marks > marksMost and call('EXISTS', EMPTIED) == 1 do forgetMarks(100) end

-- The whole log under its bound: what holds more than its share gives, and of that the heaviest channel or scope.
local giver = function()
  local shared = allBytes - kept() - coming
  for _, each in ipairs(SHARES) do
    if held[each[1]] > each[2] * shared and held[each[1]] > 0 then return each[1] end
  end
end
local most = 10000 + 4 * count
while most > 0 and total() + coming > allBytes do
  local kind = giver()
  if not kind then break end
  local heaviest = call('ZREVRANGE', kind == 'keys' and SCOPES or SIZES[kind], 0, 0)[1]
  -- What is left of a count when nothing is held comes of a store that was damaged.
  if not heaviest then held[kind] = 0
  elseif kind == 'keys' then forgetKey(heaviest)
  else evict(heaviest) end
  most = most - 1
end

if head >= first then
  noteAge(first, head)
  witnessed(first, table.concat(witnesses))
end

for index, each in ipairs(pieces) do
  local name = ARGV[11] .. index
  local evictions = ''
  -- The last piece says what the call has evicted: then all that it has appended is known.
  if index == #pieces and isLost then evictions = cjson.encode(lost) end
  handOn(name, each, evictions, each.fields, each.bytes)
end
if #pieces > 0 then trimTail(0, 1) end

for _ = 1, held.keys > 0 and 100 + 2 * count or 0 do
  local scope = call('ZRANGEBYSCORE', SCOPE_LAPSES, '-inf', now, 'LIMIT', 0, 1)[1]
  if not scope then break end
  forgetKey(scope)
end

save()
local answers = answer()
for _, receipt in ipairs(receipts) do answers[#answers + 1] = receipt end
return answers
