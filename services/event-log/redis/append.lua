-- Appends batches, each of them atomically.
--
-- ARGV: 4 5 6 events kept for a user, a topic, everyone · 7 8 bytes kept for a channel, in total · 9 how long a key is stored
-- 10 bytes kept by all tails · 11 a random name for this call · 12 events kept in an inbox · 13 the batches, as JSON
-- 14… the texts of all their events
-- An event is { witness, 1 if transient, ttl or -1, '' or { scope, key, digest }, streams, channels, collapse key, condition, trace }.
-- A condition is absent, or false, or { 'retracts', number, witness } or { 'replaces', number }. A trace is absent, or numbers.

local COUNTS = { user = tonumber(ARGV[4]), topic = tonumber(ARGV[5]), everyone = tonumber(ARGV[6]), inbox = tonumber(ARGV[12]) }
local channelBytes, allBytes, window = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
-- Max. weight of all tails, and of the marks of emptied channels: shares of the whole bound.
local maxTail, maxMarks = math.min(tonumber(ARGV[10]), allBytes / 4), allBytes / 8
-- The share that each eviction source keeps: see retention.ts.
local SHARES = { { 'keys', 1 / 8 }, { 'topic', 1 / 4 }, { 'everyone', 1 / 16 }, { 'user', 1 / 4 },
  { 'inbox', 1 / 4 } }
-- Scopes of idempotency keys, by their number of keys, and by when their oldest key expires; max. keys of a scope; weights.
local SCOPES, SCOPE_EXPIRIES, MAX_KEYS = key('scopes'), key('scopelapses'), 100000
local KEY, SCOPE = 260, 500
local keysOf = function(scope) return key('i:' .. scope) end
local orderOf = function(scope) return key('o:' .. scope) end
-- Max. number of events of a tail entry: the arguments of a Redis call are limited. Larger batches take several entries.
local MAX_TAIL_EVENTS = 1000

expire(1000)
sweepSome()
clearSome()

local first = head + 1
local witnesses = {}

-- The entries for each tail, and their weight.
local entriesFor, coming = {}, 0
local everyNode, receivers, toAll = {}, {}, nil
for id in string.gmatch(nodes, '%w+') do everyNode[#everyNode + 1] = id end

-- The tails that get the events of a channel.
local receiversOf = function(channel)
  local found = receivers[channel]
  if found == nil then
    found = channel == 'everyone' and everyNode or withInterest(channel)
    receivers[channel] = found
  end
  return found
end

local dispatchTo = function(tail, id, value)
  local entries = entriesFor[tail]
  if not entries then
    entries = {}
    entriesFor[tail] = entries
  end
  local entry = entries[#entries]
  if not entry or #entry.fields >= 2 * MAX_TAIL_EVENTS then
    -- All events for this tail up to here are in the entries before.
    if entry then entry.head, entry.witness = head, witness end
    entry = { fields = {}, bytes = 0 }
    entries[#entries + 1] = entry
    coming = coming + TAIL_ENTRY
  end
  local fields = entry.fields
  fields[#fields + 1] = id
  fields[#fields + 1] = value
  entry.bytes = entry.bytes + #value + 32
  coming = coming + #value + 32
end

local dispatch = function(id, value, channels)
  if #everyNode == 0 then return end
  toAll = toAll or receiversOf('*')
  if #channels == 1 and #toAll == 0 then
    for _, tail in ipairs(receiversOf(channels[1])) do dispatchTo(tail, id, value) end
    return
  end
  local isServed = {}
  local serve = function(tails)
    for _, tail in ipairs(tails) do
      if not isServed[tail] then
        isServed[tail] = true
        dispatchTo(tail, id, value)
      end
    end
  end
  serve(toAll)
  for _, channel in ipairs(channels) do
    if kindOf(channel) ~= 'inbox' then serve(receiversOf(channel)) end
  end
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
        bytes = bytes - positionWeight(collapse)
        resize(channel, -oldWeight - positionWeight(collapse))
      else
        hole(channel, before, old)
      end
    end
    call('HSET', collapsedOf(channel), collapse, member)
  end
  call('ZADD', history, seq, member)
  bytes = bytes + positionWeight(collapse)
  local count = call('ZCARD', history)
  local own = weight + positionWeight(collapse)
  local size = resize(channel, own)
  if count == 1 and not isReplacing then
    if size > own then
      historyLost(channel, tonumber(seq) - 1)
      size = resize(channel, own - size)
    else
      openChannel(channel)
    end
  end
  local bound = COUNTS[kindOf(channel)]
  while count > bound or (size > channelBytes and count > 1) do
    size = size - evict(channel)
    count = count - 1
  end
end

-- Whether the log retains, or retained, the entry of a receipt: a key may have survived a rollback of its entry.
local isAppended = function(receipt)
  local seq, own = string.match(receipt, '^(%d+) (%w+)')
  seq = tonumber(seq)
  return seq == 0 or (seq >= first and seq <= head) or isOfThisLog(seq, own)
end

-- Returns receipt and digest of an idempotency key, if it is stored and has not expired.
local knownOf = function(idempotent)
  if idempotent == '' then return nil end
  local known = call('HGET', keysOf(idempotent[1]), idempotent[2]) or ''
  local expiry, receipt, digest = string.match(known, '^(%d+) (%d+ %w+ %d+) (.*)$')
  if expiry and tonumber(expiry) > now and isAppended(receipt) then return receipt, digest end
end

-- Deletes the oldest key of a scope. A key that expired and was used again has a later expiry.
local forgetKey = function(scope)
  local expiry, oldest = string.match(call('LPOP', orderOf(scope)) or '', '^(%d+) (.*)$')
  if not expiry then
    call('ZREM', SCOPES, scope)
    call('ZREM', SCOPE_EXPIRIES, scope)
    return
  end
  local known = call('HGET', keysOf(scope), oldest)
  if known and string.match(known, '^%d+') == expiry then call('HDEL', keysOf(scope), oldest) end
  retained.keys = retained.keys - KEY
  local next = call('LINDEX', orderOf(scope), 0)
  if next then
    call('ZINCRBY', SCOPES, -1, scope)
    call('ZADD', SCOPE_EXPIRIES, string.match(next, '^%d+'), scope)
  else
    call('ZREM', SCOPES, scope)
    call('ZREM', SCOPE_EXPIRIES, scope)
    retained.keys = retained.keys - SCOPE
  end
end

local remember = function(idempotent, receipt)
  local scope, name, digest = unpack(idempotent)
  local expiry = int(now + window)
  call('HSET', keysOf(scope), name, expiry .. ' ' .. receipt .. ' ' .. digest)
  local count = call('RPUSH', orderOf(scope), expiry .. ' ' .. name)
  retained.keys = retained.keys + KEY
  call('ZADD', SCOPES, count, scope)
  if count == 1 then
    retained.keys = retained.keys + SCOPE
    call('ZADD', SCOPE_EXPIRIES, expiry, scope)
  end
  if count > MAX_KEYS then forgetKey(scope) end
end

-- Whether a batch reuses a key with other content. Such a batch is rejected before any of its events is appended.
local isRejected = function(batch)
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
local texts, count = 13, 0

-- Removes the event that another one retracts from some of its channels, or all. Returns those that are no inbox; nothing if the
-- event cannot be retracted.
local retract = function(seq, own, required)
  local value = tonumber(seq) <= head and string.sub(own, 1, 8) == epoch and call('HGET', EVENTS, seq)
  if not value or string.match(value, '^%w+') ~= string.sub(own, 9) then return nil end
  local quotedChannels, collapse, exp = parse(value)
  if not quotedChannels or (exp >= 0 and exp <= now) then return nil end
  if string.find(value, '^[^\n]*\n[^\n]*\n[^\n]*\n."hub%.') then return nil end
  local all = cjson.decode(quotedChannels)
  local member = memberOf(seq, collapse, #all > 1, exp)
  local isRestricted = #required > 0
  local found, filed = {}, {}
  for _, channel in ipairs(isRestricted and required or all) do
    local isInbox = kindOf(channel) == 'inbox'
    if isFiledUnder(quotedChannels, channel) and call('ZSCORE', historyOf(channel), member) then found[#found + 1] = channel
    elseif isInbox and isRestricted then return nil end
    if not isInbox then filed[#filed + 1] = channel end
  end
  if #found == 0 or #filed == 0 then return nil end
  local weight = weightOf(#value, member)
  for _, channel in ipairs(found) do
    call('ZREM', historyOf(channel), member)
    if collapse ~= '' then uncollapse(channel, collapse, member) end
    release(member, seq, weight)
    subtract(channel, weight, positionWeight(collapse))
  end
  return filed
end

-- Whether each inbox among the channels retains this number as the one of a collapse key, or none if it is 0.
local isNewest = function(seq, channels, collapse)
  for _, channel in ipairs(channels) do
    if kindOf(channel) == 'inbox' then
      local member = call('HGET', collapsedOf(channel), collapse)
      local isRetained = member and call('ZSCORE', historyOf(channel), member)
      if tonumber(isRetained and string.match(member, '^%d+') or 0) ~= seq then return false end
    end
  end
  return true
end

-- Channels as JSON, as JavaScript writes them.
local textOf = function(channels)
  local texts = {}
  for index, channel in ipairs(channels) do texts[index] = '"' .. string.gsub(channel, '["\\]', '\\%0') .. '"' end
  return '[' .. table.concat(texts, ',') .. ']'
end

local append = function(event)
  local own, isTransient, ttl, idempotent, streams, channels, collapse, condition, trace = unpack(event)
  local text, retracted = ARGV[texts], ''
  if condition and condition[1] == 'retracts' then
    channels = retract(int(condition[2]), condition[3], channels)
    if not channels then return '-' end
    retracted = ' ' .. int(condition[2])
    text = textOf(channels) .. string.sub(text, string.find(text, '\n', 1, true), -1)
  elseif condition and not isNewest(condition[2], channels, collapse) then
    return '-'
  end
  local known = knownOf(idempotent)
  if known then return known end
  local seq = 0
  local exp = ttl >= 0 and now + ttl or -1
  if trace then retracted = (retracted == '' and ' 0' or retracted) .. ' ' .. trace end
  local value = own .. ' ' .. int(now) .. ' ' .. int(exp) .. retracted .. '\n' .. text
  if isTransient == 1 then
    dispatch('-', value, channels)
  else
    seq = head + 1
    local name = int(seq)
    dispatch(name, value, channels)
    head, witness = seq, epoch .. own
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

for _, batch in ipairs(cjson.decode(ARGV[13])) do
  local rejected = isRejected(batch)
  for _, event in ipairs(batch) do
    texts = texts + 1
    count = count + 1
    receipts[#receipts + 1] = rejected and '!' or append(event)
  end
end

-- Trims the tails for the coming events, before eviction takes from other sources.
if coming > 0 then trimTails(maxTail - coming, 0) end

while marks > maxMarks and call('EXISTS', EMPTIED) == 1 do forgetMarks(100) end

-- Brings the whole log under its bound: evicts from the first source above its share, and of that the heaviest channel or scope.
local evictionSource = function()
  local shared = allBytes - bookkeeping() - coming
  for _, each in ipairs(SHARES) do
    if retained[each[1]] > each[2] * shared and retained[each[1]] > 0 then return each[1] end
  end
end
local max = 10000 + 4 * count
while max > 0 and total() + coming > allBytes do
  local kind = evictionSource()
  if not kind then break end
  local heaviest = call('ZREVRANGE', kind == 'keys' and SCOPES or SIZES[kind], 0, 0)[1]
  -- Bytes that remain counted without a channel or scope come from a damaged store.
  if not heaviest then retained[kind] = 0
  elseif kind == 'keys' then forgetKey(heaviest)
  else evict(heaviest) end
  max = max - 1
end

if head >= first then
  noteAge(first, head)
  writeWitnesses(first, table.concat(witnesses))
end

-- The evictions of each channel, for the nodes that keep its recent events. The last entry of a tail has them, because by then the node
-- knows all that the call has appended.
local evictionsFor = {}
for channel, seq in pairs(evictions) do
  local note = function(tails)
    for _, tail in ipairs(tails) do
      evictionsFor[tail] = evictionsFor[tail] or {}
      evictionsFor[tail][channel] = seq
      entriesFor[tail] = entriesFor[tail] or { { fields = {}, bytes = 0 } }
    end
  end
  note(receiversOf(channel))
  note(receiversOf('*'))
end

for _, tail in ipairs(everyNode) do
  local entries = entriesFor[tail] or {}
  for index, each in ipairs(entries) do
    local evicted = index == #entries and evictionsFor[tail] and cjson.encode(evictionsFor[tail]) or ''
    addToTail(tail, ARGV[11] .. index, each.head or head, each.witness or witness, evicted, each.fields, each.bytes)
  end
end
if coming > 0 then trimTails(maxTail, 1) end
sweepInterests()

for _ = 1, retained.keys > 0 and 100 + 2 * count or 0 do
  local scope = call('ZRANGEBYSCORE', SCOPE_EXPIRIES, '-inf', now, 'LIMIT', 0, 1)[1]
  if not scope then break end
  forgetKey(scope)
end

save()
local answers = answer()
for _, receipt in ipairs(receipts) do answers[#answers + 1] = receipt end
return answers
