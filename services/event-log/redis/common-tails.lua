-- The tails of the nodes, and their interests. The third part of every script.
--
-- Each node has a tail: its entries are numbered and chained by names. The interest of a channel lists the tails that get its
-- events; that of '*' lists those that get all events.

-- Max. number of entries of a tail that one step removes, as a part of all.
local TRIMMED = 1 / 8

local tails, changed = {}, {}

-- The state of a tail: number and name of its newest entry; the name of the last change of its interests; when its node was last
-- heard of, by the server's clock; the weight of all entries that it has had, and of those that it has.
local tailWith = function(id)
  if tails[id] ~= nil then return tails[id] end
  local text = id ~= '' and call('HGET', TAILS, id) or ''
  local tail = false
  local pos, nonce, registered, seen, sum, kept = string.match(text, '^(%d+) (%w+) (%w+) (%d+) (%d+) (%d+)$')
  if pos then
    tail = { pos = tonumber(pos), nonce = nonce, registered = registered, seen = tonumber(seen), sum = tonumber(sum),
      kept = tonumber(kept) }
  end
  tails[id] = tail
  return tail
end

local rowOf = function(tail)
  return table.concat({ int(tail.pos), tail.nonce, tail.registered, int(tail.seen), int(tail.sum), int(tail.kept) }, ' ')
end

saveTails = function()
  for id in pairs(changed) do
    if tails[id] then call('HSET', TAILS, id, rowOf(tails[id])) end
  end
  changed = {}
end

-- Changes the weight of the entries that a tail has.
local keep = function(id, kept)
  local tail = tails[id]
  tailBytes = tailBytes + kept - tail.kept
  tail.kept = kept
  changed[id] = true
end

-- After its oldest entries were removed: the oldest one left has the weight of all before it.
local reweigh = function(id)
  local oldest = call('XRANGE', tailOf(id), '-', '+', 'COUNT', 1)[1]
  local before = oldest and string.match(oldest[2][2] or '', '(%d+)$')
  keep(id, before and math.max(0, tails[id].sum - tonumber(before)) or 0)
end

-- Adds an entry to a tail: its own name; the head up to which the tail is complete with it; evictions; and its events.
local addToTail = function(id, name, head, witness, evicted, events, size)
  local tail = tailWith(id)
  if not tail then return end
  tail.pos = tail.pos + 1
  local header = table.concat({ tail.nonce, name, int(head), witness, int(tail.sum) }, ' ')
  local added = redis.pcall('XADD', tailOf(id), int(tail.pos) .. '-0', 'n', header, 'x', evicted, unpack(events))
  if type(added) == 'table' and added.err then
    -- Another program has written there. A node that has read all entries before this one continues; else it reads history again.
    call('DEL', tailOf(id))
    keep(id, 0)
    call('XADD', tailOf(id), int(tail.pos) .. '-0', 'n', header, 'x', evicted, unpack(events))
  end
  tail.nonce = name
  local weight = size + #evicted + TAIL_ENTRY
  tail.sum = tail.sum + weight
  keep(id, tail.kept + weight)
end

-- Removes the entries that a node has read.
local acknowledge = function(id, pos)
  if tails[id].kept == 0 then return end
  call('XTRIM', tailOf(id), 'MINID', int(pos + 1))
  reweigh(id)
end

-- Trims the heaviest tails until all of them together are within a weight, or have the least number of entries.
local trimTails = function(max, least)
  if tailBytes <= max then return end
  local left = {}
  for id in string.gmatch(nodes, '%w+') do
    if tailWith(id) then left[#left + 1] = id end
  end
  while tailBytes > max and #left > 0 do
    local heaviest = 1
    for index, id in ipairs(left) do
      if tails[id].kept > tails[left[heaviest]].kept then heaviest = index end
    end
    local id = left[heaviest]
    local length = call('XLEN', tailOf(id))
    if length <= least then
      if length == 0 then keep(id, 0) end
      table.remove(left, heaviest)
    else
      call('XTRIM', tailOf(id), 'MAXLEN', math.max(least, length - math.ceil(length * TRIMMED)))
      reweigh(id)
    end
  end
end

-- Deletes a tail. Its interests are searched for bit by bit.
local dropTail = function(id)
  local tail = tailWith(id)
  if tail then
    keep(id, 0)
    tailBytes = tailBytes - TAIL
  end
  tails[id] = false
  call('HDEL', TAILS, id)
  call('UNLINK', tailOf(id))
  local left = {}
  for each in string.gmatch(nodes, '%w+') do
    if each ~= id then left[#left + 1] = each end
  end
  nodes = table.concat(left, ' ')
  stale = '0'
end

local dropTails = function()
  for id in string.gmatch(nodes, '%w+') do
    tails[id] = false
    call('UNLINK', tailOf(id))
  end
  call('UNLINK', TAILS, INTERESTS)
  nodes, interest, tailBytes, stale, changed = '', 0, 0, '', {}
end

-- The ids of the tails that get the events of a channel, without those that are gone.
local withInterest = function(channel)
  local found = {}
  for id in string.gmatch(call('HGET', INTERESTS, channel) or '', '%w+') do
    if tailWith(id) then found[#found + 1] = id
    elseif stale == '' then stale = '0' end
  end
  return found
end

local interestWeight = function(channel, ids)
  return #ids == 0 and 0 or INTEREST + math.ceil(#channel * TEXT) + INTERESTED * #ids
end

-- Removes a tail from the interest of a channel, or adds it.
local setInterest = function(channel, id, isInterested)
  local text = call('HGET', INTERESTS, channel)
  local before, after, isThere = {}, {}, false
  for each in string.gmatch(text or '', '%w+') do
    before[#before + 1] = each
    if each == id then isThere = true else after[#after + 1] = each end
  end
  if isThere == isInterested then return end
  if isInterested then after[#after + 1] = id end
  interest = interest + interestWeight(channel, after) - interestWeight(channel, before)
  if #after == 0 then call('HDEL', INTERESTS, channel) else call('HSET', INTERESTS, channel, table.concat(after, ' ')) end
end

-- Continues the search for interests of tails that are gone.
local sweepInterests = function()
  if stale == '' then return end
  local page = call('HSCAN', INTERESTS, stale, 'COUNT', 100)
  stale = page[1] == '0' and '' or page[1]
  for index = 1, #page[2], 2 do
    for id in string.gmatch(page[2][index + 1], '%w+') do
      if not tailWith(id) then setInterest(page[2][index], id, false) end
    end
  end
end
