-- Maintenance in small steps with each call, and recorded losses. The fourth part of every script.

-- Continues the search for entries without positions, and deletes them.
local sweepSome = function()
  if sweep == '' then return end
  local page = call('HSCAN', EVENTS, sweep, 'COUNT', 100)
  sweep = page[1] == '0' and '' or page[1]
  for index = 1, #page[2], 2 do
    local seq, value = page[2][index], page[2][index + 1]
    local channels, collapse, exp = parse(value)
    local member = channels and memberOf(seq, collapse, string.find(channels, '","', 1, true), exp)
    local several = member and string.find(member, 'm', 1, true)
    local count = member and tonumber(seq) <= head and countPositions(value, member) or 0
    local positions = several and tonumber(call('HGET', HELD, seq) or count) or 1
    local position = member and positionWeight(collapse) or 0
    if count == 0 then
      forget(seq, weightOf(#value, member or '') + positions * position)
    else
      if several then
        bytes = bytes - (positions - count) * position
        call('HSET', HELD, seq, count)
      end
      if exp >= 0 then call('ZADD', TTL, 'NX', exp, seq) end
    end
  end
end

-- Continues deleting the keys of a former epoch.
local clearSome = function()
  local epoch = string.match(former, '^%w+')
  if not epoch then return end
  local base = BASE .. epoch .. ':'
  local clear = function(channel) call('UNLINK', base .. 'c:' .. channel, base .. 'k:' .. channel) end
  for _, kind in ipairs({ 'user', 'topic', 'everyone', 'inbox' }) do
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
  for _, id in ipairs(call('HKEYS', base .. 'tails')) do call('UNLINK', base .. 'tail:' .. id) end
  for _, name in ipairs({ 'held', 'ttl', 'ages', 'evicted', 'emptied', 'witnesses', 'tails', 'interest', 'scopelapses' }) do
    call('UNLINK', base .. name)
  end
  former = string.gsub(former, '^%w+ ', '')
end

-- Drops expired entries, and then old ones range by range, up to a number of them; the next call continues.
local expire = function(max)
  for _, seq in ipairs(call('ZRANGEBYSCORE', TTL, '-inf', now, 'LIMIT', 0, max)) do drop(seq, false) end
  local horizon = now - maxAge
  while max > 0 do
    local newest, first, last, start = string.match(call('LINDEX', AGES, 0) or '', '^(%d+) (%d+) (%d+) (%d+)$')
    if not newest or tonumber(newest) > horizon then return end
    call('LPOP', AGES)
    local stop = math.min(tonumber(last), tonumber(first) + max - 1)
    for seq = tonumber(first), stop do drop(int(seq), true, horizon) end
    if stop < tonumber(last) then call('LPUSH', AGES, newest .. ' ' .. int(stop + 1) .. ' ' .. last .. ' ' .. start)
    else ages = ages - AGE end
    max = max - (stop - tonumber(first) + 1)
  end
end

-- Records when these numbers were appended, in the last range of ages if that is recent.
local noteAge = function(first, last)
  local newest, from, to, start = string.match(call('LINDEX', AGES, -1) or '', '^(%d+) (%d+) (%d+) (%d+)$')
  local isNear = newest and tonumber(to) == first - 1 and last - tonumber(from) < AGE_NUMBERS and
    now - tonumber(start) <= maxAge * AGE_PART
  if isNear then
    call('LSET', AGES, -1, int(math.max(now, tonumber(newest))) .. ' ' .. from .. ' ' .. int(last) .. ' ' .. start)
    return
  end
  call('RPUSH', AGES, int(now) .. ' ' .. int(first) .. ' ' .. int(last) .. ' ' .. int(now))
  ages = ages + AGE
end

-- Writes the witnesses of consecutive numbers into the ring.
local writeWitnesses = function(first, text)
  local position = (first % RING) * WITNESS
  -- Witnesses beyond the size of the ring overwrite the first ones, as they would one by one.
  while #text > 0 do
    local room = RING * WITNESS - position
    call('SETRANGE', WITNESSES, position, string.sub(text, 1, room))
    text = string.sub(text, room + 1)
    position = 0
  end
end

-- Records a loss of entries. The loss takes a number of its own: every cursor below it precedes the loss, and its reader gets a
-- gap; every open stream gets one from the tail.
local recordLoss = function()
  local own = string.sub(letters, 9)
  head, witness = head + 1, epoch .. own
  loss = head
  sweep = '0'
  writeWitnesses(head, own)
  for id in string.gmatch(nodes, '%w+') do addToTail(id, letters, head, witness, '!', {}, 100) end
end

-- Whether the log lacks the newest entry that the caller knows, and this loss is not recorded yet: a loss that was recorded after
-- the caller's reply, or an epoch that began after it, already covers the entry.
local seq, known, since = string.match(callerHead, '^(%d+) (%w+) (%d+)$')
local isRolledBack = function()
  if not seq then return false end
  since = tonumber(since)
  -- A new epoch has begun, unless an earlier one was restored, as from a backup.
  if string.sub(known, 1, 8) ~= epoch then return born < since end
  return born <= since and not isOfThisLog(tonumber(seq), string.sub(known, 9))
end

-- Without these keys neither cursors nor evictions can be verified.
local hasLostKeys = function() return isMissing(5) or isMissing(6) or (head > 0 and call('EXISTS', WITNESSES) == 0) end

if isRolledBack() then
  born = math.max(now, since + 1)
  recordLoss()
elseif hasLostKeys() then
  born = math.max(now, born + 1)
  recordLoss()
end

-- Without all tails and interests, events would not reach their nodes: then every node begins a new tail.
if isMissing(8) or isMissing(9) then dropTails() end

-- Without ranges of ages the entries would never be dropped.
if present[1] > 0 and call('EXISTS', AGES) == 0 then
  call('RPUSH', AGES, int(now) .. ' 1 ' .. int(head) .. ' ' .. int(now))
  ages = AGE
end

-- The state of the log and of the caller's tail.
local answer = function()
  local own = tailWith(callerTail)
  local pos, nonce, registered = own and own.pos or 0, own and own.nonce or '', own and own.registered or ''
  local inboxes = call('ZCARD', SIZES.inbox)
  local channels = call('ZCARD', SIZES.user) + call('ZCARD', SIZES.topic) + call('ZCARD', SIZES.everyone) + inboxes
  return { epoch, head, witness, call('HLEN', EVENTS), total(), channels, pos, now, loss, born, inboxes,
    evictedNow, expiredNow, nonce, registered }
end
