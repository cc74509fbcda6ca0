-- What is done in passing with each call: dropping, the tail, and recording what was lost.

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
